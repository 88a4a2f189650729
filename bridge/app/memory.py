"""The policies on the queues of sources and of the bridge: only the management API reports them."""

import asyncio
import contextlib
import gc
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
from bridge.pipeline.settlement import InFlight
from bridge.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

_EVERY = 300.0
"""Seconds between two requests: policies change, and queues are created."""


class PolicyLimits:
    """Requests policies at intervals, and reports those found."""

    def __init__(
        self,
        look: Callable[[], FoundPolicies],
        consumption: Consumption,
        names: Names,
        table: HookTable,
    ) -> None:
        """`look` may take seconds, and runs in a thread; `names` are the bridge's queues, and `table` has the
        hooks of lanes.
        """
        self._look = look
        self._names = names
        self._table = table
        self._harms: dict[str, str] = {}
        self._consumption = consumption
        self._told = ""
        self._looked = asyncio.Event()

    async def run(self) -> None:
        """Requests until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_EVERY)

    async def known(self, patience: float) -> None:
        """Waits until the policies are known, at most `patience` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._looked.wait()

    async def look(self) -> None:
        """Requests the policies once."""
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
        """Reports what was found. If nothing was found, earlier values remain: redeliveries happen just when a broker node goes
        down.
        """
        version = ".".join(map(str, self._consumption.queues.release))
        limits = {
            queue.name: limit_of(queue, in_force(queue.name, found.policies), version)
            for queue in found.queues
        }
        self._consumption.limited({queue: limit for queue, limit in limits.items() if limit is not None})
        self._look_at_ours(found)

    @property
    def problem(self) -> str:
        """Returns the text of a policy that endangers waiting messages on the bridge's queues; empty if there is none."""
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


# The memory of the process: keeping it within the limit, and returning free memory to the system.


_LOOK_EVERY = 0.25

_DOUBLE_AFTER = 20.0
"""Seconds that a process which began with little memory has to run before it may use twice as much."""

_PEAK = 16_777_216
"""Bytes that must have been allocated and freed before a search for free memory is worthwhile."""
_REST = 2.0
"""Seconds between two checks."""
_DUE = 10
"""Collections of younger objects after which a full one is due, as is Python's default."""
_WEIGHT = 1000
"""Bytes that stand for the objects of an open delivery."""
_PATIENCE = 50_000
"""How many more bytes may be in flight at a full collection with each second since the last one."""
_NEVER = 2**31 - 1


def postpone_full_collections() -> None:
    """Leaves full collections of cyclic garbage to `Memory`: each visits every object, which takes a tenth of a second and more
    while a message of 10,000 events is delivered.
    """
    gc.set_threshold(*gc.get_threshold()[:2], _NEVER)


class Memory:
    """Fits the prefetch of all consumers to the free memory, and reports what is held."""

    def __init__(
        self, budget: Budget, sources: Sources, lanes: LaneScheduler, metrics: Metrics, load: InFlight
    ) -> None:
        """`load` counts the open deliveries."""
        self._budget = budget
        self._sources = sources
        self._lanes = lanes
        self._metrics = metrics
        self._load = load
        self._collected_at = time.monotonic()
        self._widen_at = time.monotonic() + _DOUBLE_AFTER
        self._peak = 0
        self._look_at = 0.0
        self._trim = libc("malloc_trim")
        metrics.rare.memory_budget.set(budget.whole)

    async def run(self) -> None:
        """Adjusts until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self._tell()
            self._widen()
            self.collect()
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

    def collect(self) -> None:
        """Collects cyclic garbage when little is in flight, or was not for long."""
        now = time.monotonic()
        in_flight = self._budget.held + _WEIGHT * self._load.open
        if gc.get_count()[2] > _DUE and in_flight <= _PATIENCE * (now - self._collected_at):
            gc.collect()
            self._collected_at = now

    async def _let_go(self) -> None:
        """Returns free memory to the system after a peak: the allocator keeps it, and container limits count it."""
        held = self._budget.held
        self._peak = max(self._peak, held)
        now = time.monotonic()
        if self._trim is None or now < self._look_at or self._peak - held < max(_PEAK, self._peak // 2):
            return
        self._peak, self._look_at = held, now + _REST
        await asyncio.to_thread(self._trim, 0)
