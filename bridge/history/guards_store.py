"""The store of poison candidates, and the lookup of redelivered messages."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from sqlalchemy import (
    Connection,
    Text,
    and_,
    delete,
    literal_column,
    not_,
    select,
    text,
    update,
)

from bridge.core.delivery import DUPLICATE, Status
from bridge.core.guards import Earlier, EventKey
from bridge.db.admin_tables import replicas, suspects
from bridge.db.engine import Reads, Store, Writes
from bridge.db.scan import among, as_literal
from bridge.db.tables import INDEXED_LENGTH, deliveries, events
from bridge.db.text import storable
from bridge.db.upserts import any_insert, padded
from bridge.history.leases import now

KEPT = 86_400.0
"""Seconds after which a record of a candidate expires."""
IN_A_ROW = 600.0
"""Maximum seconds between two unclean stops that count as consecutive."""
_DEATHS = "unclean stops"
"""The pseudo-digest of the row that counts unclean stops."""
_AT_ONCE = 500
"""The number of rows in one statement."""


def _died(connection: Connection) -> int:
    """Record another unclean shutdown; returns how many happened in a row, at most minutes apart."""
    c = suspects.c
    at = now(connection)
    connection.execute(delete(suspects).where(c.digest == _DEATHS, c.noted_at <= at - IN_A_ROW))
    statement = any_insert(connection, suspects).values(digest=_DEATHS, replica="", times=1, noted_at=at)
    counted = {"times": c.times + 1, "noted_at": at}
    connection.execute(statement.on_conflict_do_update(index_elements=[c.digest], set_=counted))
    return connection.scalar(select(c.times).where(c.digest == _DEATHS)) or 1


def _times(connection: Connection, digests: Collection[str], replica: str) -> dict[str, int]:
    """Returns in how many earlier runs each message was in-flight at the end; messages without a record are absent."""
    c = suspects.c
    since = now(connection) - KEPT
    found: dict[str, int] = {}
    for some in _chunks(digests):
        rows = connection.execute(
            select(c.digest, c.replica, c.times).where(c.digest.in_(some), c.noted_at > since)
        )
        found |= {row.digest: row.times - (row.replica == replica) for row in rows}
    return {digest: times for digest, times in found.items() if times > 0}


def _note(connection: Connection, digests: Collection[str], replica: str, over: Collection[str] = ()) -> None:
    """Count each message once per run, before it is started; messages in `over` are forgotten first.

    Both happen in one transaction, so that a crash over the next message leaves no record of the previous one.
    """
    c = suspects.c
    at = now(connection)
    _clear(connection, over)
    connection.execute(delete(suspects).where(c.noted_at <= at - KEPT))
    for some in _chunks(set(digests), fill=False):
        rows = [{"digest": each, "replica": replica, "times": 1, "noted_at": at} for each in some]
        statement = any_insert(connection, suspects).values(rows)
        counted = {"replica": replica, "times": c.times + 1, "noted_at": at}
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[c.digest], set_=counted, where=c.replica != replica
            )
        )


def _doubt(connection: Connection, digests: Collection[str], replica: str) -> None:
    """Reset the count of this run to one: the messages were not processed alone after all."""
    c = suspects.c
    for some in _chunks(digests):
        connection.execute(update(suspects).where(c.digest.in_(some), c.replica == replica).values(times=1))


def _clear(connection: Connection, digests: Collection[str]) -> None:
    """Delete the records: the messages were settled and did not end the process."""
    for some in _chunks(digests):
        connection.execute(delete(suspects).where(suspects.c.digest.in_(some)))


def _leave(connection: Connection, replica: str) -> None:
    """Delete the records of this run at a graceful shutdown, except counts of other processes that still run."""
    others = select(replicas.c.id).where(replicas.c.id != replica)
    connection.execute(delete(suspects).where(suspects.c.replica.not_in(others)))


class SqlSuspects(Store):
    """The store to poison candidates: messages that were in-flight when a process ended without a graceful shutdown.

    `replica` identifies one run of a process. Records older than a day are deleted. Each method raises
    HistoryUnavailable.
    """

    died = Writes(_died)
    times = Reads(_times)
    note = Writes(_note)
    doubt = Writes(_doubt)
    clear = Writes(_clear)
    leave = Writes(_leave)


def _chunks(digests: Collection[str], *, fill: bool = True) -> Iterator[list[str]]:
    """Yields chunks in the order of the keys, so that two processes never deadlock."""
    ordered = sorted(digests)
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        yield padded(some) if fill else some


# The lookup of redelivered messages in the history.


_LOOKED_AT = 400_000
"""Maximum index entries that one lookup reads, about 0.1 s with SQLite; at least this many for each publisher id."""
_OF_A_HEAP = 25_000
_UNINDEXED = 5000
"""Maximum events that are searched for publisher ids too long for the index."""
_NEWEST = 5000
"""Maximum events that share a publisher id and are looked at: a publisher may give all events the same id."""


class SqlRecollection(Store):
    """The store of duplicate detection: earlier events of messages that the broker redelivers."""

    async def earlier(self, keys: Collection[EventKey]) -> Mapping[EventKey, Earlier]:
        found: dict[EventKey, Earlier] = {}
        for some in _parts(keys):
            found |= await self.engine.read(partial(_earlier, keys=some))
        return found


def hooks_of(connection: Connection, ids: Sequence[str]) -> dict[str, set[str] | None]:
    """Returns the hooks with a fate for those of these events that have any; None if all were skipped as duplicates."""
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
    """Yields the newest events with these publisher ids, whatever their bodies."""
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
    # The text must equal that of the index, or the index is not used.
    indexed = text(f"length(publisher_id) <= {INDEXED_LENGTH}")
    last = literal_column("substr(publisher_id, length(publisher_id))", Text)
    newest = select(c.id, c.publisher_id).where(indexed, last == character).order_by(c.id.desc())
    entries = newest.limit(as_literal(depth)).subquery()
    chosen = select(entries.c.id).where(among(connection, entries.c.publisher_id, ids))
    return connection.scalars(chosen.order_by(entries.c.id.desc()).limit(as_literal(_NEWEST))).all()


def _without_index(connection: Connection, ids: Sequence[str]) -> Iterable[str]:
    c = events.c
    entries = select(c.id, c.publisher_id).order_by(c.id.desc()).limit(as_literal(_UNINDEXED)).subquery()
    return connection.scalars(
        select(entries.c.id).where(among(connection, entries.c.publisher_id, ids))
    ).all()


def _parts(keys: Collection[EventKey]) -> Iterator[list[EventKey]]:
    rest = iter(keys)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
