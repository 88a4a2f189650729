"""Looks at how hooks fare and at the quarantine: warns in time, and pauses what has only failed for too long."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from bridge.app.herald import EventHerald
from bridge.model.errors import BridgeError
from bridge.model.source import OWN_EVENTS
from bridge.pipeline.hook import HookRunner
from bridge.pipeline.table import HookTable
from bridge.ports.herald import Standings
from bridge.ports.jobs import Leases
from bridge.rules.meta.standing import LEVELS, Standing, Told, words_for
from bridge.rules.meta.words import MetaType, failing, quarantine_growing, recovered
from bridge.telemetry import events

log = structlog.get_logger(__name__)

FAILING = "failing"
"""Why a hook is paused that has only failed for too long."""

_LEASE = 60.0
_QUARANTINE_WINDOW = 60.0
_QUARANTINE_QUIET = 600.0


class Lookout:
    """Done by one process for all replicas: the one that holds the lease."""

    def __init__(
        self,
        standings: Standings,
        leases: Leases,
        table: HookTable,
        herald: EventHerald,
        *,
        holder: str,
        threshold: float,
        pause: Callable[[HookRunner, str], None],
        new_id: Callable[[], str],
    ) -> None:
        """`threshold`: seconds of nothing but failures after which `pause` is called, 0: never. `holder` names this
        process.
        """
        self._standings = standings
        self._leases = leases
        self._table = table
        self._herald = herald
        self._holder = holder
        self._threshold = threshold
        self._pause = pause
        self._new_id = new_id
        self._leased_until = 0.0

    async def run(self) -> None:
        """Look until cancelled."""
        every = min(max(self._threshold / 40, 0.25), 5.0) if self._threshold else 5.0
        while True:
            await asyncio.sleep(every)
            try:
                if await self._is_ours():
                    await self.look(time.time())
            except BridgeError as error:
                log.info("lookout.failed", error=str(error), effect="looks again soon")
            except Exception:
                # Whatever is wrong with looking, deliveries go on.
                log.exception("lookout.bug", effect="looks again soon")

    async def look(self, now: float) -> None:
        """Once; raises BridgeError where broker or database are away, and leaves the rest for the next time."""
        for standing in await self._standings.standings():
            await self._look_at(standing)
        await self._look_at_quarantine(now)

    async def _is_ours(self) -> bool:
        if time.monotonic() < self._leased_until - _LEASE / 2:
            return True
        asked_at = time.monotonic()
        ours = await self._leases.lease("herald", self._holder, _LEASE)
        self._leased_until = asked_at + _LEASE if ours else 0.0
        return ours

    async def _look_at(self, standing: Standing) -> None:
        runner = self._table.get(standing.hook)
        if runner is None:
            return
        told = words_for(standing, self._threshold)
        if told.recovered:
            await self._herald.publish(MetaType.RECOVERED, recovered(runner.hook, standing), runner.hook)
            await self._standings.told(standing, 0, None)
            events.hook_recovered(standing.hook)
        elif told.levels and runner.hook.enabled and not runner.paused:
            await self._warn(runner, standing, told)

    async def _warn(self, runner: HookRunner, standing: Standing, told: Told) -> None:
        """Told first and remembered then: a crash in between repeats a warning and loses none."""
        for level in told.levels:
            facts = failing(runner.hook, standing, level, told.since, self._threshold)
            await self._herald.publish(MetaType.FAILING, facts, runner.hook)
            events.hook_failing(standing.hook, level, told.since)
            if level == LEVELS[-1]:
                self._pause(runner, FAILING)
            if not await self._standings.told(standing, level, told.since):
                return
            standing = replace(standing, warned=level, warned_since=told.since)

    async def _look_at_quarantine(self, now: float) -> None:
        """At most once in ten minutes for each source, whoever looks: that is what each telling takes a lease for."""
        lately = await self._standings.quarantined(now - _QUARANTINE_WINDOW)
        fresh = [source for source in lately if source != OWN_EVENTS]
        if not fresh:
            return
        counted = await self._standings.quarantined(now - _QUARANTINE_QUIET)
        for source in fresh:
            await self._tell_of_quarantine(source, counted.get(source, lately[source]), now)

    async def _tell_of_quarantine(self, source: str, messages: int, now: float) -> None:
        name, once = f"quarantine.growing {source}", self._new_id()
        if await self._leases.lease(name, once, _QUARANTINE_QUIET):
            try:
                facts = quarantine_growing(source, messages, now - _QUARANTINE_QUIET)
                await self._herald.publish(MetaType.QUARANTINE_GROWING, facts)
            except BridgeError:
                await self._leases.release(name, once)
                raise
