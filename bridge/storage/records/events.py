"""Events in pages, and one alone."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, Connection, Text, literal_column, select, text

from bridge.ports.records import EventFilter, KnownEvent, Page
from bridge.storage.records.cursor import cursor, key_of
from bridge.storage.records.restored import event_of
from bridge.storage.records.scan import Bounds, Scan, among, distinct, run_all
from bridge.storage.records.span import as_id, first_id
from bridge.storage.records.types import ORDER, scans_of_type
from bridge.storage.tables import events
from bridge.storage.text import storable

_KIND = "event"
_MOST_TYPES = 50
_INDEXED_LENGTH = 200
"""Of a publisher's id, in characters: as bridge.storage.tables says of the index."""

Rest = list[tuple[Column[str], str]]


def page(connection: Connection, which: EventFilter, after: str | None, limit: int) -> Page[KnownEvent]:
    """The newest `limit` events of those, or those behind `after`; ValueError for a wrong one."""
    bounds = Bounds(
        after=key_of(_KIND, after) if after is not None else None,
        since=first_id(which.since),
        until=first_id(which.until),
    )
    found = run_all(connection, _scans(connection, which), bounds, limit + 1)
    keys, more = found.keys[:limit], len(found.keys) > limit
    last = keys[-1] if more else found.horizon
    return Page(
        _read(connection, [key[0] for key in keys]), cursor(_KIND, last) if last is not None else None
    )


def one(connection: Connection, event_id: str) -> KnownEvent | None:
    """The event; None where there is none."""
    known = as_id(event_id)
    found = _read(connection, [known]) if known is not None else ()
    return found[0] if found else None


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
    if not 0 < len(stored) <= _INDEXED_LENGTH:
        return Scan(ORDER, (), rest, cost=20)
    # Word for word as in the index, or it is not used.
    indexed = text(f"length(publisher_id) <= {_INDEXED_LENGTH}")
    last = literal_column("substr(publisher_id, length(publisher_id))", Text)
    return Scan(ORDER, (indexed, last == stored[-1]), rest)


def _read(connection: Connection, ids: Sequence[str]) -> tuple[KnownEvent, ...]:
    if not ids:
        return ()
    chosen: Any = select(events).where(among(connection, events.c.id, ids)).order_by(events.c.id.desc())
    return tuple(event_of(row) for row in connection.execute(chosen).mappings())
