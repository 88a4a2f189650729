"""The coordination of replicas: membership, shared state of hooks, and the deletion of hooks."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import structlog

from bridge.app.build import Container
from bridge.cluster.replicas import ReplicaHeartbeat
from bridge.core.errors import BridgeError, HistoryUnavailable
from bridge.core.target import TARGET_TYPES
from bridge.db.engine import Engine
from bridge.history.leases import SqlReplicas
from bridge.hooks.deletion import HookDeletion, SqlUnfinishedDeliveries
from bridge.hooks.in_force import HooksInForce
from bridge.hooks.store import SqlHooks
from bridge.stats.store import SqlStatistics

# Hook health: polled every few seconds from the database, whichever replica made the attempts, for lists and metrics of this
# one.


log = structlog.get_logger(__name__)

_EVERY = 5.0


class HookHealthPoller:
    """Polls the health of the hooks in force."""

    def __init__(self, statistics: SqlStatistics, in_force: HooksInForce) -> None:
        self._statistics = statistics
        self._in_force = in_force

    async def run(self) -> None:
        """Polls until cancelled; while the database cannot be reached, the last values remain."""
        while True:
            try:
                await self.read()
            except BridgeError as error:
                log.debug("hook_health.failed", error=str(error))
            await asyncio.sleep(_EVERY)

    async def read(self) -> None:
        """Polls once; raises HistoryUnavailable."""
        health = await self._statistics.health()
        self._in_force.health = health
        for runner in self._in_force.table:
            found = health.get(runner.hook.id)
            runner.metrics.failing.value = found is not None and found.only_fails


_LAST_WORD = 2.0


class ReplicaCoordination:
    """The part of a running bridge that coordinates it with other replicas."""

    def __init__(
        self,
        parts: Container,
        store: SqlHooks,
        engine: Engine,
        *,
        served: frozenset[str] | None,
        several: bool,
    ) -> None:
        """`engine` is that of the history; `several`: there may be other replicas."""
        self._parts = parts
        self._several = several
        self.replicas = SqlReplicas(engine)
        self.statistics = SqlStatistics(engine)
        targets = sorted(TARGET_TYPES if served is None else served)
        self._presence = ReplicaHeartbeat(self.replicas, parts.in_force, parts.replica_id, targets)
        self._removals = HookDeletion(
            parts.in_force,
            self._presence,
            store,
            SqlUnfinishedDeliveries(engine),
            self.replicas,
            replica_id=parts.replica_id,
            topology=parts.topology,
            channel=parts.lane_channel,
            receive=parts.service.receive,
            metrics=parts.metrics,
        )
        parts.in_force.remove = self._removals.delete
        if several:
            parts.in_force.everywhere = self._presence.wait_for_all
        parts.control.listen("hooks", parts.in_force.heard)
        parts.control.listen("lane", self._lane_made)

    def work(self) -> list[tuple[Coroutine[Any, Any, None], str]]:
        """Returns the background tasks of the bridge's lifetime, with their names."""
        return [
            (self._parts.control.run(), "control"),
            (self._parts.in_force.run(), "hooks in force"),
            (self._presence.run(), "presence"),
            (self._removals.run(), "removals"),
            (HookHealthPoller(self.statistics, self._parts.in_force).run(), "faring"),
        ]

    async def begin(self) -> bool:
        """Registers this replica; returns whether the last stop was unclean. Raises HistoryUnavailable."""
        return await self._presence.begin(alone=not self._several)

    async def stop(self) -> None:
        """Hands over unfinished work to other replicas, before the rest of the bridge stops."""
        await self._removals.stop()

    async def leave(self) -> None:
        """Unregisters this replica; the database is still open."""
        with suppress(HistoryUnavailable, TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                await self._parts.guard.leave()
                await self._parts.recall.leave()
        await self._presence.leave()

    def _lane_made(self, hook: str) -> None:
        """Notes another replica's new lane, or with an empty id looks for lanes, which a single replica need not do."""
        if hook or self._several:
            self._parts.service.lane_made(hook)
