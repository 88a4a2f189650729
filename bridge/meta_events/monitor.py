"""The monitor of failing hooks and of the quarantine: publishes warnings, and pauses hooks that fail for too long."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy import Connection, func, select, update

from bridge.core.errors import BridgeError
from bridge.core.event import OWN_EVENTS
from bridge.db.admin_tables import hook_health as health
from bridge.db.admin_tables import hooks
from bridge.db.engine import Reads, Store, Writes
from bridge.db.tables import hook_states, quarantine
from bridge.history.leases import SqlReplicas
from bridge.meta.words import (
    LEVELS,
    MetaType,
    Standing,
    Told,
    failing,
    quarantine_growing,
    recovered,
    words_for,
)
from bridge.meta_events.publisher import MetaEventPublisher
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.telemetry import events

log = structlog.get_logger(__name__)

FAILING = "failing"
"""The reason of a pause after only failures for too long."""

_LEASE = 60.0
_QUARANTINE_WINDOW = 60.0
_QUARANTINE_QUIET = 600.0


class FailingHookMonitor:
    """The monitor, run by one replica at a time: the holder of the lease."""

    def __init__(
        self,
        standings: "SqlStandings",
        leases: SqlReplicas,
        table: HookTable,
        herald: MetaEventPublisher,
        *,
        holder: str,
        threshold: float,
        pause: Callable[[HookWorker, str], None],
        new_id: Callable[[], str],
    ) -> None:
        """Prepare the monitor. `threshold` is the time in seconds of only failures after which `pause` is called,
        0: never. `holder` is this process.
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
        """Check periodically until cancelled."""
        every = min(max(self._threshold / 40, 0.25), 5.0) if self._threshold else 5.0
        while True:
            await asyncio.sleep(every)
            try:
                if await self._is_ours():
                    await self.look(time.time())
            except BridgeError as error:
                log.info("failing_hooks.failed", error=str(error), effect="looks again soon")
            except Exception:
                # Whatever error the check has, deliveries continue.
                log.exception("failing_hooks.internal_error", effect="looks again soon")

    async def look(self, now: float) -> None:
        """Check once. Raises BridgeError if broker or database are unavailable; the rest is left to the next check."""
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

    async def _warn(self, runner: HookWorker, standing: Standing, told: Told) -> None:
        """Publish the warning, then store it: a crash in between repeats a warning and loses none."""
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
        """Check the quarantine; at most one event in ten minutes for each source, across replicas, by a lease for
        each event.
        """
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


# How hooks fare and which warnings were sent, in the database.


_FIELDS = (
    health.c.hook,
    health.c.failing_since,
    health.c.last_failure_at,
    health.c.last_success_at,
    health.c.failed_attempts,
    health.c.warned,
    health.c.warned_since,
)


def _standings(connection: Connection) -> list[Standing]:
    """Returns the hooks that fail now, or whose last warning is not cleared."""
    wanted = (
        select(*_FIELDS, hook_states.c.changed_at, hooks.c.updated_at)
        .select_from(health)
        .outerjoin(hook_states, hook_states.c.hook == health.c.hook)
        .outerjoin(hooks, hooks.c.id == health.c.hook)
        .where(health.c.failing_since.is_not(None) | (health.c.warned > 0))
    )
    return [_standing(row) for row in connection.execute(wanted)]


def _standing(row: Sequence[Any]) -> Standing:
    *fields, said_at, changed_at = row
    return replace(Standing(*fields), attended_at=max(said_at or 0.0, changed_at or 0.0))


def _remember(connection: Connection, before: Standing, level: int, since: float | None) -> bool:
    """Store the published level of a failing period since then (0: none); returns False if the state changed since
    `before`.
    """
    change = (
        update(health)
        .where(
            health.c.hook == before.hook,
            health.c.warned == before.warned,
            health.c.warned_since.is_not_distinct_from(before.warned_since),
        )
        .values(warned=level, warned_since=since)
    )
    return connection.execute(change).rowcount == 1


def _quarantined(connection: Connection, since: float) -> dict[str, int]:
    """Returns the number of messages quarantined since that Unix time, by source; sources with none are absent."""
    wanted = (
        select(quarantine.c.source, func.count().label("messages"))
        .where(quarantine.c.quarantined_at >= since)
        .group_by(quarantine.c.source)
    )
    return {row.source: row.messages for row in connection.execute(wanted)}


class SqlStandings(Store):
    """The store to the failing state of hooks and the published warnings, shared by all replicas. Each method raises
    HistoryUnavailable.
    """

    standings = Reads(_standings)
    told = Writes(_remember)
    quarantined = Reads(_quarantined)
