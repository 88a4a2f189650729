"""Events in pages, and one alone."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Text, exists, literal_column, select, text

from bridge.model.delivery import Status
from bridge.ports.records import EventFilter, EventStatus, KnownEvent, Page
from bridge.storage.records.cursor import cursor, key_of
from bridge.storage.records.restored import event_of
from bridge.storage.records.scan import Bounds, Found, Scan, among, distinct, filled, run_all
from bridge.storage.records.span import as_id, first_id
from bridge.storage.records.types import ORDER, scans_of_type
from bridge.storage.tables import INDEXED_LENGTH, deliveries, events
from bridge.storage.text import storable

_KIND = "event"
_MOST_TYPES = 50

_LOOKED_AT = 500
"""Events of which one look tells what came of them."""
_OF_EVENT = deliveries.c.event_id == events.c.id
_ASKED = (
    exists().where(_OF_EVENT, deliveries.c.status != str(Status.SKIPPED)).label("taken"),
    exists().where(_OF_EVENT).label("any_delivery"),
)

Rest = list[tuple[Column[str], str]]


def page(connection: Connection, which: EventFilter, after: str | None, limit: int) -> Page[KnownEvent]:
    """The newest `limit` events of those, or those behind `after`; ValueError for a wrong one."""
    bounds = Bounds(
        after=key_of(_KIND, after) if after is not None else None,
        since=first_id(which.since),
        until=first_id(which.until),
    )
    scans = _scans(connection, which)
    if which.status is None:
        found = filled(partial(run_all, connection, scans), bounds, limit + 1)
    else:
        found = filled(partial(_with_status, connection, scans, which.status), bounds, limit + 1)
    keys, more = found.keys[:limit], len(found.keys) > limit
    last = keys[-1] if more else found.horizon
    return Page(
        _listed(connection, [key[0] for key in keys]), cursor(_KIND, last) if last is not None else None
    )


def one(connection: Connection, event_id: str) -> KnownEvent | None:
    """The event; None where there is none."""
    known = as_id(event_id)
    found = _read(connection, [known]) if known is not None else ()
    return found[0] if found else None


def _with_status(
    connection: Connection, scans: Sequence[Scan], status: EventStatus, bounds: Bounds, limit: int
) -> Found:
    """Among so many events of the scans, whatever came of them."""
    looked_at = run_all(connection, scans, bounds, _LOOKED_AT)
    of = _statuses(connection, [key[0] for key in looked_at.keys])
    keys = [key for key in looked_at.keys if of.get(key[0]) is status]
    if len(keys) >= limit:
        return Found(keys[:limit])
    more = len(looked_at.keys) == _LOOKED_AT
    return Found(keys, looked_at.keys[-1] if more else looked_at.horizon)


def _statuses(connection: Connection, ids: Sequence[str]) -> dict[str, EventStatus]:
    if not ids:
        return {}
    chosen = select(events.c.id, *_ASKED).where(among(connection, events.c.id, ids))
    return {row[0]: _status_of(row[1], row[2]) for row in connection.execute(chosen)}


def _status_of(taken: bool, any_delivery: bool) -> EventStatus:
    if taken:
        return EventStatus.MATCHED
    return EventStatus.SKIPPED if any_delivery else EventStatus.UNMATCHED


def _scans(connection: Connection, which: EventFilter) -> list[Scan]:
    c = events.c
    if which.publisher_id is not None:
        return [_of_publisher(which, which.publisher_id)]
    match which.source, which.type:
        case None, None:
            return [Scan(ORDER, ())]
        case None, str(kind):
            return scans_of_type(connection, kind)
        case str(source), None:
            return _of_source(connection, storable(source))
        case source, kind:
            return [Scan(ORDER, (c.source == storable(source or ""), c.type == storable(kind or "")))]


def _of_source(connection: Connection, source: str) -> list[Scan]:
    """By its types; a source that has very many of them is no rare one, and is met with among all events."""
    c = events.c
    types = distinct(connection, c.type, c.source == source, most=_MOST_TYPES + 1)
    if len(types) > _MOST_TYPES:
        return [Scan(ORDER, (), [(c.source, source)], cost=20)]
    return [Scan(ORDER, (c.source == source, c.type == kind)) for kind in types]


def _of_publisher(which: EventFilter, publisher_id: str) -> Scan:
    c, stored = events.c, storable(publisher_id)
    rest: Rest = [(c.publisher_id, stored)]
    beside = [(c.source, which.source), (c.type, which.type)]
    rest += [(column, storable(value)) for column, value in beside if value is not None]
    if not 0 < len(stored) <= INDEXED_LENGTH:
        return Scan(ORDER, (), rest, cost=20)
    # Word for word as in the index, or it is not used.
    indexed = text(f"length(publisher_id) <= {INDEXED_LENGTH}")
    last = literal_column("substr(publisher_id, length(publisher_id))", Text)
    return Scan(ORDER, (indexed, last == stored[-1]), rest)


def _listed(connection: Connection, ids: Sequence[str]) -> tuple[KnownEvent, ...]:
    """Without what may be large."""
    if not ids:
        return ()
    small = [column for column in events.c if column.name not in {"body", "headers", "properties"}]
    chosen = select(*small, *_ASKED).where(among(connection, events.c.id, ids)).order_by(events.c.id.desc())
    return tuple(
        replace(event_of(row), status=_status_of(row["taken"], row["any_delivery"]))
        for row in connection.execute(chosen).mappings()
    )


def _read(connection: Connection, ids: Sequence[str]) -> tuple[KnownEvent, ...]:
    if not ids:
        return ()
    chosen: Any = select(events).where(among(connection, events.c.id, ids)).order_by(events.c.id.desc())
    return tuple(event_of(row) for row in connection.execute(chosen).mappings())
