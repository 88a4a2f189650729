"""What the history knows of messages that are handed out again."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from sqlalchemy import ColumnElement, Connection, Text, and_, literal_column, not_, select, text

from bridge.model.delivery import DUPLICATE, Status
from bridge.ports.guards import Earlier, EventKey
from bridge.storage.engines.engine import Engine
from bridge.storage.records.scan import among
from bridge.storage.tables import INDEXED_LENGTH, deliveries, events
from bridge.storage.text import storable

_AT_ONCE = 500
_LOOKED_AT = 400_000
"""Entries of the index that one look goes through, about 0.1 s with SQLite; not less than so many of each of its heaps."""
_OF_A_HEAP = 25_000
_UNINDEXED = 5000
"""Events looked at for publisher ids that the index leaves out."""
_NEWEST = 5000
"""Events with one of the publisher ids, at the most: a publisher may give the same one to all."""


class SqlRecollection:
    """The port Recollection (bridge.ports.guards) on a database."""

    def __init__(self, engine: Engine) -> None:
        """The engine's database has this version's tables."""
        self._engine = engine

    async def earlier(self, keys: Collection[EventKey]) -> Mapping[EventKey, Earlier]:
        found: dict[EventKey, Earlier] = {}
        for some in _parts(keys):
            found |= await self._engine.read(partial(_earlier, keys=some))
        return found


def hooks_of(connection: Connection, ids: Sequence[str]) -> dict[str, set[str] | None]:
    """Of those of these events that have deliveries: the hooks with a fate; None where all were skipped as duplicates."""
    if not ids:
        return {}
    c = deliveries.c
    dropped = and_(c.status == str(Status.SKIPPED), c.reason == DUPLICATE)
    found: dict[str, set[str] | None] = {}
    rows = connection.execute(
        select(c.event_id, c.hook, not_(dropped)).where(among(connection, c.event_id, ids))
    )
    for event_id, hook, counts in rows:
        hooks = found.setdefault(event_id, None)
        if counts:
            found[event_id] = {hook} if hooks is None else hooks | {hook}
    return found


def _earlier(connection: Connection, keys: Sequence[EventKey]) -> dict[EventKey, Earlier]:
    stored = {
        (storable(source), storable(webhook_id)): (source, of, webhook_id) for source, of, webhook_id in keys
    }
    candidates = list(_candidates(connection, {storable(publisher_id) for _, publisher_id, _ in keys}))
    if not candidates:
        return {}
    c = events.c
    rows = connection.execute(
        select(c.id, c.source, c.webhook_id).where(among(connection, c.id, candidates)).order_by(c.id)
    )
    found = [(row[0], key) for row in rows if (key := stored.get((row[1], row[2])))]
    hooks = hooks_of(connection, [event_id for event_id, _ in found])
    earlier: dict[EventKey, Earlier] = {}
    for event_id, key in found:  # the newest last
        fates = hooks.get(event_id, set())
        if fates is not None:
            earlier[key] = Earlier(event_id, frozenset(fates))
    return earlier


def _candidates(connection: Connection, publisher_ids: Iterable[str]) -> Iterator[str]:
    """The newest events with these publisher ids, whatever their bodies."""
    heaps: dict[str, list[str]] = {}
    rest = []
    for one in sorted(publisher_ids):
        if 0 < len(one) <= INDEXED_LENGTH:
            heaps.setdefault(one[-1], []).append(one)
        else:
            rest.append(one)
    depth = max(_OF_A_HEAP, _LOOKED_AT // max(1, len(heaps)))
    for character, ids in heaps.items():
        yield from _of_heap(connection, character, ids, depth)
    if rest:
        yield from _without_index(connection, rest)


def _of_heap(connection: Connection, character: str, ids: Sequence[str], depth: int) -> Iterable[str]:
    c = events.c
    # Word for word as in the index, or it is not used.
    indexed = text(f"length(publisher_id) <= {INDEXED_LENGTH}")
    last = literal_column("substr(publisher_id, length(publisher_id))", Text)
    newest = select(c.id, c.publisher_id).where(indexed, last == character).order_by(c.id.desc())
    entries = newest.limit(_number(depth)).subquery()
    chosen = select(entries.c.id).where(among(connection, entries.c.publisher_id, ids))
    return connection.scalars(chosen.order_by(entries.c.id.desc()).limit(_number(_NEWEST))).all()


def _without_index(connection: Connection, ids: Sequence[str]) -> Iterable[str]:
    c = events.c
    entries = select(c.id, c.publisher_id).order_by(c.id.desc()).limit(_number(_UNINDEXED)).subquery()
    return connection.scalars(
        select(entries.c.id).where(among(connection, entries.c.publisher_id, ids))
    ).all()


def _number(value: int) -> ColumnElement[int]:
    """Written out, so that PostgreSQL plans for it."""
    return literal_column(str(int(value)))


def _parts(keys: Collection[EventKey]) -> Iterator[list[EventKey]]:
    rest = iter(keys)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
