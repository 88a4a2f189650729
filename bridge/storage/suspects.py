"""Messages that may have ended a process, in the database."""

from collections.abc import Collection, Iterator, Mapping
from functools import partial

from sqlalchemy import Connection, delete, select, update

from bridge.storage.admin_tables import replicas
from bridge.storage.engines.engine import Engine
from bridge.storage.guard_tables import suspects
from bridge.storage.jobs_replicas import now
from bridge.storage.statements import any_insert, padded

KEPT = 86_400.0
"""Seconds after which nobody suspects a message any more."""
IN_A_ROW = 600.0
"""Seconds within which one unclean stop follows another."""
_DEATHS = "unclean stops"
"""Stands for a digest in the row that counts them."""
_AT_ONCE = 500
"""Rows in one statement."""


class SqlSuspects:
    """The port Suspects (bridge.ports.guards) on a database."""

    def __init__(self, engine: Engine) -> None:
        """The engine's database has this version's tables."""
        self._engine = engine

    async def died(self) -> int:
        return await self._engine.write(_died)

    async def times(self, digests: Collection[str], replica: str) -> Mapping[str, int]:
        return await self._engine.read(partial(_times, digests=digests, replica=replica))

    async def note(self, digests: Collection[str], replica: str, over: Collection[str] = ()) -> None:
        await self._engine.write(partial(_note, digests=digests, replica=replica, over=over))

    async def doubt(self, digests: Collection[str], replica: str) -> None:
        await self._engine.write(partial(_doubt, digests=digests, replica=replica))

    async def clear(self, digests: Collection[str]) -> None:
        await self._engine.write(partial(_clear, digests=digests))

    async def leave(self, replica: str) -> None:
        await self._engine.write(partial(_leave, replica=replica))


def _died(connection: Connection) -> int:
    c = suspects.c
    at = now(connection)
    connection.execute(delete(suspects).where(c.digest == _DEATHS, c.noted_at <= at - IN_A_ROW))
    statement = any_insert(connection, suspects).values(digest=_DEATHS, replica="", times=1, noted_at=at)
    counted = {"times": c.times + 1, "noted_at": at}
    connection.execute(statement.on_conflict_do_update(index_elements=[c.digest], set_=counted))
    return connection.scalar(select(c.times).where(c.digest == _DEATHS)) or 1


def _times(connection: Connection, digests: Collection[str], replica: str) -> dict[str, int]:
    c = suspects.c
    since = now(connection) - KEPT
    found: dict[str, int] = {}
    for some in _chunks(digests):
        rows = connection.execute(
            select(c.digest, c.replica, c.times).where(c.digest.in_(some), c.noted_at > since)
        )
        found |= {row.digest: row.times - (row.replica == replica) for row in rows}
    return {digest: times for digest, times in found.items() if times > 0}


def _note(connection: Connection, digests: Collection[str], replica: str, over: Collection[str]) -> None:
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
    c = suspects.c
    for some in _chunks(digests):
        connection.execute(update(suspects).where(c.digest.in_(some), c.replica == replica).values(times=1))


def _clear(connection: Connection, digests: Collection[str]) -> None:
    for some in _chunks(digests):
        connection.execute(delete(suspects).where(suspects.c.digest.in_(some)))


def _leave(connection: Connection, replica: str) -> None:
    others = select(replicas.c.id).where(replicas.c.id != replica)
    connection.execute(delete(suspects).where(suspects.c.replica.not_in(others)))


def _chunks(digests: Collection[str], *, fill: bool = True) -> Iterator[list[str]]:
    """In the order of the keys, so that two processes never wait for each other's rows."""
    ordered = sorted(digests)
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        yield padded(some) if fill else some
