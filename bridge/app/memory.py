"""What policies do to sources and to our queues: only the management API tells it."""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from bridge.amqp.topology import Names, planned
from bridge.app.consumption import Consumption, Sources
from bridge.core.budget import Budget, libc
from bridge.core.errors import SettingsError
from bridge.core.survey import FoundPolicies
from bridge.doctor.policies import in_force, limit_of, of_ours
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.lanes import LaneScheduler
from bridge.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

_EVERY = 300.0
"""Seconds: policies change, and queues are made."""


class PolicyLimits:
    """Asks now and then, and says what was found."""

    def __init__(
        self,
        look: Callable[[], FoundPolicies],
        consumption: Consumption,
        names: Names,
        table: HookTable,
    ) -> None:
        """`look` may take seconds, and runs in a thread; our queues have these names, and lanes those of the hooks."""
        self._look = look
        self._names = names
        self._table = table
        self._harms: dict[str, str] = {}
        self._consumption = consumption
        self._told = ""
        self._looked = asyncio.Event()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY)

    async def known(self, patience: float) -> None:
        """Return once they are known, or were not within so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._looked.wait()

    async def look(self) -> None:
        """Once."""
        try:
            found = await asyncio.to_thread(self._look)
        except SettingsError as error:
            found = FoundPolicies(failure=str(error))
        if found.failure and found.failure != self._told:
            log.warning(
                "source.limits_not_seen", error=found.failure, effect="limits by policy are not known"
            )
        self._told = found.failure
        if not found.failure:
            self._tell(found)
        self._looked.set()

    def _tell(self, found: FoundPolicies) -> None:
        """What was known before stays known while nobody tells anything: messages come back just when a broker goes."""
        version = ".".join(map(str, self._consumption.queues.release))
        limits = {
            queue.name: limit_of(queue, in_force(queue.name, found.policies), version)
            for queue in found.queues
        }
        self._consumption.limited({queue: limit for queue, limit in limits.items() if limit is not None})
        self._look_at_ours(found)

    @property
    def problem(self) -> str:
        """What is in force on our queues and harms what waits there; empty: nothing."""
        if not self._harms:
            return ""
        queue, harm = next(iter(self._harms.items()))
        others = f"; {len(self._harms) - 1} more queues of the bridge" if len(self._harms) > 1 else ""
        return f"queue {queue}: {harm}{others}"

    def _look_at_ours(self, found: FoundPolicies) -> None:
        hooks = [runner.hook.id for runner in self._table]
        harms = {}
        for each in planned(self._names, "quorum", hooks):
            if each.kind == "queue":
                findings = of_ours(each.name, found.policies)
                if harm := "; ".join(finding.message for finding in findings if finding.level == "problem"):
                    harms[each.name] = harm
        fresh: dict[str, list[str]] = {}
        for queue, harm in harms.items():
            if self._harms.get(queue) != harm:
                fresh.setdefault(harm, []).append(queue)
        for harm, queues in fresh.items():
            advice = "narrow the policy's pattern so that it leaves our queues out"
            log.warning(
                "policy.limits_ours", queues=queues[:20], count=len(queues), effect=harm, advice=advice
            )
        self._harms = harms


# Keeping the process within its memory, and giving back what it does not need any more.


_LOOK_EVERY = 0.25

_DOUBLE_AFTER = 20.0
"""Seconds for which a process that began with little has to live before it may hold twice as much."""

_PEAK = 16_777_216
"""Bytes that must have come and gone before it is worth while to look for free memory."""
_REST = 2.0
"""Seconds between two looks."""


class Memory:
    """Fits the prefetch of all consumers to what is free, and tells what is held."""

    def __init__(self, budget: Budget, sources: Sources, lanes: LaneScheduler, metrics: Metrics) -> None:
        self._budget = budget
        self._sources = sources
        self._lanes = lanes
        self._metrics = metrics
        self._widen_at = time.monotonic() + _DOUBLE_AFTER
        self._peak = 0
        self._look_at = 0.0
        self._trim = libc("malloc_trim")
        metrics.rare.memory_budget.set(budget.whole)

    async def run(self) -> None:
        """Keep to it until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self._tell()
            self._widen()
            await self._let_go()
            self._lanes.fit()
            self._sources.fit()

    def _tell(self) -> None:
        for holder, octets in self._budget.by_holder.items():
            self._metrics.rare.memory_held.labels(holder).set(octets)

    def _widen(self) -> None:
        budget = self._budget
        if budget.limit < budget.whole and time.monotonic() > self._widen_at:
            budget.limit_to(min(budget.whole, budget.limit * 2))
            self._widen_at = time.monotonic() + _DOUBLE_AFTER

    async def _let_go(self) -> None:
        """Give free memory back to the system after a peak: the allocator keeps it, and pods are judged by it."""
        held = self._budget.held
        self._peak = max(self._peak, held)
        now = time.monotonic()
        if self._trim is None or now < self._look_at or self._peak - held < max(_PEAK, self._peak // 2):
            return
        self._peak, self._look_at = held, now + _REST
        await asyncio.to_thread(self._trim, 0)
