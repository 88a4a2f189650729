"""What must be asked for at intervals: depths, blocked connections, the age of what waits."""

import asyncio
import time
from collections import deque
from collections.abc import Container, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

import structlog

from bridge.amqp.connection import Link
from bridge.amqp.kinds import SourceQueues
from bridge.amqp.lanes import ChannelLanes
from bridge.amqp.topology import Names, Topology
from bridge.core.budget import Budget
from bridge.core.errors import BridgeError, HistoryUnavailable
from bridge.core.ports import History
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.orphans import OrphanedCopies
from bridge.retry.ladder import STEPS
from bridge.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

_OVERDUE_AFTER = 10.0
"""Seconds beyond a step's time until its messages count as overdue."""
_SURE = 2.0
"""Seconds before a step's time is over within which its messages may leave it."""
_QUEUES_EVERY = 5
_STORE_EVERY = 30.0
_CONTRACTS_EVERY = 12
"""Rounds of counting queues, a minute."""


_GONE = (
    "did somebody purge or delete the queue, or a policy (expires, message-ttl)? See `doctor`; deliveries that do not go on are "
    "started anew with `deliveries retry`"
)


class LadderWatch:
    """Tells whether a step of the ladder holds messages that should have left it, or lost some before their time.

    All messages of a step have the same time to live and leave in the order they came. So of those counted
    at one moment, all are gone a step later, and no more can be left than have been published since.
    """

    def __init__(self, begun: float = 0.0) -> None:
        """`begun`: now."""
        self._published: dict[int, int] = dict.fromkeys(STEPS, 0)
        self._marks: dict[int, deque[tuple[float, int]]] = {step: deque() for step in STEPS}
        self._fresh = {step: deque([(begun, 0)]) for step in STEPS}
        self._gone: dict[int, int] = dict.fromkeys(STEPS, 0)

    def published(self, step: int) -> None:
        """A copy was put on this step by this process."""
        self._published[step] += 1

    def overdue(self, step: int, depth: int, now: float) -> int:
        """How many of the `depth` messages now in the step should have left it."""
        marks = self._marks[step]
        marks.append((now, self._published[step]))
        before = now - step - _OVERDUE_AFTER
        while len(marks) > 1 and marks[1][0] <= before:
            marks.popleft()
        at, published_then = marks[0]
        if at > before:
            return 0
        return max(0, depth - (self._published[step] - published_then))

    def gone(self, step: int, depth: int, now: float) -> int:
        """How many that this process put on the step are not among its `depth` messages, though their time is not over.

        Seen twice in a row: a queue that has no leader for a moment shows as empty.
        """
        fresh = self._fresh[step]
        while fresh and fresh[0][0] < now - step + _SURE:
            fresh.popleft()
        # What came since the look before may not be counted in the depth.
        expected = fresh[-1][1] - fresh[0][1] if fresh else 0
        fresh.append((now, self._published[step]))
        before, self._gone[step] = self._gone[step], max(0, expected - depth)
        return min(before, self._gone[step])


class StoreSamples:
    """Looks how large history and quarantine are, twice a minute."""

    def __init__(self, history: History, metrics: Metrics) -> None:
        self._history = history
        self._metrics = metrics

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            try:
                size = await self._history.size()
            except HistoryUnavailable as error:
                log.debug("depth_poll.failed", error=str(error))
            else:
                self._metrics.history_bytes.value = size.bytes
                self._metrics.quarantine_size.value = size.quarantined
            await asyncio.sleep(_STORE_EVERY)


class DepthPoller:
    """Counts lanes that hold messages every second, and every other queue every five."""

    def __init__(
        self,
        *,
        topology: Topology,
        links: Iterable[Link],
        table: HookTable,
        metrics: Metrics,
        ladder: LadderWatch,
        strays: OrphanedCopies,
        source_queues: SourceQueues,
        streams: Container[str],
        sources: Iterable[str],
        queues: Iterable[str],
    ) -> None:
        """`streams` are queues that keep what was read, so that their depth tells nothing; `sources` are the queues of publishers, `queues` others that are always there."""
        self._topology = topology
        self._links = tuple(links)
        self._table = table
        self._metrics = metrics
        self._ladder = ladder
        self._strays = strays
        self._source_queues = source_queues
        self._streams = streams
        self._sources = tuple(sources)
        self._queues = tuple(queues)

    async def run(self) -> None:
        """Sample until cancelled."""
        for number in count(1):
            for second in range(_QUEUES_EVERY):
                await asyncio.sleep(1)
                await self._guarded(self._count_lanes(quiet_too=second == 0))
            await self._guarded(self._count_queues())
            if number % _CONTRACTS_EVERY == 0:
                await self._guarded(self._source_queues.compare_again(self._sources))
            for link in self._links:
                self._metrics.rare.connection_blocked.labels(link.role).set(await link.blocked())

    async def _guarded(self, counting: Coroutine[Any, Any, None]) -> None:
        """An unreachable broker leaves the last figures standing; the connection metrics tell of it."""
        try:
            async with asyncio.timeout(5):
                await counting
        except (BridgeError, TimeoutError) as error:
            log.debug("depth_poll.failed", error=str(error))

    async def _count_lanes(self, *, quiet_too: bool) -> None:
        lanes = {}
        for runner in self._table:
            queue, name = runner.queue, self._topology.names.lane(runner.hook.id)
            if queue.lane.exists:
                gauge = self._metrics.queue(name, lane_of=runner.hook.id).depth
                if quiet_too or gauge.value or queue.lane.reason or not queue.lane_is_empty:
                    lanes[name] = queue, gauge
        depths = await self._topology.depths(list(lanes))
        for name, (queue, gauge) in lanes.items():
            if name not in depths and gauge.value > 0:
                await self._look_for_lane(name, int(gauge.value))
            queue.lane_counted(depths.get(name, 0))
            gauge.value = queue.lane.depth
        self._tell_oldest(time.time())

    async def _look_for_lane(self, name: str, held: int) -> None:
        if await self._topology.depth(name) is None:
            log.warning("lane.gone", queue=name, messages=held, advice=_GONE)

    def _tell_oldest(self, now: float) -> None:
        for runner in self._table:
            oldest = runner.oldest_event()
            runner.metrics.oldest_waiting.value = now - oldest if oldest else 0.0

    async def _count_queues(self) -> None:
        names = self._topology.names
        held = {names.orphans: self._strays.unknown}
        steps = {names.delay(step): step for step in STEPS}
        depths = await self._topology.depths(
            [
                *(queue for queue in self._sources if queue not in self._streams),
                *self._queues,
                names.orphans,
                names.dead,
                *steps,
            ]
        )
        for queue, depth in depths.items():
            self._metrics.queue(queue).depth.value = depth + held.get(queue, 0)
        for queue, step in steps.items():
            self._look_at_step(step, depths.get(queue, 0), time.monotonic())

    def _look_at_step(self, step: int, depth: int, now: float) -> None:
        overdue, gone = self._ladder.overdue(step, depth, now), self._ladder.gone(step, depth, now)
        self._metrics.rare.ladder_overdue.labels(step).set(overdue)
        self._metrics.rare.ladder_gone.labels(step).set(gone)
        if overdue:
            advice = "does a lane refuse (length policy)?"
            log.warning("ladder.overdue", step=step, messages=overdue, advice=advice)
        if gone:
            log.warning("ladder.gone", step=step, messages=gone, advice=_GONE)


# Consumers that the broker has forgotten: connected and subscribed, messages wait, and nothing comes.


_LOOKS = 3
_LONGEST = 20
"""Times the bound: what stays silent (a standby on a queue with a single active consumer) is not renewed all the time."""


class Watched(Protocol):
    """Consumers of some kind."""

    def idle(self) -> Mapping[str, float]:
        """By queue: a number that changes when something comes; those left out are busy, or are not consumed."""
        ...

    async def renew(self, queue: str) -> None:
        """Consume the queue anew, with a fresh tag."""
        ...


class StalledLaneMonitor:
    """The lanes of hooks that hold nothing of them, although something waits there."""

    def __init__(self, table: HookTable, lanes: ChannelLanes, names: Names) -> None:
        self._table = table
        self._lanes = lanes
        self._names = names

    def idle(self) -> Mapping[str, float]:
        """See `Watched`."""
        return {
            self._names.lane(runner.hook.id): 0.0
            for runner in self._table
            if runner.lane.depth > 0
            and not (runner.in_flight or runner.queue.holds_copies)
            and self._lanes.up(runner.hook.id)
        }

    async def renew(self, queue: str) -> None:
        """See `Watched`."""
        await self._lanes.renew(queue.removeprefix(self._names.lane("")))


@dataclass(slots=True)
class _Quiet:
    """A queue of which nothing comes, since when, and how long that is put up with."""

    count: float
    since: float
    patience: float


class StalledConsumerMonitor:
    """Compares what comes with what waits, and consumes anew where nothing comes for too long."""

    def __init__(
        self, watched: tuple[Watched, ...], topology: Topology, budget: Budget, *, after: float
    ) -> None:
        """`after`: seconds in which nothing came although messages were ready, and the `budget` had room for them."""
        self._watched = watched
        self._budget = budget
        self._topology = topology
        self._after = after
        self._quiet: dict[str, _Quiet] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._after / _LOOKS)
            if self._budget.crowded:
                self._quiet = {}  # nothing is read: that is why nothing comes
                continue
            try:
                async with asyncio.timeout(5):
                    await self._look(time.monotonic())
            except (BridgeError, TimeoutError) as error:
                log.debug("stalled_consumers.not_checked", error=str(error))

    async def _look(self, now: float) -> None:
        idle = {queue: (count, kind) for kind in self._watched for queue, count in kind.idle().items()}
        ready = await self._topology.depths(list(idle))
        self._quiet = {
            queue: self._still_quiet(queue, count, now)
            for queue, (count, _) in idle.items()
            if ready.get(queue)
        }
        for queue, quiet in self._quiet.items():
            if now - quiet.since >= quiet.patience:
                log.warning(
                    "consumer.silent", queue=queue, ready=ready[queue], seconds=round(now - quiet.since, 1)
                )
                quiet.since = now
                quiet.patience = min(2 * quiet.patience, _LONGEST * self._after)
                await idle[queue][1].renew(queue)

    def _still_quiet(self, queue: str, count: float, now: float) -> _Quiet:
        known = self._quiet.get(queue)
        return known if known is not None and known.count == count else _Quiet(count, now, self._after)
