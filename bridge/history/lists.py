"""Queries for deliveries in the order of receipt: by the id of the event, then of the delivery."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, TextClause, text

from bridge.core.delivery import Status
from bridge.core.records import DeliveryFilter
from bridge.db.scan import (
    Condition,
    Found,
    Key,
    KeyRange,
    Scan,
    among,
    as_id,
    batches_of_type,
    distinct,
    equals,
    filled,
    first_id,
    looked_up,
    run_all,
)
from bridge.db.tables import NOT_SUCCESS, deliveries
from bridge.db.text import storable
from bridge.history.retention import BEFORE_ALL

ORDER_OF_RECEIPT = (deliveries.c.event_id, deliveries.c.id)
BATCHES = (256, 2048, 2048, 2048)
"""The numbers of events of a type whose deliveries are looked at, batch after batch."""
_MOST_HOOKS = 50
_RECEIVED_ROW = 20
"""Cost of reading a row, relative to an index entry."""


def find_received(connection: Connection, which: DeliveryFilter, bounds: KeyRange, limit: int) -> Found:
    """Returns at most `limit` keys of matching deliveries."""
    if which.event_id is not None:
        return of_event(connection, which, bounds, limit)
    if which.event_type is None:
        return run_all(connection, scans(connection, which), bounds, limit)
    found = _of_type(connection, which, bounds, limit)
    if found.horizon is None or not is_narrow(which):
        return found
    # The type is frequent, and its newest events do not match the other conditions: the scans start from those conditions
    # instead, and the result that got further counts.
    other = run_all(connection, scans(connection, which), bounds, limit)
    return other if other.horizon is None or other.horizon < found.horizon else found


def is_narrow(which: DeliveryFilter) -> bool:
    """Returns whether hook and status select few of all deliveries; most deliveries succeed."""
    return which.hook is not None or (bool(which.statuses) and Status.SUCCESS not in which.statuses)


def of_event(connection: Connection, which: DeliveryFilter, bounds: KeyRange, limit: int) -> Found:
    """Returns the keys of one event's deliveries."""
    known = as_id(which.event_id or "")
    if known is None or not bounds.hold(known):
        return Found(())
    where = [deliveries.c.event_id == known, *_conditions(which)]
    if which.event_type is not None:
        where.append(deliveries.c.event_type == storable(which.event_type))
    if bounds.after is not None and bounds.after[0] == known:
        where.append(deliveries.c.id < bounds.after[1])
    return Found(looked_up(connection, ORDER_OF_RECEIPT, where, limit))


def scans(connection: Connection, which: DeliveryFilter) -> list[Scan]:
    """Returns the index scans that find deliveries by hook or status, across events."""
    rest = [equals(deliveries.c.event_type, storable(which.event_type))] if which.event_type else []
    if which.hook is None and (not which.statuses or len(which.statuses) == len(Status)):
        return [Scan(ORDER_OF_RECEIPT, (), rest)]
    c = deliveries.c
    found = []
    # One scan for each status, because an index is in the order of the list only within a status.
    for status in which.statuses or Status:
        if which.hook is not None:
            found.append(
                Scan(ORDER_OF_RECEIPT, [c.hook == storable(which.hook), c.status == str(status)], rest)
            )
        elif status is Status.SUCCESS:
            found += [replace(scan, rest=[*scan.rest, *rest]) for scan in _succeeded(connection)]
        else:
            # The text must equal that of the index, or the index is not used.
            where: list[ColumnElement[bool] | TextClause] = [text(NOT_SUCCESS), c.status == str(status)]
            found.append(Scan(ORDER_OF_RECEIPT, where, rest))
    return found


def _succeeded(connection: Connection) -> list[Scan]:
    """Returns the scans of successes by hook; with very many hooks one of all deliveries, most of which succeeded."""
    c, success = deliveries.c, str(Status.SUCCESS)
    hooks = distinct(connection, c.hook, most=_MOST_HOOKS + 1)
    if len(hooks) > _MOST_HOOKS:
        return [Scan(ORDER_OF_RECEIPT, (), [equals(c.status, success)], cost=_RECEIVED_ROW)]
    return [Scan(ORDER_OF_RECEIPT, [c.hook == hook, c.status == success]) for hook in hooks]


def _of_type(connection: Connection, which: DeliveryFilter, bounds: KeyRange, limit: int) -> Found:
    """Returns deliveries of the newest events of a type: there may be few such events among very many deliveries."""
    kind = which.event_type or ""
    keys = _rest_of_event(connection, which, bounds, limit)
    horizon = bounds.after
    sizes = BATCHES[:2] if is_narrow(which) else BATCHES
    for size, ids in zip(sizes, batches_of_type(connection, kind, bounds, sizes), strict=True):
        if len(keys) < limit and ids:
            where = [among(connection, deliveries.c.event_id, ids), *_conditions(which)]
            keys += looked_up(connection, ORDER_OF_RECEIPT, where, limit - len(keys))
        if len(keys) == limit or len(ids) < size:
            return Found(keys)
        horizon = (ids[-1], BEFORE_ALL)
    return Found(keys, horizon)


def _rest_of_event(connection: Connection, which: DeliveryFilter, bounds: KeyRange, limit: int) -> list[Key]:
    """Returns the remaining deliveries of the event with which the previous page ended."""
    if bounds.after is None:
        return []
    return list(of_event(connection, replace(which, event_id=bounds.after[0]), bounds, limit).keys)


def _conditions(which: DeliveryFilter) -> Sequence[ColumnElement[bool]]:
    """Returns the conditions; with a hook always on status too: its index continues with status, then event."""
    c = deliveries.c
    found: list[ColumnElement[bool]] = [c.hook == storable(which.hook)] if which.hook is not None else []
    if which.statuses or found:
        found.append(c.status.in_(sorted(which.statuses or Status)))
    return found


# Queries for deliveries in the order of their last change; a final delivery last changed when it became final.


ORDER_OF_UPDATE = (deliveries.c.updated_at, deliveries.c.id)
FEW = 2000
"""Maximum number of deliveries of a hook or status that are sorted; more are soon found in a scan of all deliveries."""
_MOST_OF_EVENT = 10_000
_UPDATED_ROW = 20
"""Cost of reading a row, relative to an index entry."""


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
        return [_among(connection, of_event(connection, which, received, _MOST_OF_EVENT).keys)]
    if not is_narrow(which):
        return None
    # The type is a separate condition: searching for it here could end early, without all deliveries.
    any_type = replace(which, event_type=None)
    keys = run_all(connection, scans(connection, any_type), received, FEW + 1).keys
    if len(keys) > FEW:
        return None
    of_type = [] if which.event_type is None else [deliveries.c.event_type == storable(which.event_type)]
    return [_among(connection, keys), *of_type]


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
    # The event's id is the only column that the index lacks.
    return Scan(ORDER_OF_UPDATE, (), [*rest, *bounds], cost=_UPDATED_ROW if bounds else 1)


def _compared(compare: Callable[[Any, Any], Any], bound: str) -> Condition:
    return deliveries.c.event_id, lambda entry: compare(entry, bound)
