"""Deliveries in the order of receipt: by the event's id, then the delivery's."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, TextClause, text

from bridge.model.delivery import Status
from bridge.ports.records import DeliveryFilter
from bridge.storage.records.cursor import Key
from bridge.storage.records.scan import Bounds, Found, Scan, among, distinct, equals, looked_up, run_all
from bridge.storage.records.span import as_id
from bridge.storage.records.types import batches_of_type
from bridge.storage.retention import BEFORE_ALL
from bridge.storage.tables import NOT_SUCCESS, deliveries
from bridge.storage.text import storable

ORDER = (deliveries.c.event_id, deliveries.c.id)
BATCHES = (256, 2048, 2048, 2048)
"""How many events of a wanted type are looked at, one after the other."""
_MOST_HOOKS = 50
_ROW = 20
"""Cost of a look at a row beside one at an index."""


def find(connection: Connection, which: DeliveryFilter, bounds: Bounds, limit: int) -> Found:
    """At most `limit` keys of those that fit."""
    if which.event_id is not None:
        return of_event(connection, which, bounds, limit)
    if which.event_type is None:
        return run_all(connection, scans(connection, which), bounds, limit)
    found = _of_type(connection, which, bounds, limit)
    if found.horizon is None or not is_narrow(which):
        return found
    # The type is frequent, and what else is asked for is not among its newest events: the other way round then,
    # and whoever got further is right.
    other = run_all(connection, scans(connection, which), bounds, limit)
    return other if other.horizon is None or other.horizon < found.horizon else found


def is_narrow(which: DeliveryFilter) -> bool:
    """Whether hook and status leave few of all deliveries; most of them succeed."""
    return which.hook is not None or (bool(which.statuses) and Status.SUCCESS not in which.statuses)


def of_event(connection: Connection, which: DeliveryFilter, bounds: Bounds, limit: int) -> Found:
    """Those of one event."""
    known = as_id(which.event_id or "")
    if known is None or not bounds.hold(known):
        return Found(())
    where = [deliveries.c.event_id == known, *_conditions(which)]
    if which.event_type is not None:
        where.append(deliveries.c.event_type == storable(which.event_type))
    if bounds.after is not None and bounds.after[0] == known:
        where.append(deliveries.c.id < bounds.after[1])
    return Found(looked_up(connection, ORDER, where, limit))


def scans(connection: Connection, which: DeliveryFilter) -> list[Scan]:
    """The scans of indexes that those of a hook or with a status are in, whatever event they are of."""
    rest = [equals(deliveries.c.event_type, storable(which.event_type))] if which.event_type else []
    if which.hook is None and (not which.statuses or len(which.statuses) == len(Status)):
        return [Scan(ORDER, (), rest)]
    c = deliveries.c
    found = []
    # One for each status, because within a status an index is in the order of the list.
    for status in which.statuses or Status:
        if which.hook is not None:
            found.append(Scan(ORDER, [c.hook == storable(which.hook), c.status == str(status)], rest))
        elif status is Status.SUCCESS:
            found += [replace(scan, rest=[*scan.rest, *rest]) for scan in _succeeded(connection)]
        else:
            # Word for word as in the index, or it is not used.
            where: list[ColumnElement[bool] | TextClause] = [text(NOT_SUCCESS), c.status == str(status)]
            found.append(Scan(ORDER, where, rest))
    return found


def _succeeded(connection: Connection) -> list[Scan]:
    """By their hooks; where these are very many, among all deliveries, most of which are such."""
    c, success = deliveries.c, str(Status.SUCCESS)
    hooks = distinct(connection, c.hook, most=_MOST_HOOKS + 1)
    if len(hooks) > _MOST_HOOKS:
        return [Scan(ORDER, (), [equals(c.status, success)], cost=_ROW)]
    return [Scan(ORDER, [c.hook == hook, c.status == success]) for hook in hooks]


def _of_type(connection: Connection, which: DeliveryFilter, bounds: Bounds, limit: int) -> Found:
    """Beginning with the newest events of the type: there may be few of them, and of deliveries very many."""
    kind = which.event_type or ""
    keys = _rest_of_event(connection, which, bounds, limit)
    horizon = bounds.after
    sizes = BATCHES[:2] if is_narrow(which) else BATCHES
    for size, ids in zip(sizes, batches_of_type(connection, kind, bounds, sizes), strict=True):
        if len(keys) < limit and ids:
            where = [among(connection, deliveries.c.event_id, ids), *_conditions(which)]
            keys += looked_up(connection, ORDER, where, limit - len(keys))
        if len(keys) == limit or len(ids) < size:
            return Found(keys)
        horizon = (ids[-1], BEFORE_ALL)
    return Found(keys, horizon)


def _rest_of_event(connection: Connection, which: DeliveryFilter, bounds: Bounds, limit: int) -> list[Key]:
    """What is left of the event with which the page before ended."""
    if bounds.after is None:
        return []
    return list(of_event(connection, replace(which, event_id=bounds.after[0]), bounds, limit).keys)


def _conditions(which: DeliveryFilter) -> Sequence[ColumnElement[bool]]:
    """Always with statuses where there is a hook: its index goes on with them, and then with the event."""
    c = deliveries.c
    found: list[ColumnElement[bool]] = [c.hook == storable(which.hook)] if which.hook is not None else []
    if which.statuses or found:
        found.append(c.status.in_(sorted(which.statuses or Status)))
    return found
