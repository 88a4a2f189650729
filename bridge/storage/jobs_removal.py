"""What of a hook has no final status, counted and ended: for hooks that are deleted."""

from functools import partial

from sqlalchemy import Connection, delete, func, select, update

from bridge.model.delivery import FINAL, Status
from bridge.storage.admin_tables import outbox
from bridge.storage.engines.engine import Engine
from bridge.storage.sums import count_ends
from bridge.storage.tables import deliveries

_WAITING = sorted(str(status) for status in Status if status not in FINAL)
_DELETED = "hook_deleted"


class SqlRemains:
    """The port Remains (bridge.ports.jobs) on a database."""

    def __init__(self, engine: Engine) -> None:
        """The engine's database has this version's tables."""
        self._engine = engine

    async def waiting(self, hook: str) -> int:
        return await self._engine.read(partial(_waiting, hook=hook))

    async def end_waiting(self, hook: str, at: float, limit: int) -> int:
        return await self._engine.write(partial(_end_waiting, hook=hook, at=at, limit=limit))

    async def ended(self, hook: str) -> int:
        return await self._engine.read(partial(_ended, hook=hook))


def _waiting(connection: Connection, hook: str) -> int:
    c = deliveries.c
    counting = select(func.count()).where(c.hook == hook, c.status.in_(_WAITING))
    return connection.scalar(counting) or 0


def _end_waiting(connection: Connection, hook: str, at: float, limit: int) -> int:
    c = deliveries.c
    some = select(c.id).where(c.hook == hook, c.status.in_(_WAITING)).order_by(c.id).limit(limit)
    # In one order, as commits of the pipeline do it, so that neither waits for the other for ever.
    ids = list(connection.scalars(some.with_for_update()))
    if not ids:
        return 0
    connection.execute(
        update(deliveries)
        .where(c.id.in_(ids), c.status.in_(_WAITING))
        .values(status=str(Status.FAILED), reason=_DELETED, updated_at=at, next_attempt_at=None)
    )
    connection.execute(delete(outbox).where(outbox.c.delivery_id.in_(ids)))
    count_ends(connection, [(hook, str(Status.FAILED), at)] * len(ids))
    return len(ids)


def _ended(connection: Connection, hook: str) -> int:
    c = deliveries.c
    counting = select(func.count()).where(
        c.hook == hook, c.status == str(Status.FAILED), c.reason == _DELETED
    )
    return connection.scalar(counting) or 0
