"""The monitors of a bridge: policies on queues, the memory of the process, outages, the health of hooks."""

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable

import structlog

from bridge.access.store import SqlAccess
from bridge.amqp.connection import Link
from bridge.amqp.topology import Names, planned
from bridge.app.consumption import Consumption, Sources
from bridge.app.expiry import ExpiryMonitor
from bridge.app.stages import Parts
from bridge.core.base import new_id
from bridge.core.budget import Budget, libc
from bridge.core.errors import BridgeError, SettingsError
from bridge.core.survey import FoundPolicies
from bridge.doctor.policies import in_force, limit_of, of_ours
from bridge.history.retention import Retention
from bridge.hooks.in_force import HooksInForce
from bridge.meta_events.monitor import FailingHookMonitor, SqlFailureRecords
from bridge.pipeline.backpressure import release_waiting
from bridge.pipeline.deliver import Delivering
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.lanes import LaneScheduler
from bridge.pipeline.monitors import DepthPoller, StalledConsumerMonitor, StalledLaneMonitor
from bridge.pipeline.recorder import Recorder
from bridge.pipeline.settlement import InFlight
from bridge.stats.store import SqlStatistics
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
        """`request` may take seconds, and runs in a thread; `names` are the bridge's queues, and `table` has the
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
            await self.request()
            await asyncio.sleep(_EVERY)

    async def known(self, patience: float) -> None:
        """Waits until the policies are known, at most `patience` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._looked.wait()

    async def request(self) -> None:
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
        metrics.rare.memory_budget.set(budget.total)

    async def run(self) -> None:
        """Adjusts until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self._tell()
            self._widen()
            self.collect()
            await self._return_free_memory()
            self._lanes.fit()
            self._sources.fit()

    def _tell(self) -> None:
        for holder, byte_count in self._budget.by_holder.items():
            self._metrics.rare.memory_held.labels(holder).set(byte_count)

    def _widen(self) -> None:
        budget = self._budget
        if budget.limit < budget.total and time.monotonic() > self._widen_at:
            budget.limit_to(min(budget.total, budget.limit * 2))
            self._widen_at = time.monotonic() + _DOUBLE_AFTER

    def collect(self) -> None:
        """Collects cyclic garbage when little is in flight, or was not for long."""
        now = time.monotonic()
        in_flight = self._budget.held + _WEIGHT * self._load.open
        if gc.get_count()[2] > _DUE and in_flight <= _PATIENCE * (now - self._collected_at):
            gc.collect()
            self._collected_at = now

    async def _return_free_memory(self) -> None:
        """Returns free memory to the system after a peak: the allocator keeps it, and container limits count it."""
        held = self._budget.held
        self._peak = max(self._peak, held)
        now = time.monotonic()
        if self._trim is None or now < self._look_at or self._peak - held < max(_PEAK, self._peak // 2):
            return
        self._peak, self._look_at = held, now + _REST
        await asyncio.to_thread(self._trim, 0)


# Outages of the broker or the database: stop consuming, return what has not started, wait, consume again.


class DependencyMonitor:
    """Checks once a second whether the dependencies of deliveries are available."""

    def __init__(
        self,
        sources: Sources,
        recorder: Recorder,
        publish: Link,
        delivering: Delivering,
        *,
        history_after: float,
        broker_after: float,
    ) -> None:
        """`history_after` and `broker_after`: seconds of unavailability that count as an outage."""
        self._sources = sources
        self._recorder = recorder
        self._publish = publish
        self._delivering = delivering
        self._history_after = history_after
        self._broker_after = broker_after
        self._publish_gone_since: float | None = None

    async def run(self) -> None:
        """Watches until cancelled."""
        while True:
            await asyncio.sleep(1)
            missing = await self._missing(time.monotonic())
            if missing and self._sources.consuming:
                log.error(
                    "dependency.unavailable",
                    missing=missing,
                    effect="sources are not consumed until it is over",
                )
                await self._sources.leave()
                await release_waiting(self._delivering, "outage", park=False, spent=self._sources.spent)
            elif not missing and not self._sources.consuming:
                log.info("dependency.restored")
                self._sources.resume()

    async def _missing(self, now: float) -> str:
        gone = not self._publish.up or await self._publish.blocked()
        self._publish_gone_since = (self._publish_gone_since or now) if gone else None
        down_since = self._recorder.down_since
        if down_since is not None and (not self._sources.consuming or now - down_since > self._history_after):
            return "history"
        since = self._publish_gone_since
        if since is not None and (not self._sources.consuming or now - since > self._broker_after):
            return "publishing"
        return ""


# Hook health: polled every few seconds from the database, whichever replica made the attempts, for lists and metrics of this
# one.


_POLL_EVERY = 5.0


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
            await asyncio.sleep(_POLL_EVERY)

    async def read(self) -> None:
        """Polls once; raises HistoryUnavailable."""
        health = await self._statistics.health()
        self._in_force.health = health
        for runner in self._in_force.table:
            found = health.get(runner.hook.id)
            runner.metrics.failing.value = found is not None and found.only_fails


class Monitors:
    """Makes what watches the parts of a bridge."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._given, self._settings = parts.given, parts.given.settings
        self._budget = parts.given.budget

    def hook_health(self) -> HookHealthPoller:
        return HookHealthPoller(SqlStatistics(self._given.history.engine), self._parts.hooks.in_force)

    def memory(self) -> Memory:
        stages, sources = self._parts.pipeline, self._parts.sources.sources
        lanes = self._parts.lanes.scheduler
        return Memory(self._budget, sources, lanes, self._given.metrics, stages.load)

    def depths(self) -> DepthPoller:
        consumption = self._parts.sources.consumption
        return DepthPoller(
            topology=self._parts.broker.topology,
            links=self._given.links.all(),
            table=self._parts.notices.table,
            metrics=self._given.metrics,
            ladder=self._parts.broker.ladder,
            strays=self._parts.lanes.orphans,
            source_queues=consumption.queues,
            streams=consumption.streams,
            sources=[source.queue for source in self._settings.sources],
            queues=[self._given.names.events],
        )

    def expiry(self) -> ExpiryMonitor:
        tokens = SqlAccess(self._given.history.engine)
        return ExpiryMonitor(self._settings, self._parts.notices.table, tokens, self._given.metrics)

    def stalled(self) -> StalledConsumerMonitor:
        broker = self._parts.broker
        lanes = StalledLaneMonitor(self._parts.notices.table, broker.lanes, self._given.names)
        return StalledConsumerMonitor(
            (self._parts.sources.sources, lanes),
            broker.topology,
            self._budget,
            after=self._settings.broker.silent_after,
        )

    def dependencies(self) -> DependencyMonitor:
        return DependencyMonitor(
            self._parts.sources.sources,
            self._parts.pipeline.recorder,
            self._given.links.publish,
            self._parts.pipeline.delivering,
            history_after=self._settings.storage.outage_after,
            broker_after=self._settings.broker.outage_after,
        )

    def retention(self) -> Retention:
        storage = self._settings.storage
        return Retention(
            self._given.history,
            SqlStatistics(self._given.history.engine),
            self._parts.pipeline.claims,
            self._parts.hooks.replicas,
            self._given.replica_id,
            keep=storage.retention,
            keep_sums=storage.statistics,
            every=storage.retention_every,
            batch=storage.retention_batch,
        )

    def failing_hooks(self) -> FailingHookMonitor:
        notices = self._parts.notices
        return FailingHookMonitor(
            SqlFailureRecords(self._given.history.engine),
            self._parts.hooks.replicas,
            notices.table,
            notices.publisher,
            holder=self._given.replica_id,
            threshold=self._settings.delivery.auto_pause_after,
            pause=notices.pauses.pause,
            new_id=new_id,
        )
