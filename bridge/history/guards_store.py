"""The stores of poison candidates and of deduplication leases, and the lookup of redelivered messages."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa

from bridge.core.delivery import DUPLICATE, Status
from bridge.core.guards import Claim, Claimed, Earlier, EventKey
from bridge.db.admin_tables import claims, replicas, suspects
from bridge.db.engine import Engine, Reads, Store, Writes
from bridge.db.rows import storable
from bridge.db.scan import among, as_literal
from bridge.db.tables import INDEXED_LENGTH, deliveries, events
from bridge.db.upserts import Row, Upsert, any_insert, keep_the_first, padded
from bridge.history import leases
from bridge.history.leases import now

T = TypeVar("T")

KEPT = 86_400.0
"""Seconds after which a record of a candidate expires."""
IN_A_ROW = 600.0
"""Maximum seconds between two unclean stops that count as consecutive."""
_DEATHS = "unclean stops"
"""The pseudo-digest of the row that counts unclean stops."""
_AT_ONCE = 500
"""The number of rows in one statement, and of claims in one transaction, which must end in time."""


def _count_unclean_stop(connection: sa.Connection) -> int:
    """Record another unclean shutdown; returns how many happened in a row, at most minutes apart."""
    c = suspects.c
    at = now(connection)
    connection.execute(sa.delete(suspects).where(c.digest == _DEATHS, c.noted_at <= at - IN_A_ROW))
    statement = any_insert(connection, suspects).values(digest=_DEATHS, replica="", times=1, noted_at=at)
    counted = {"times": c.times + 1, "noted_at": at}
    connection.execute(statement.on_conflict_do_update(index_elements=[c.digest], set_=counted))
    return connection.scalar(sa.select(c.times).where(c.digest == _DEATHS)) or 1


def _times(connection: sa.Connection, digests: Collection[str], replica: str) -> dict[str, int]:
    """Returns in how many earlier runs each message was in-flight at the end; messages without a record are absent."""
    c = suspects.c
    since = now(connection) - KEPT
    found: dict[str, int] = {}
    for some in _chunks(digests):
        rows = connection.execute(
            sa.select(c.digest, c.replica, c.times).where(c.digest.in_(some), c.noted_at > since)
        )
        found |= {row.digest: row.times - (row.replica == replica) for row in rows}
    return {digest: times for digest, times in found.items() if times > 0}


def _note(
    connection: sa.Connection, digests: Collection[str], replica: str, over: Collection[str] = ()
) -> None:
    """Count each message once per run, before it is started; messages in `over` are forgotten first.

    Both happen in one transaction, so that a crash over the next message leaves no record of the previous one.
    """
    c = suspects.c
    at = now(connection)
    _clear(connection, over)
    connection.execute(sa.delete(suspects).where(c.noted_at <= at - KEPT))
    for some in _chunks(set(digests), fill=False):
        rows = [{"digest": each, "replica": replica, "times": 1, "noted_at": at} for each in some]
        statement = any_insert(connection, suspects).values(rows)
        counted = {"replica": replica, "times": c.times + 1, "noted_at": at}
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=[c.digest], set_=counted, where=c.replica != replica
            )
        )


def _doubt(connection: sa.Connection, digests: Collection[str], replica: str) -> None:
    """Reset the count of this run to one: the messages were not processed alone after all."""
    c = suspects.c
    for some in _chunks(digests):
        connection.execute(
            sa.update(suspects).where(c.digest.in_(some), c.replica == replica).values(times=1)
        )


def _clear(connection: sa.Connection, digests: Collection[str]) -> None:
    """Delete the records: the messages were settled and did not end the process."""
    for some in _chunks(digests):
        connection.execute(sa.delete(suspects).where(suspects.c.digest.in_(some)))


def _leave(connection: sa.Connection, replica: str) -> None:
    """Delete the records of this run at a graceful shutdown, except counts of other processes that still run."""
    others = sa.select(replicas.c.id).where(replicas.c.id != replica)
    connection.execute(sa.delete(suspects).where(suspects.c.replica.not_in(others)))


class SqlSuspects(Store):
    """The store to poison candidates: messages that were in-flight when a process ended without a graceful shutdown.

    `replica` identifies one run of a process. Records older than a day are deleted. Each method raises
    HistoryUnavailable.
    """

    count_unclean_stop = Writes(_count_unclean_stop)
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


def hooks_of(connection: sa.Connection, ids: Sequence[str]) -> dict[str, set[str] | None]:
    """Returns the hooks with a fate for those of these events that have any; None if all were skipped as duplicates."""
    if not ids:
        return {}
    c = deliveries.c
    dropped = sa.and_(c.status == str(Status.SKIPPED), c.reason == DUPLICATE)
    found: dict[str, set[str] | None] = {}
    rows = connection.execute(
        sa.select(c.event_id, c.hook, sa.not_(dropped)).where(among(connection, c.event_id, ids))
    )
    for event_id, hook, counts in rows:
        hooks = found.setdefault(event_id, None)
        if counts:
            found[event_id] = {hook} if hooks is None else hooks | {hook}
    return found


def _earlier(connection: sa.Connection, keys: Sequence[EventKey]) -> dict[EventKey, Earlier]:
    stored = {
        (storable(source), storable(webhook_id)): (source, of, webhook_id) for source, of, webhook_id in keys
    }
    candidates = list(_candidates(connection, {storable(publisher_id) for _, publisher_id, _ in keys}))
    if not candidates:
        return {}
    c = events.c
    rows = connection.execute(
        sa.select(c.id, c.source, c.webhook_id).where(among(connection, c.id, candidates)).order_by(c.id)
    )
    found = [(row[0], key) for row in rows if (key := stored.get((row[1], row[2])))]
    hooks = hooks_of(connection, [event_id for event_id, _ in found])
    earlier: dict[EventKey, Earlier] = {}
    for event_id, key in found:  # the newest last
        fates = hooks.get(event_id, set())
        if fates is not None:
            earlier[key] = Earlier(event_id, frozenset(fates))
    return earlier


def _candidates(connection: sa.Connection, publisher_ids: Iterable[str]) -> Iterator[str]:
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


def _of_heap(connection: sa.Connection, character: str, ids: Sequence[str], depth: int) -> Iterable[str]:
    c = events.c
    # The text must equal that of the index, or the index is not used.
    indexed = sa.text(f"length(publisher_id) <= {INDEXED_LENGTH}")
    last = sa.literal_column("substr(publisher_id, length(publisher_id))", sa.Text)
    newest = sa.select(c.id, c.publisher_id).where(indexed, last == character).order_by(c.id.desc())
    entries = newest.limit(as_literal(depth)).subquery()
    chosen = sa.select(entries.c.id).where(among(connection, entries.c.publisher_id, ids))
    return connection.scalars(chosen.order_by(entries.c.id.desc()).limit(as_literal(_NEWEST))).all()


def _without_index(connection: sa.Connection, ids: Sequence[str]) -> Iterable[str]:
    c = events.c
    entries = sa.select(c.id, c.publisher_id).order_by(c.id.desc()).limit(as_literal(_UNINDEXED)).subquery()
    return connection.scalars(
        sa.select(entries.c.id).where(among(connection, entries.c.publisher_id, ids))
    ).all()


def _parts(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


# The store of claims on deduplication keys, by the digests of keys.


_NOBODY = ""


def finish(connection: sa.Connection, held: Sequence[tuple[str, str]]) -> None:
    """Marks the claims of these events as done: all their deliveries have a fate."""
    if held:
        connection.execute(sa.update(claims).where(_those(connection, held)).values(done=sa.true()))


def _found(
    connection: sa.Connection, rows: Mapping[str, Row]
) -> dict[str, tuple[str, str, float, bool, float]]:
    c = claims.c
    chosen = sa.select(c.digest, c.event_id, c.holder, c.claimed_at, c.done, c.until)
    told = connection.execute(chosen.where(among(connection, c.digest, list(rows))))
    return {row[0]: (row[1], row[2], row[3], row[4], row[5]) for row in told}


def _replace(connection: sa.Connection, rows: Iterable[Row], at: float) -> None:
    """Replaces claims that have expired or lost their validity."""
    for digest, event_id, holder, claimed_at, until, done in rows:
        new = {"event_id": event_id, "holder": holder, "claimed_at": claimed_at, "until": until, "done": done}
        of_old = sa.and_(claims.c.digest == digest, claims.c.until <= at)
        connection.execute(sa.update(claims).where(of_old).values(new))


def _take_over(
    connection: sa.Connection, seen: Collection[Claimed], holder: str, at: float
) -> dict[str, Earlier]:
    """Takes over claims in the order of their digests, so that two replicas never deadlock."""
    c = claims.c
    won: dict[str, str] = {}
    for one in sorted(seen, key=lambda each: each.digest):
        as_seen = sa.and_(
            c.digest == one.digest, c.event_id == one.event_id, c.holder == one.holder, c.claimed_at == one.at
        )
        # If this runs a second time (the connection broke during the commit), the claim is ours already.
        ours = sa.and_(
            c.digest == one.digest, c.event_id == one.event_id, c.holder == holder, c.claimed_at == at
        )
        taken = (
            sa.update(claims).where(as_seen | ours, c.done == sa.false()).values(holder=holder, claimed_at=at)
        )
        if connection.execute(taken).rowcount:
            won[one.digest] = one.event_id
    hooks = hooks_of(connection, list(won.values()))
    return {
        digest: Earlier(event_id, frozenset(hooks.get(event_id) or ())) for digest, event_id in won.items()
    }


def _renew(connection: sa.Connection, held: Collection[tuple[str, str]], holder: str, at: float) -> None:
    ours = sa.and_(_those(connection, held), claims.c.holder == holder)
    connection.execute(sa.update(claims).where(ours).values(claimed_at=at))


def _release(connection: sa.Connection, held: Collection[tuple[str, str]], holder: str) -> None:
    """Release the leases of these (digest, event id) pairs, so that other processes need not wait for their expiry."""
    ours = sa.and_(_those(connection, held), claims.c.holder == holder, claims.c.done == sa.false())
    connection.execute(sa.update(claims).where(ours).values(holder=_NOBODY))


def _forget(connection: sa.Connection, before: float, limit: int) -> int:
    """Delete at most `limit` leases that expired before that Unix time; returns the number deleted."""
    over = sa.select(claims.c.digest).where(claims.c.until < before).limit(limit)
    return connection.execute(sa.delete(claims).where(claims.c.digest.in_(over))).rowcount


class SqlClaims(Store):
    """The store of deduplication leases: keys of events that a publisher may send twice (`sources[].dedupe`).

    `holder` is the calling process, `at` the Unix time. Each call raises HistoryUnavailable.
    """

    now = Reads(leases.now)
    renew = Writes(_renew)
    release = Writes(_release)
    forget_claims = Writes(_forget)

    def __init__(self, engine: Engine) -> None:
        """Prepares the store; the tables must have the schema of this version."""
        self.engine = engine
        self._insert = Upsert(claims, engine.dialect, keep_the_first)

    async def claim(self, wanted: Sequence[Claim], *, holder: str, at: float) -> Mapping[str, Claimed]:
        rows: dict[str, Row] = {}
        for one in wanted:
            row = (one.digest, one.event_id, holder, at, at + one.seconds, False)
            rows.setdefault(one.digest, row)
        found: dict[str, Claimed] = {}
        for some in _parts(rows.items()):
            found |= await self.engine.write(partial(self._claim, rows=dict(some), holder=holder, at=at))
        return found

    async def take_over(self, seen: Collection[Claimed], *, holder: str, at: float) -> Mapping[str, Earlier]:
        won: dict[str, Earlier] = {}
        for some in _parts(seen):
            won |= await self.engine.write(partial(_take_over, seen=some, holder=holder, at=at))
        return won

    def _claim(
        self, connection: sa.Connection, rows: Mapping[str, Row], holder: str, at: float
    ) -> dict[str, Claimed]:
        # Existing rows are not locked: transactions that finish them lock in another order.
        self._insert.write(connection, rows.values())
        found = _found(connection, rows)
        if over := sorted(digest for digest, (*_, until) in found.items() if until <= at):
            _replace(connection, [rows[digest] for digest in over], at)
            found = _found(connection, rows)
        return {
            digest: Claimed(
                digest,
                event_id,
                its_holder,
                claimed_at,
                done,
                new=(event_id, its_holder, claimed_at, done) == (rows[digest][1], holder, at, False),
            )
            for digest, (event_id, its_holder, claimed_at, done, _) in found.items()
        }


def _those(connection: sa.Connection, held: Collection[tuple[str, str]]) -> sa.ColumnElement[bool]:
    """Returns the condition for these digests and events: an event has one key, so the two lists cannot match crosswise."""
    digests, ids = sorted({digest for digest, _ in held}), sorted({event_id for _, event_id in held})
    return sa.and_(among(connection, claims.c.digest, digests), among(connection, claims.c.event_id, ids))
