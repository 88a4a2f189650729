"""Which deliveries a replay takes next, and how many there are; each function over a connection.

A hook's deliveries of one status stand in the order of their events in an index, so a batch begins where the one
before ended. What no index has in front (type, source) is looked for among so many entries, and the next batch goes
on behind them: no transaction takes longer because what is wanted is rare.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, select, tuple_

from bridge.model.delivery import Status
from bridge.ports.jobs import Replay, ReplayFilter
from bridge.storage.records.scan import among, distinct
from bridge.storage.records.span import first_id
from bridge.storage.tables import deliveries, events
from bridge.storage.text import storable

COUNTED_AT_ONCE = 200_000
"""Index entries of one look while counting: others want to read too."""
_LEAST_WINDOW = 64
_WINDOW = 2048
_MOST_HOOKS = 20_000
_KEY = (deliveries.c.event_id, deliveries.c.id)

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a count goes on: behind `after` among the deliveries of a hook with a status."""

    hook: str
    status: Status
    after: Key | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Ids of deliveries to take, and behind which key to go on; None at the end."""

    ids: Sequence[str]
    after: Key | None


def key_text(key: Key) -> str:
    """The key as a replay keeps it."""
    return " ".join(key)


def key_of(text: str) -> Key | None:
    """The key of such a text; None for an empty one."""
    event, _, delivery = text.partition(" ")
    return (event, delivery) if delivery else None


def next_batch(connection: Connection, replay: Replay, hook: str, limit: int) -> Batch:
    """The next `limit` of a hook's deliveries that fitted when the replay was made, and did not change since."""
    which, created_at, after = replay.which, replay.created_at, key_of(replay.left[hook])
    rare = which.event_type is not None or which.source is not None
    window = max(_WINDOW if rare else _LEAST_WINDOW, 2 * limit)
    columns = (*_KEY, deliveries.c.event_type, deliveries.c.updated_at)
    found = []
    horizons = []
    for status in sorted(which.statuses):
        entries = _entries(columns, which, Place(hook, status, after), created_at)
        rows = [tuple(row) for row in connection.execute(entries.limit(_number(window)))]
        found.append(rows)
        if len(rows) == window:
            horizons.append(rows[-1][:2])
    horizon: Key | None = min(horizons, default=None)
    rows = [row for row in heapq.merge(*found) if horizon is None or row[:2] <= horizon]
    fitting = _fitting(connection, which, [row for row in rows if row[3] <= created_at])
    if len(fitting) > limit:
        return Batch([key[1] for key in fitting[:limit]], fitting[limit - 1])
    return Batch([key[1] for key in fitting], horizon)


def hooks_with_deliveries(connection: Connection) -> list[str]:
    """Every hook that has any, those that are gone included."""
    return distinct(connection, deliveries.c.hook, most=_MOST_HOOKS)


def count_some(
    connection: Connection, which: ReplayFilter, created_at: float | None, places: Sequence[Place]
) -> tuple[Mapping[str, int], int, Sequence[Place]]:
    """How many fit, by hook, how many entries were looked at, and where to go on counting."""
    counts: dict[str, int] = {}
    looked = 0
    left = list(places)
    while left and looked < COUNTED_AT_ONCE:
        place = left.pop(0)
        size = COUNTED_AT_ONCE - looked
        entries = _entries((*_KEY, deliveries.c.event_type), which, place, created_at)
        seen, fitting = _count(connection, which, entries.limit(_number(size)))
        counts[place.hook] = counts.get(place.hook, 0) + fitting
        looked += seen
        if seen == size:
            last = connection.execute(entries.offset(_number(size - 1)).limit(_number(1))).one()
            left.insert(0, Place(place.hook, place.status, (last[0], last[1])))
    return counts, looked, left


def _entries(
    columns: Sequence[Any], which: ReplayFilter, place: Place, created_at: float | None
) -> Select[Any]:
    c = deliveries.c
    where: list[ColumnElement[bool]] = [c.hook == storable(place.hook), c.status == str(place.status)]
    if place.after is not None:
        # Said of the first column too: SQLite does not begin its scan at a pair.
        where += [c.event_id >= place.after[0], tuple_(*_KEY) > tuple_(*place.after, types=[c.id.type] * 2)]
    if (first := first_id(which.since)) is not None:
        where.append(c.event_id >= first)
    until = [at for at in (which.until, None if created_at is None else created_at + 0.001) if at is not None]
    if (end := first_id(min(until, default=None))) is not None:
        where.append(c.event_id < end)
    return select(*columns).where(*where).order_by(*_KEY)


def _fitting(connection: Connection, which: ReplayFilter, rows: Sequence[tuple[Any, ...]]) -> list[Key]:
    """The keys of those of the wanted type and source."""
    if which.event_type is not None:
        wanted = storable(which.event_type)
        rows = [row for row in rows if row[2] == wanted]
    keys = [(row[0], row[1]) for row in rows]
    if which.source is None or not keys:
        return keys
    c = events.c
    of_source = select(c.id).where(
        among(connection, c.id, [key[0] for key in keys]), c.source == storable(which.source)
    )
    known = set(connection.scalars(of_source))
    return [key for key in keys if key[0] in known]


def _count(connection: Connection, which: ReplayFilter, entries: Select[Any]) -> tuple[int, int]:
    """How many entries there are, and how many of them fit."""
    inner = entries.subquery()
    seen = connection.scalar(select(func.count()).select_from(inner)) or 0
    if not seen or (which.event_type is None and which.source is None):
        return seen, seen
    chosen = select(func.count()).select_from(inner)
    if which.source is not None:
        joined = inner.join(events, events.c.id == inner.c.event_id)
        chosen = select(func.count()).select_from(joined).where(events.c.source == storable(which.source))
    if which.event_type is not None:
        chosen = chosen.where(inner.c.event_type == storable(which.event_type))
    return seen, connection.scalar(chosen) or 0


def _number(value: int) -> ColumnElement[int]:
    """Written out: PostgreSQL plans for the number."""
    return literal_column(str(int(value)))
