"""What the replicas of a bridge do together: hear of each other, and delete hooks."""

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

# Reads every few seconds how hooks fare, whichever replica attempted, for lists and metrics of this one.


log = structlog.get_logger(__name__)

_EVERY = 5.0


class HookHealthPoller:
    """What is read is told to the hooks in force; of others nobody asks."""

    def __init__(self, statistics: SqlStatistics, in_force: HooksInForce) -> None:
        self._statistics = statistics
        self._in_force = in_force

    async def run(self) -> None:
        """Read until cancelled; while the database is away what was read last goes on."""
        while True:
            try:
                await self.read()
            except BridgeError as error:
                log.debug("hook_health.failed", error=str(error))
            await asyncio.sleep(_EVERY)

    async def read(self) -> None:
        """Once; raises HistoryUnavailable."""
        health = await self._statistics.health()
        self._in_force.health = health
        for runner in self._in_force.table:
            found = health.get(runner.hook.id)
            runner.metrics.failing.value = found is not None and found.only_fails


_LAST_WORD = 2.0


class ReplicaCoordination:
    """Everything of a running bridge that is about the others."""

    def __init__(
        self,
        parts: Container,
        store: SqlHooks,
        engine: Engine,
        *,
        served: frozenset[str] | None,
        several: bool,
    ) -> None:
        """`engine`: that of the history; `several`: there may be others."""
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
        """What is to run for as long as the bridge does, with names."""
        return [
            (self._parts.control.run(), "control"),
            (self._parts.in_force.run(), "hooks in force"),
            (self._presence.run(), "presence"),
            (self._removals.run(), "removals"),
            (HookHealthPoller(self.statistics, self._parts.in_force).run(), "faring"),
        ]

    async def begin(self) -> bool:
        """Be there from now on; whether the last stop was not in order. Raises HistoryUnavailable."""
        return await self._presence.begin(alone=not self._several)

    async def stop(self) -> None:
        """Let others go on with what was begun here, before the rest of the bridge stops."""
        await self._removals.stop()

    async def leave(self) -> None:
        """Be there no longer; the database is still open."""
        with suppress(HistoryUnavailable, TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                await self._parts.guard.leave()
                await self._parts.recall.leave()
        await self._presence.leave()

    def _lane_made(self, hook: str) -> None:
        """Alone, lanes are made by this process only: there is no need to look for them."""
        if hook or self._several:
            self._parts.service.lane_made(hook)
