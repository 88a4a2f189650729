"""Deliveries in the order in which they became what they are: of final ones, in which they became final."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection

from bridge.ports.records import DeliveryFilter
from bridge.storage.records.cursor import Key
from bridge.storage.records.received import is_narrow, of_event, scans
from bridge.storage.records.scan import (
    Bounds,
    Condition,
    Found,
    Scan,
    among,
    equals,
    filled,
    looked_up,
    run_all,
)
from bridge.storage.records.span import first_id
from bridge.storage.tables import deliveries
from bridge.storage.text import storable

ORDER = (deliveries.c.updated_at, deliveries.c.id)
FEW = 2000
"""Those of a hook or with a status: so many are sorted; more are soon met with among all."""
_MOST_OF_EVENT = 10_000
_ROW = 20
"""Cost of a look at a row beside one at an index."""


def find(connection: Connection, which: DeliveryFilter, after: Key | None, limit: int) -> Found:
    """At most `limit` keys of those that fit, behind `after`."""
    bounds = Bounds(after, which.updated_since, which.updated_until)
    named = _named(connection, which)
    if named is not None:
        return Found(looked_up(connection, ORDER, [*named, *bounds.condition(ORDER)], limit))
    return filled(partial(run_all, connection, [_scan(which)]), bounds, limit)


def _named(connection: Connection, which: DeliveryFilter) -> list[ColumnElement[bool]] | None:
    """What names the fitting ones by their ids, where these are few; else None."""
    received = Bounds(None, first_id(which.since), first_id(which.until))
    if which.event_id is not None:
        return [_among(connection, of_event(connection, which, received, _MOST_OF_EVENT).keys)]
    if not is_narrow(which):
        return None
    # Of the type is asked afterwards: looking for it here would end early, without all of them.
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
    # The event's id is the only one that the index lacks.
    return Scan(ORDER, (), [*rest, *bounds], cost=_ROW if bounds else 1)


def _compared(compare: Callable[[Any, Any], Any], bound: str) -> Condition:
    return deliveries.c.event_id, lambda entry: compare(entry, bound)
