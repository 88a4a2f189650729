"""Deliveries in pages, and one with its attempts. Lists are sorted by the event's id, then the delivery's."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, func, select

from bridge.model.delivery import Status
from bridge.ports.records import DeliveryFilter, KnownAttempt, KnownDelivery, Page
from bridge.storage.records.cursor import Key, cursor, key_of
from bridge.storage.records.restored import attempt_of, delivery_of
from bridge.storage.records.scan import Bounds, Found, Scan, among, filled, looked_up, run_all
from bridge.storage.records.span import as_id, first_id
from bridge.storage.records.types import batches_of_type
from bridge.storage.retention import BEFORE_ALL
from bridge.storage.tables import attempts, deliveries, events
from bridge.storage.text import storable

_KIND = "delivery"
_ORDER = (deliveries.c.event_id, deliveries.c.id)
_BATCHES = (256, 2048, 2048, 2048)
"""How many events of a wanted type are looked at, one after the other."""


def page(connection: Connection, which: DeliveryFilter, after: str | None, limit: int) -> Page[KnownDelivery]:
    """The newest `limit` deliveries of those, or those behind `after`; ValueError for a wrong one."""
    bounds = Bounds(
        after=key_of(_KIND, after) if after is not None else None,
        since=first_id(which.since),
        until=first_id(which.until),
    )
    found = filled(partial(_find, connection, which), bounds, limit + 1)
    keys, more = found.keys[:limit], len(found.keys) > limit
    last = keys[-1] if more else found.horizon
    return Page(_read(connection, keys), cursor(_KIND, last) if last is not None else None)


def one(connection: Connection, delivery_id: str) -> tuple[KnownDelivery, Sequence[KnownAttempt]] | None:
    """The delivery with all attempts of all generations, in the order in which they were made."""
    known = as_id(delivery_id)
    found = _rows(connection, deliveries.c.id == known) if known is not None else ()
    if not found:
        return None
    c = attempts.c
    tried = select(attempts).where(c.delivery_id == known).order_by(c.generation, c.number)
    return found[0], tuple(attempt_of(row) for row in connection.execute(tried).mappings())


def of_event(connection: Connection, event_id: str) -> tuple[KnownDelivery, ...]:
    """All deliveries of an event, the newest first."""
    return _rows(connection, deliveries.c.event_id == event_id)


def _find(connection: Connection, which: DeliveryFilter, bounds: Bounds, limit: int) -> Found:
    if which.event_id is not None:
        return _of_event(connection, which, bounds, limit)
    if which.event_type is None:
        return run_all(connection, _scans(which), bounds, limit)
    found = _of_type(connection, which, bounds, limit)
    if found.horizon is None or not (which.hook or which.statuses):
        return found
    # The type is frequent, and what else is asked for is not among its newest events: the other way round then,
    # and whoever got further is right.
    other = run_all(connection, _scans(which), bounds, limit)
    return other if other.horizon is None or other.horizon < found.horizon else found


def _of_event(connection: Connection, which: DeliveryFilter, bounds: Bounds, limit: int) -> Found:
    known = as_id(which.event_id or "")
    if known is None or not bounds.hold(known):
        return Found(())
    where = [deliveries.c.event_id == known, *_conditions(which)]
    if which.event_type is not None:
        where.append(deliveries.c.event_type == storable(which.event_type))
    if bounds.after is not None and bounds.after[0] == known:
        where.append(deliveries.c.id < bounds.after[1])
    return Found(looked_up(connection, _ORDER, where, limit))


def _of_type(connection: Connection, which: DeliveryFilter, bounds: Bounds, limit: int) -> Found:
    """Beginning with the newest events of the type: there may be few of them, and of deliveries very many."""
    kind = which.event_type or ""
    keys = _rest_of_event(connection, which, bounds, limit)
    horizon = bounds.after
    sizes = _BATCHES[:2] if which.hook or which.statuses else _BATCHES
    for size, ids in zip(sizes, batches_of_type(connection, kind, bounds, sizes), strict=True):
        if len(keys) < limit and ids:
            where = [among(connection, deliveries.c.event_id, ids), *_conditions(which)]
            keys += looked_up(connection, _ORDER, where, limit - len(keys))
        if len(keys) == limit or len(ids) < size:
            return Found(keys)
        horizon = (ids[-1], BEFORE_ALL)
    return Found(keys, horizon)


def _rest_of_event(connection: Connection, which: DeliveryFilter, bounds: Bounds, limit: int) -> list[Key]:
    """What is left of the event with which the page before ended."""
    if bounds.after is None:
        return []
    return list(_of_event(connection, replace(which, event_id=bounds.after[0]), bounds, limit).keys)


def _scans(which: DeliveryFilter) -> list[Scan]:
    rest = [(deliveries.c.event_type, storable(which.event_type))] if which.event_type is not None else []
    if which.hook is None and (not which.statuses or len(which.statuses) == len(Status)):
        return [Scan(_ORDER, (), rest)]
    c = deliveries.c
    of_hook = [c.hook == storable(which.hook)] if which.hook is not None else []
    # One for each status, because within a status an index is in the order of the list.
    return [Scan(_ORDER, [*of_hook, c.status == str(status)], rest) for status in which.statuses or Status]


def _conditions(which: DeliveryFilter) -> list[ColumnElement[bool]]:
    """Always with statuses where there is a hook: its index goes on with them, and then with the event."""
    c = deliveries.c
    found: list[ColumnElement[bool]] = [c.hook == storable(which.hook)] if which.hook is not None else []
    if which.statuses or found:
        found.append(c.status.in_(sorted(which.statuses or Status)))
    return found


def _read(connection: Connection, keys: Sequence[Key]) -> tuple[KnownDelivery, ...]:
    if not keys:
        return ()
    return _rows(connection, among(connection, deliveries.c.id, [key[-1] for key in keys]))


def _rows(connection: Connection, condition: ColumnElement[bool]) -> tuple[KnownDelivery, ...]:
    kind = func.coalesce(events.c.type, deliveries.c.event_type).label("type")
    # A delivery whose event somebody deleted by hand is told all the same.
    joined = select(deliveries, kind, events.c.escaped.label("escaped")).outerjoin(
        events, events.c.id == deliveries.c.event_id
    )
    ordered = joined.where(and_(condition)).order_by(*(column.desc() for column in _ORDER))
    return tuple(delivery_of(row) for row in connection.execute(ordered).mappings())
