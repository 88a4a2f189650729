"""Deliveries in pages, and one with its attempts."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, func, select

from bridge.ports.records import (
    Beyond,
    DeliveryFilter,
    KnownAttempt,
    KnownDelivery,
    LastAttempt,
    Page,
)
from bridge.storage.records import received, updated
from bridge.storage.records.cursor import Key, cursor, key_of
from bridge.storage.records.restored import attempt_of, delivery_of, forms_of, last_of
from bridge.storage.records.scan import MOST_COUNTED, Bounds, Columns, Found, among, beyond_page, filled
from bridge.storage.records.span import as_id, first_id
from bridge.storage.statements import padded
from bridge.storage.tables import attempts, deliveries, events, evidence_forms


def page(connection: Connection, which: DeliveryFilter, after: str | None, limit: int) -> Page[KnownDelivery]:
    """The newest `limit` deliveries of those, or those behind `after`; ValueError for a wrong one."""
    found = _found(connection, which, after, limit + 1)
    keys, more = found.keys[:limit], len(found.keys) > limit
    last = keys[-1] if more else found.horizon
    return Page(_read(connection, which, keys), cursor(_kind(which), last) if last is not None else None)


def beyond(connection: Connection, which: DeliveryFilter, after: str) -> Beyond:
    """How many come behind `after`; ValueError for a wrong one."""
    return beyond_page(_found(connection, which, after, MOST_COUNTED + 1))


def one(connection: Connection, delivery_id: str) -> tuple[KnownDelivery, Sequence[KnownAttempt]] | None:
    """The delivery with all attempts of all generations, in the order in which they were made."""
    known = as_id(delivery_id)
    found = _rows(connection, deliveries.c.id == known) if known is not None else ()
    if not found:
        return None
    c = attempts.c
    tried = select(attempts).where(c.delivery_id == known).order_by(c.generation, c.number)
    rows = connection.execute(tried).mappings().all()
    forms = _forms(connection, {one for row in rows for one in forms_of(row)})
    return found[0], tuple(attempt_of(row, forms) for row in rows)


def of_event(connection: Connection, event_id: str) -> tuple[KnownDelivery, ...]:
    """All deliveries of an event, the newest first."""
    return _rows(connection, deliveries.c.event_id == event_id)


def _forms(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    c = evidence_forms.c
    chosen = select(c.id, c.form).where(c.id.in_(padded(sorted(ids)))) if ids else None
    return {} if chosen is None else {row[0]: row[1] for row in connection.execute(chosen)}


def _kind(which: DeliveryFilter) -> str:
    """What a cursor is of: in another order it would lead nowhere."""
    return "updated" if which.by_update else "delivery"


def _found(connection: Connection, which: DeliveryFilter, after: str | None, limit: int) -> Found:
    key = key_of(_kind(which), after) if after is not None else None
    if which.by_update:
        return updated.find(connection, which, key, limit)
    bounds = Bounds(key, first_id(which.since), first_id(which.until))
    return filled(partial(received.find, connection, which), bounds, limit)


def _read(connection: Connection, which: DeliveryFilter, keys: Sequence[Key]) -> tuple[KnownDelivery, ...]:
    if not keys:
        return ()
    condition = among(connection, deliveries.c.id, [key[-1] for key in keys])
    return _rows(connection, condition, updated.ORDER if which.by_update else received.ORDER)


def _rows(
    connection: Connection, condition: ColumnElement[bool], order: Columns = received.ORDER
) -> tuple[KnownDelivery, ...]:
    kind = func.coalesce(events.c.type, deliveries.c.event_type).label("type")
    # A delivery whose event somebody deleted by hand is told all the same.
    joined = select(deliveries, kind, events.c.escaped.label("escaped")).outerjoin(
        events, events.c.id == deliveries.c.event_id
    )
    ordered = joined.where(and_(condition)).order_by(*(column.desc() for column in order))
    rows = connection.execute(ordered).mappings().all()
    last = _last_attempts(connection, {row["id"]: row["attempts"] for row in rows if row["attempts"]})
    return tuple(delivery_of(row, last.get(row["id"])) for row in rows)


def _last_attempts(connection: Connection, numbers: Mapping[str, int]) -> dict[str, LastAttempt]:
    """The latest attempt of each delivery, whose number is that of all its attempts: no row of it is written twice."""
    if not numbers:
        return {}
    c = attempts.c
    joined = select(attempts).join(
        deliveries, and_(deliveries.c.id == c.delivery_id, deliveries.c.attempts == c.number)
    )
    # Where the last of an earlier generation has the same number, the later one goes.
    chosen = joined.where(among(connection, deliveries.c.id, list(numbers))).order_by(c.generation)
    return {row["delivery_id"]: last_of(row) for row in connection.execute(chosen).mappings()}
