"""Queries for events: in pages, and one alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Text, exists, func, literal_column, select, text

from bridge.core.delivery import Status
from bridge.core.records import Beyond, EventFilter, EventStatus, KnownEvent, Page
from bridge.db import scan
from bridge.db.rows import storable
from bridge.db.tables import INDEXED_LENGTH, WEBHOOK_ID_OF_ITS_OWN, deliveries, event_dimensions, events
from bridge.history.known import event_of

_KIND = "event"
_MOST_TYPES = 50
_ROW = 20
"""Cost of reading a row, relative to an index entry."""

_MOST_COUNTED = 10_000
"""Maximum number of deliveries that are counted for the events of one page."""
_LOOKED_AT = 500
"""The number of events whose deliveries are counted by one query."""
_OF_EVENT = deliveries.c.event_id == events.c.id
_ASKED = (
    exists().where(_OF_EVENT, deliveries.c.status != str(Status.SKIPPED)).label("taken"),
    exists().where(_OF_EVENT).label("any_delivery"),
)


def page(
    connection: Connection, which: EventFilter, *, after: str | None = None, limit: int
) -> Page[KnownEvent]:
    """Returns the newest `limit` matching events, or those after the cursor `after`; ValueError for an invalid cursor."""
    found = _found(connection, which, after, limit + 1)
    keys, more = found.keys[:limit], len(found.keys) > limit
    last = keys[-1] if more else found.horizon
    return Page(
        listed(connection, [key[0] for key in keys]), scan.cursor(_KIND, last) if last is not None else None
    )


def whole_page(
    connection: Connection, which: EventFilter, *, after: str | None = None, limit: int, most_bytes: int
) -> Page[KnownEvent]:
    """As `page`, with bodies of at most `most_bytes` together or one event, without counts of deliveries."""
    found = _found(connection, which, after, limit + 1)
    ids = [key[0] for key in found.keys[:limit]]
    size = func.length(events.c.body).label("size")
    sizes = dict(
        connection.execute(select(events.c.id, size).where(scan.among(connection, events.c.id, ids))).all()
    )
    totals = accumulate(sizes.get(one, 0) for one in ids)
    taken = [
        one for at, (one, total) in enumerate(zip(ids, totals, strict=True)) if not at or total <= most_bytes
    ]
    last = (taken[-1],) if len(taken) < len(found.keys) else found.horizon
    return Page(_read(connection, taken), scan.cursor(_KIND, last) if last is not None else None)


def behind(event_id: str) -> str:
    """Returns the cursor of the page that begins after this event."""
    return scan.cursor(_KIND, (event_id,))


def beyond(connection: Connection, which: EventFilter, after: str) -> Beyond:
    """Returns how many matching events follow the cursor `after`; ValueError for an invalid cursor."""
    return scan.beyond_page(_found(connection, which, after, scan.MOST_COUNTED + 1))


def _found(connection: Connection, which: EventFilter, after: str | None, limit: int) -> scan.Found:
    key = scan.key_of(_KIND, after) if after is not None else None
    bounds = scan.KeyRange(key, scan.first_id(which.since), scan.first_id(which.until))
    scans = _scans(connection, which)
    if which.status is None:
        return scan.filled(partial(scan.run_all, connection, scans), bounds, limit)
    return scan.filled(partial(_with_status, connection, scans, which.status), bounds, limit)


def one(connection: Connection, event_id: str) -> KnownEvent | None:
    """Returns the event, None if it does not exist."""
    known = scan.as_id(event_id)
    found = _read(connection, [known]) if known is not None else ()
    return found[0] if found else None


def _with_status(
    connection: Connection, scans: Sequence[scan.Scan], status: EventStatus, bounds: scan.KeyRange, limit: int
) -> scan.Found:
    """Returns events with this status, from a limited number of events found by the scans."""
    looked_at = scan.run_all(connection, scans, bounds, _LOOKED_AT)
    of = _statuses(connection, [key[0] for key in looked_at.keys])
    keys = [key for key in looked_at.keys if of.get(key[0]) is status]
    if len(keys) >= limit:
        return scan.Found(keys[:limit])
    more = len(looked_at.keys) == _LOOKED_AT
    return scan.Found(keys, looked_at.keys[-1] if more else looked_at.horizon)


def _statuses(connection: Connection, ids: Sequence[str]) -> dict[str, EventStatus]:
    if not ids:
        return {}
    chosen = select(events.c.id, *_ASKED).where(scan.among(connection, events.c.id, ids))
    return {row[0]: _status_of(row[1], row[2]) for row in connection.execute(chosen)}


def _status_of(taken: bool, any_delivery: bool) -> EventStatus:
    if taken:
        return EventStatus.MATCHED
    return EventStatus.SKIPPED if any_delivery else EventStatus.UNMATCHED


def _scans(connection: Connection, which: EventFilter) -> list[scan.Scan]:
    if which.publisher_id is not None:
        return [_of_publisher(which, which.publisher_id)]
    if which.webhook_id is not None:
        return _of_webhook(which, which.webhook_id)
    if which.dimensions:
        return [_of_dimension(which)]
    if which.types is not None:
        return _of_types(connection, which, which.types)
    return _of_source_and_type(connection, which.source, which.type)


def _of_types(connection: Connection, which: EventFilter, types: frozenset[str]) -> list[scan.Scan]:
    """Returns the scans of each type; with very many types one of all events, which are checked."""
    if len(types) > _MOST_TYPES:
        return [scan.Scan(scan.ORDER, (), _beside(which), cost=_ROW)]
    return [each for kind in sorted(types) for each in _of_source_and_type(connection, which.source, kind)]


def _of_source_and_type(connection: Connection, source: str | None, kind: str | None) -> list[scan.Scan]:
    if source is not None:
        return scan.scans_of_source(connection, source, kind)
    return [scan.Scan(scan.ORDER, ())] if kind is None else scan.scans_of_type(connection, kind)


def _beside(which: EventFilter) -> list[scan.Condition]:
    c = events.c
    asked = [(c.source, which.source), (c.type, which.type)]
    found = [scan.equals(column, storable(value)) for column, value in asked if value is not None]
    if which.types is not None:
        wanted = sorted(map(storable, which.types))
        found.append((c.type, lambda entry: entry.in_(wanted)))
    return found


def _of_webhook(which: EventFilter, webhook_id: str) -> list[scan.Scan]:
    """Returns the scans for a `webhook-id`: the index of events that have one of their own, else the event's id."""
    c, stored = events.c, storable(webhook_id)
    rest = [scan.equals(c.webhook_id, stored), *_beside(which)]
    found = []
    if (known := scan.as_id(webhook_id)) is not None:
        found.append(scan.Scan(scan.ORDER, [c.id == known], rest))
    if 0 < len(stored) <= INDEXED_LENGTH:
        # The text must equal that of the index, or the index is not used.
        last = literal_column("substr(webhook_id, length(webhook_id))", Text)
        found.append(scan.Scan(scan.ORDER, (text(WEBHOOK_ID_OF_ITS_OWN), last == stored[-1]), rest))
    return found


def _of_dimension(which: EventFilter) -> scan.Scan:
    """Returns the scan of one dimension's index; the other conditions are checked on each event found."""
    (name, key), *others = which.dimensions
    d = event_dimensions.c
    asked = [(events.c.source, which.source), (events.c.type, which.type)]
    rest: list[scan.Condition] = [(d.event_id, _event_is(*each)) for each in asked if each[1] is not None]
    rest += [(d.event_id, _has(*each)) for each in others]
    if which.types is not None:
        kinds = sorted(map(storable, which.types))
        rest.append(
            (d.event_id, lambda entry: exists().where(events.c.id == entry, events.c.type.in_(kinds)))
        )
    return scan.Scan((d.event_id,), [d.dimension == storable(name), d.key == storable(key)], rest, cost=_ROW)


def _event_is(column: Column[str], value: str | None) -> Callable[[ColumnElement[str]], ColumnElement[bool]]:
    return lambda entry: exists().where(events.c.id == entry, column == storable(value or ""))


def _has(name: str, key: str) -> Callable[[ColumnElement[str]], ColumnElement[bool]]:
    other = event_dimensions.alias().c
    named = (other.dimension == storable(name), other.key == storable(key))
    return lambda entry: exists().where(*named, other.event_id == entry)


def _of_publisher(which: EventFilter, publisher_id: str) -> scan.Scan:
    c, stored = events.c, storable(publisher_id)
    rest = [scan.equals(c.publisher_id, stored), *_beside(which)]
    if not 0 < len(stored) <= INDEXED_LENGTH:
        return scan.Scan(scan.ORDER, (), rest, cost=_ROW)
    # The text must equal that of the index, or the index is not used.
    indexed = text(f"length(publisher_id) <= {INDEXED_LENGTH}")
    last = literal_column("substr(publisher_id, length(publisher_id))", Text)
    return scan.Scan(scan.ORDER, (indexed, last == stored[-1]), rest)


def listed(connection: Connection, ids: Sequence[str]) -> tuple[KnownEvent, ...]:
    """Returns these events without their large columns, newest first."""
    if not ids:
        return ()
    small = [column for column in events.c if column.name not in {"body", "headers", "properties"}]
    chosen = (
        select(*small, *_ASKED).where(scan.among(connection, events.c.id, ids)).order_by(events.c.id.desc())
    )
    counts = _counts(connection, ids)
    return tuple(
        replace(
            event_of(row),
            status=_status_of(row["taken"], row["any_delivery"]),
            counts=None if counts is None else counts.get(row["id"], {}),
        )
        for row in connection.execute(chosen).mappings()
    )


def _counts(connection: Connection, ids: Sequence[str]) -> dict[str, dict[Status, int]] | None:
    """Returns the deliveries of each event by status; None if they are too many to count."""
    c = deliveries.c
    some = select(c.event_id, c.status).where(scan.among(connection, c.event_id, ids))
    inner = some.limit(literal_column(str(_MOST_COUNTED + 1))).subquery()
    counted = select(inner.c.event_id, inner.c.status, func.count()).group_by(
        inner.c.event_id, inner.c.status
    )
    found: dict[str, dict[Status, int]] = {}
    seen = 0
    for event_id, status, count in connection.execute(counted):
        found.setdefault(event_id, {})[Status(status)] = count
        seen += count
    return None if seen > _MOST_COUNTED else found


def _read(connection: Connection, ids: Sequence[str]) -> tuple[KnownEvent, ...]:
    if not ids:
        return ()
    chosen: Any = select(events).where(scan.among(connection, events.c.id, ids)).order_by(events.c.id.desc())
    return tuple(event_of(row) for row in connection.execute(chosen).mappings())
