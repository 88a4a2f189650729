"""Idempotency keys in the database."""

from functools import partial

from sqlalchemy import Connection, delete, select, update

from bridge.ports.publishing import Begun
from bridge.storage.admin_tables import idempotency
from bridge.storage.engines.engine import Engine
from bridge.storage.statements import any_insert

KEPT = 86_400.0
"""Seconds for which a key is known."""
ABANDONED = 60.0
"""Seconds after which a request under way was cut off: a publish ends sooner, one way or the other."""
_FAILED = 0
_DONE = 1


class SqlIdempotency:
    """The port Idempotency (bridge.ports.publishing) on a database."""

    def __init__(self, engine: Engine) -> None:
        """The engine's database has this version's tables."""
        self._engine = engine

    async def begin(self, key: str, request: str, answer: str, at: float) -> Begun:
        return await self._engine.write(partial(_begin, key=key, request=request, answer=answer, at=at))

    async def done(self, key: str) -> None:
        await self._engine.write(partial(_end, key=key, status=_DONE))

    async def failed(self, key: str) -> None:
        await self._engine.write(partial(_end, key=key, status=_FAILED))


def _begin(connection: Connection, key: str, request: str, answer: str, at: float) -> Begun:
    c = idempotency.c
    connection.execute(delete(idempotency).where(c.at < at - KEPT))
    made = connection.execute(
        any_insert(connection, idempotency)
        .values(key=key, request=request, status=None, answer=answer, at=at)
        .on_conflict_do_nothing(index_elements=[c.key])
    )
    if made.rowcount:
        return Begun("go", answer)
    row = connection.execute(select(idempotency).where(c.key == key).with_for_update()).mappings().one()
    if row["request"] != request:
        return Begun("other")
    if row["status"] == _DONE:
        return Begun("done", row["answer"])
    under_way = row["status"] is None and row["at"] > at - ABANDONED
    if under_way and row["answer"] != answer:  # the same answer: this very call, run once more
        return Begun("busy")
    connection.execute(update(idempotency).where(c.key == key).values(status=None, at=at))
    return Begun("go", row["answer"])


def _end(connection: Connection, key: str, status: int) -> None:
    connection.execute(update(idempotency).where(idempotency.c.key == key).values(status=status))
