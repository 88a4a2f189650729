"""Reads every few seconds how hooks fare, whichever replica attempted, for lists and metrics of this one."""

import asyncio

import structlog

from bridge.core.errors import BridgeError
from bridge.hooks.in_force import HooksInForce
from bridge.stats.store import SqlStatistics

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
