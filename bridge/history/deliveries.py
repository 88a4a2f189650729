"""Queries for deliveries: in pages, in the order of receipt or of their last change, and one with its attempts."""

import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, TextClause, and_, func, select, text

from bridge.core.delivery import Status
from bridge.core.records import (
    Beyond,
    DeliveryFilter,
    KnownAttempt,
    KnownDelivery,
    LastAttempt,
    Page,
)
from bridge.db import scan
from bridge.db.rows import storable
from bridge.db.scan import (
    Condition,
    Found,
    Key,
    KeyRange,
    Scan,
    among,
    as_id,
    batches_of,
    distinct,
    equals,
    filled,
    first_id,
    looked_up,
    run_all,
    scans_of_source,
    scans_of_type,
)
from bridge.db.tables import NOT_SUCCESS, attempts, deliveries, events, evidence_forms
from bridge.db.upserts import padded
from bridge.history import narrowing
from bridge.history.known import attempt_of, delivery_of, forms_of, last_of
from bridge.history.retention import BEFORE_ALL

# Queries for deliveries in the order of receipt: by the id of the event, then of the delivery.


ORDER_OF_RECEIPT = (deliveries.c.event_id, deliveries.c.id)
BATCHES = (256, 2048, 2048, 2048)
"""The numbers of events of a type whose deliveries are looked at, batch after batch."""
_MOST_HOOKS = 50
_RECEIVED_ROW = 20
"""Cost of reading a row, relative to an index entry."""


def find_received(connection: Connection, which: DeliveryFilter, bounds: KeyRange, limit: int) -> Found:
    """Returns at most `limit` keys of matching deliveries."""
    if which.event_id is not None:
        return received_of_event(connection, which, bounds, limit)
    if which.replay is not None or (which.event_type is None and which.source is None):
        return run_all(connection, scans(connection, which), bounds, limit)
    events_first = _event_scans(connection, which)
    if any(each.rest for each in events_first):
        return run_all(connection, scans(connection, which), bounds, limit)
    found = _of_events(connection, events_first, which, bounds, limit)
    if found.horizon is None or not is_narrow(which):
        return found
    # The type or source is frequent, and its newest events do not match the other conditions: the scans start from those conditions
    # instead, and the result that got further counts.
    other = run_all(connection, scans(connection, which), bounds, limit)
    return other if other.horizon is None or other.horizon < found.horizon else found


def is_narrow(which: DeliveryFilter) -> bool:
    """Returns whether hook and status select few of all deliveries; most deliveries succeed."""
    return which.hook is not None or (bool(which.statuses) and Status.SUCCESS not in which.statuses)


def received_of_event(connection: Connection, which: DeliveryFilter, bounds: KeyRange, limit: int) -> Found:
    """Returns the keys of one event's deliveries."""
    known = as_id(which.event_id or "")
    if known is None or not bounds.hold(known):
        return Found(())
    where = [deliveries.c.event_id == known, *_conditions(which), *_of_type(which)]
    if bounds.after is not None and bounds.after[0] == known:
        where.append(deliveries.c.id < bounds.after[1])
    return Found(looked_up(connection, ORDER_OF_RECEIPT, where, limit))


def scans(connection: Connection, which: DeliveryFilter) -> list[Scan]:
    """Returns the index scans that find deliveries by hook or status, across events."""
    if which.replay is not None:
        others = replace(which, replay=None)
        return [narrowing.scan_of_replay(which.replay, [*_conditions(others), *_of_type(which)])]
    beside = narrowing.looked_up(which)
    cost = narrowing.LOOK_UP if beside else 1
    rest = [equals(deliveries.c.event_type, storable(which.event_type))] if which.event_type else []
    return [
        replace(each, rest=[*each.rest, *rest, *beside], cost=max(each.cost, cost))
        for each in _scans(connection, which)
    ]


def _scans(connection: Connection, which: DeliveryFilter) -> list[Scan]:
    if which.hook is None and (not which.statuses or len(which.statuses) == len(Status)):
        return [Scan(ORDER_OF_RECEIPT, ())]
    c = deliveries.c
    found: list[Scan] = []
    # One scan for each status, because an index is in the order of the list only within a status.
    for status in which.statuses or Status:
        if which.hook is not None:
            found.append(Scan(ORDER_OF_RECEIPT, [c.hook == storable(which.hook), c.status == str(status)]))
        elif status is Status.SUCCESS:
            found += _succeeded(connection)
        else:
            # The text must equal that of the index, or the index is not used.
            where: list[ColumnElement[bool] | TextClause] = [text(NOT_SUCCESS), c.status == str(status)]
            found.append(Scan(ORDER_OF_RECEIPT, where))
    return found


def _succeeded(connection: Connection) -> list[Scan]:
    """Returns the scans of successes by hook; with very many hooks one of all deliveries, most of which succeeded."""
    c, success = deliveries.c, str(Status.SUCCESS)
    hooks = distinct(connection, c.hook, most=_MOST_HOOKS + 1)
    if len(hooks) > _MOST_HOOKS:
        return [Scan(ORDER_OF_RECEIPT, (), [equals(c.status, success)], cost=_RECEIVED_ROW)]
    return [Scan(ORDER_OF_RECEIPT, [c.hook == hook, c.status == success]) for hook in hooks]


def _of_events(
    connection: Connection, events_first: Sequence[Scan], which: DeliveryFilter, bounds: KeyRange, limit: int
) -> Found:
    """Returns deliveries of the newest events of a type or source: there may be few such events among very many deliveries."""
    keys = _rest_of_event(connection, which, bounds, limit)
    horizon = bounds.after
    sizes = BATCHES[:2] if is_narrow(which) else BATCHES
    for size, ids in zip(sizes, batches_of(connection, events_first, bounds, sizes), strict=True):
        if len(keys) < limit and ids:
            where = [among(connection, deliveries.c.event_id, ids), *_conditions(which)]
            keys += looked_up(connection, ORDER_OF_RECEIPT, where, limit - len(keys))
        if len(keys) == limit or len(ids) < size:
            return Found(keys)
        horizon = (ids[-1], BEFORE_ALL)
    return Found(keys, horizon)


def _event_scans(connection: Connection, which: DeliveryFilter) -> list[Scan]:
    """Returns the scans of events by type, or by source and type."""
    if which.source is None:
        return scans_of_type(connection, which.event_type or "")
    return scans_of_source(connection, which.source, which.event_type)


def _rest_of_event(connection: Connection, which: DeliveryFilter, bounds: KeyRange, limit: int) -> list[Key]:
    """Returns the remaining deliveries of the event with which the previous page ended."""
    if bounds.after is None:
        return []
    return list(received_of_event(connection, replace(which, event_id=bounds.after[0]), bounds, limit).keys)


def _conditions(which: DeliveryFilter) -> Sequence[ColumnElement[bool]]:
    """Returns the conditions; with a hook always on status too: its index continues with status, then event."""
    c = deliveries.c
    found: list[ColumnElement[bool]] = [c.hook == storable(which.hook)] if which.hook is not None else []
    if which.statuses or found:
        found.append(c.status.in_(sorted(which.statuses or Status)))
    return [*found, *narrowing.as_sql(narrowing.looked_up(which))]


def _of_type(which: DeliveryFilter) -> list[ColumnElement[bool]]:
    return [] if which.event_type is None else [deliveries.c.event_type == storable(which.event_type)]


# Queries for deliveries in the order of their last change; a final delivery last changed when it became final.


ORDER_OF_UPDATE = (deliveries.c.updated_at, deliveries.c.id)
FEW = 2000
"""Maximum number of deliveries of a hook or status that are sorted; more are soon found in a scan of all deliveries."""
_MOST_OF_EVENT = 10_000


def find_updated(connection: Connection, which: DeliveryFilter, after: Key | None, limit: int) -> Found:
    """Returns at most `limit` keys of matching deliveries, after the key `after`."""
    bounds = KeyRange(after, which.updated_since, which.updated_until)
    named = _named(connection, which)
    if named is not None:
        return Found(
            looked_up(connection, ORDER_OF_UPDATE, [*named, *bounds.condition(ORDER_OF_UPDATE)], limit)
        )
    return filled(partial(run_all, connection, [_scan(which)]), bounds, limit)


def _named(connection: Connection, which: DeliveryFilter) -> list[ColumnElement[bool]] | None:
    """Returns a condition that lists the matching deliveries by id, None if these are too many."""
    received = KeyRange(None, first_id(which.since), first_id(which.until))
    if which.event_id is not None:
        return [_among(connection, received_of_event(connection, which, received, _MOST_OF_EVENT).keys)]
    if which.replay is not None:
        taken = narrowing.of_replay(connection, which.replay, _MOST_OF_EVENT)
        return [
            _among(connection, taken),
            *_conditions(replace(which, replay=None)),
            *_of_type(which),
            *received.condition([deliveries.c.event_id]),
        ]
    if not is_narrow(which):
        return None
    # Further conditions are separate: searching for them here could end early, without all deliveries.
    broad = DeliveryFilter(hook=which.hook, statuses=which.statuses)
    keys = run_all(connection, scans(connection, broad), received, FEW + 1).keys
    if len(keys) > FEW:
        return None
    return [_among(connection, keys), *_of_type(which), *narrowing.as_sql(narrowing.looked_up(which))]


def _among(connection: Connection, keys: Sequence[Key]) -> ColumnElement[bool]:
    return among(connection, deliveries.c.id, [key[-1] for key in keys])


def _scan(which: DeliveryFilter) -> Scan:
    c = deliveries.c
    asked = [(c.hook, which.hook), (c.event_type, which.event_type)]
    rest = [equals(column, storable(value)) for column, value in asked if value is not None]
    if which.statuses:
        wanted = sorted(which.statuses)
        rest.append((c.status, lambda entry: entry.in_(wanted)))
    received = [(operator.ge, first_id(which.since)), (operator.lt, first_id(which.until))]
    bounds = [_compared(compare, bound) for compare, bound in received if bound is not None]
    # Columns that the index lacks.
    beside = [*bounds, *narrowing.looked_up(which)]
    return Scan(ORDER_OF_UPDATE, (), [*rest, *beside], cost=narrowing.LOOK_UP if beside else 1)


def _compared(compare: Callable[[Any, Any], Any], bound: str) -> Condition:
    return deliveries.c.event_id, lambda entry: compare(entry, bound)


def page(
    connection: Connection, which: DeliveryFilter, *, after: str | None = None, limit: int
) -> Page[KnownDelivery]:
    """Returns the newest `limit` matching deliveries, or those after the cursor `after`; ValueError for an invalid cursor."""
    found = _found(connection, which, after, limit + 1)
    keys, more = found.keys[:limit], len(found.keys) > limit
    last = keys[-1] if more else found.horizon
    return Page(_read(connection, which, keys), scan.cursor(_kind(which), last) if last is not None else None)


def beyond(connection: Connection, which: DeliveryFilter, after: str) -> Beyond:
    """Returns how many matching deliveries follow the cursor `after`; ValueError for an invalid cursor."""
    return scan.beyond_page(_found(connection, which, after, scan.MOST_COUNTED + 1))


def one(connection: Connection, delivery_id: str) -> tuple[KnownDelivery, Sequence[KnownAttempt]] | None:
    """Returns the delivery with the attempts of all its generations, in the order in which they were made."""
    known = scan.as_id(delivery_id)
    found = _rows(connection, deliveries.c.id == known) if known is not None else ()
    if not found:
        return None
    c = attempts.c
    tried = select(attempts).where(c.delivery_id == known).order_by(c.generation, c.number)
    rows = connection.execute(tried).mappings().all()
    forms = _forms(connection, {one for row in rows for one in forms_of(row)})
    return found[0], tuple(attempt_of(row, forms) for row in rows)


def of_event(connection: Connection, event_id: str) -> tuple[KnownDelivery, ...]:
    """Returns all deliveries of an event, newest first."""
    return _rows(connection, deliveries.c.event_id == event_id)


def _forms(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    c = evidence_forms.c
    chosen = select(c.id, c.form).where(c.id.in_(padded(sorted(ids)))) if ids else None
    return {} if chosen is None else {row[0]: row[1] for row in connection.execute(chosen)}


def _kind(which: DeliveryFilter) -> str:
    """Returns the kind of a cursor: it is valid for one order of the list only."""
    return "updated" if which.by_update else "delivery"


def _found(connection: Connection, which: DeliveryFilter, after: str | None, limit: int) -> scan.Found:
    key = scan.key_of(_kind(which), after) if after is not None else None
    if which.by_update:
        return find_updated(connection, which, key, limit)
    bounds = scan.KeyRange(key, scan.first_id(which.since), scan.first_id(which.until))
    return scan.filled(partial(find_received, connection, which), bounds, limit)


def _read(
    connection: Connection, which: DeliveryFilter, keys: Sequence[scan.Key]
) -> tuple[KnownDelivery, ...]:
    if not keys:
        return ()
    condition = scan.among(connection, deliveries.c.id, [key[-1] for key in keys])
    return _rows(connection, condition, ORDER_OF_UPDATE if which.by_update else ORDER_OF_RECEIPT)


def _rows(
    connection: Connection, condition: ColumnElement[bool], order: scan.Columns = ORDER_OF_RECEIPT
) -> tuple[KnownDelivery, ...]:
    kind = func.coalesce(events.c.type, deliveries.c.event_type).label("type")
    # A delivery whose event was deleted by hand is listed nevertheless.
    joined = select(deliveries, kind, events.c.escaped.label("escaped")).outerjoin(
        events, events.c.id == deliveries.c.event_id
    )
    ordered = joined.where(and_(condition)).order_by(*(column.desc() for column in order))
    rows = connection.execute(ordered).mappings().all()
    last = _last_attempts(connection, {row["id"]: row["attempts"] for row in rows if row["attempts"]})
    return tuple(delivery_of(row, last.get(row["id"])) for row in rows)


def _last_attempts(connection: Connection, numbers: Mapping[str, int]) -> dict[str, LastAttempt]:
    """Returns the last attempt of each delivery; its number is the delivery's count of attempts, and no such row is updated."""
    if not numbers:
        return {}
    c = attempts.c
    joined = select(attempts).join(
        deliveries, and_(deliveries.c.id == c.delivery_id, deliveries.c.attempts == c.number)
    )
    # If the last attempt of an earlier generation has the same number, the later generation wins.
    chosen = joined.where(scan.among(connection, deliveries.c.id, list(numbers))).order_by(c.generation)
    return {row["delivery_id"]: last_of(row) for row in connection.execute(chosen).mappings()}
