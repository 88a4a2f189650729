"""The store of claims on deduplication keys, by the digests of keys."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from sqlalchemy import ColumnElement, Connection, and_, delete, false, select, true, update

from bridge.core.guards import Claim, Claimed, Earlier
from bridge.db.admin_tables import claims
from bridge.db.engine import Engine, Reads, Store, Writes
from bridge.db.scan import among
from bridge.db.upserts import Row, Upsert, keep_the_first
from bridge.history import leases
from bridge.history.guards_store import hooks_of

_NOBODY = ""


def finish(connection: Connection, held: Sequence[tuple[str, str]]) -> None:
    """Marks the claims of these events as done: all their deliveries have a fate."""
    if held:
        connection.execute(update(claims).where(_those(connection, held)).values(done=true()))


def _found(connection: Connection, rows: Mapping[str, Row]) -> dict[str, tuple[str, str, float, bool, float]]:
    c = claims.c
    chosen = select(c.digest, c.event_id, c.holder, c.claimed_at, c.done, c.until)
    told = connection.execute(chosen.where(among(connection, c.digest, list(rows))))
    return {row[0]: (row[1], row[2], row[3], row[4], row[5]) for row in told}


def _replace(connection: Connection, rows: Iterable[Row], at: float) -> None:
    """Replaces claims that have expired or lost their validity."""
    for digest, event_id, holder, claimed_at, until, done in rows:
        new = {"event_id": event_id, "holder": holder, "claimed_at": claimed_at, "until": until, "done": done}
        of_old = and_(claims.c.digest == digest, claims.c.until <= at)
        connection.execute(update(claims).where(of_old).values(new))


def _take_over(
    connection: Connection, seen: Collection[Claimed], holder: str, at: float
) -> dict[str, Earlier]:
    """Takes over claims in the order of their digests, so that two replicas never deadlock."""
    c = claims.c
    won: dict[str, str] = {}
    for one in sorted(seen, key=lambda each: each.digest):
        as_seen = and_(
            c.digest == one.digest, c.event_id == one.event_id, c.holder == one.holder, c.claimed_at == one.at
        )
        # If this runs a second time (the connection broke during the commit), the claim is ours already.
        ours = and_(
            c.digest == one.digest, c.event_id == one.event_id, c.holder == holder, c.claimed_at == at
        )
        taken = update(claims).where(as_seen | ours, c.done == false()).values(holder=holder, claimed_at=at)
        if connection.execute(taken).rowcount:
            won[one.digest] = one.event_id
    hooks = hooks_of(connection, list(won.values()))
    return {
        digest: Earlier(event_id, frozenset(hooks.get(event_id) or ())) for digest, event_id in won.items()
    }


def _renew(connection: Connection, held: Collection[tuple[str, str]], holder: str, at: float) -> None:
    ours = and_(_those(connection, held), claims.c.holder == holder)
    connection.execute(update(claims).where(ours).values(claimed_at=at))


def _release(connection: Connection, held: Collection[tuple[str, str]], holder: str) -> None:
    """Release the leases of these (digest, event id) pairs, so that other processes need not wait for their expiry."""
    ours = and_(_those(connection, held), claims.c.holder == holder, claims.c.done == false())
    connection.execute(update(claims).where(ours).values(holder=_NOBODY))


def _forget(connection: Connection, before: float, limit: int) -> int:
    """Delete at most `limit` leases that expired before that Unix time; returns the number deleted."""
    over = select(claims.c.digest).where(claims.c.until < before).limit(limit)
    return connection.execute(delete(claims).where(claims.c.digest.in_(over))).rowcount


class SqlClaims(Store):
    """The store of deduplication leases: keys of events that a publisher may send twice (`sources[].dedupe`).

    `holder` is the calling process, `at` the Unix time. Each call is one transaction and raises HistoryUnavailable.
    """

    now = Reads(leases.now)
    take_over = Writes(_take_over)
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
        return await self.engine.write(partial(self._claim, rows=rows, holder=holder, at=at))

    def _claim(
        self, connection: Connection, rows: Mapping[str, Row], holder: str, at: float
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


def _those(connection: Connection, held: Collection[tuple[str, str]]) -> ColumnElement[bool]:
    """Returns the condition for these digests and events: an event has one key, so the two lists cannot match crosswise."""
    digests, ids = sorted({digest for digest, _ in held}), sorted({event_id for _, event_id in held})
    return and_(among(connection, claims.c.digest, digests), among(connection, claims.c.event_id, ids))
