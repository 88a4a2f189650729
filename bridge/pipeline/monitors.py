"""The monitors that poll at intervals: queue depths, blocked connections, the age of waiting messages, stalled consumers."""

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
from bridge.retry.policy import STEPS
from bridge.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

_OVERDUE_AFTER = 10.0
"""Seconds after the TTL of a step at which its messages count as overdue."""
_SURE = 2.0
"""Seconds before the end of the TTL of a step within which its messages may leave it."""
_QUEUES_EVERY = 5
_STORE_EVERY = 30.0
_CONTRACTS_EVERY = 12
"""The rounds of counting queues between two comparisons of declarations: one minute."""


_GONE = (
    "did somebody purge or delete the queue, or a policy (expires, message-ttl)? See `doctor`; deliveries that do not go on are "
    "started anew with `deliveries retry`"
)


class LadderWatch:
    """Detects messages that stay on a step of the ladder beyond its TTL, or that left it before.

    All messages of a step have the same TTL and leave in the order of their arrival. So all messages counted at one moment have
    left one TTL later, and at most those published since can remain.
    """

    def __init__(self, begun: float = 0.0) -> None:
        """`begun` is the present time."""
        self._published: dict[int, int] = dict.fromkeys(STEPS, 0)
        self._marks: dict[int, deque[tuple[float, int]]] = {step: deque() for step in STEPS}
        self._fresh = {step: deque([(begun, 0)]) for step in STEPS}
        self._gone: dict[int, int] = dict.fromkeys(STEPS, 0)

    def published(self, step: int) -> None:
        """Counts a copy that this process published to this step."""
        self._published[step] += 1

    def overdue(self, step: int, depth: int, now: float) -> int:
        """Returns how many of the `depth` messages in the step are overdue."""
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
        """Returns how many messages that this process published to the step are missing from its `depth`, although their TTL
        has not ended.

        A loss counts only if it is seen twice in a row: a queue that has no leader for a moment shows as empty.
        """
        fresh = self._fresh[step]
        while fresh and fresh[0][0] < now - step + _SURE:
            fresh.popleft()
        # The depth may not include messages published since the previous count.
        expected = fresh[-1][1] - fresh[0][1] if fresh else 0
        fresh.append((now, self._published[step]))
        before, self._gone[step] = self._gone[step], max(0, expected - depth)
        return min(before, self._gone[step])


class StoreSamples:
    """Measures the size of history and quarantine twice a minute."""

    def __init__(self, history: History, metrics: Metrics) -> None:
        self._history = history
        self._metrics = metrics

    async def run(self) -> None:
        """Measures until cancelled."""
        while True:
            try:
                size = await self._history.size()
            except HistoryUnavailable as error:
                self._metrics.database_up.value = 0
                log.debug("depth_poll.failed", error=str(error))
            else:
                self._metrics.database_up.value = 1
                self._metrics.history_bytes.value = size.bytes
                self._metrics.quarantine_size.value = size.quarantined
            await asyncio.sleep(_STORE_EVERY)


class DepthPoller:
    """Counts the messages of non-empty lanes every second, and of every other queue every five seconds."""

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
        """`streams` are queues that are streams, whose depth means nothing; `sources` are the queues of publishers, `queues`
        further ones that always exist.
        """
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
        """Counts until cancelled."""
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
        """Runs a count, and keeps the previous figures if the broker cannot be reached: the connection metrics show that."""
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


# Stalled consumers: the broker has forgotten a consumer that is connected and subscribed, so messages wait, and none is
# delivered.


_LOOKS = 3
_LONGEST = 20
"""Multiples of the bound up to which the intervals grow, so that a queue that stays silent (a standby on a queue with a single
active consumer) is not renewed all the time.
"""


class Watched(Protocol):
    """A group of consumers that is watched."""

    def idle(self) -> Mapping[str, float]:
        """Returns for each queue a number that changes whenever a message is received; queues that are busy or not consumed are
        left out.
        """
        ...

    async def renew(self, queue: str) -> None:
        """Cancels the consumer of the queue, and consumes it with a new tag."""
        ...


class StalledLaneMonitor:
    """The consumers of lanes of which no message is held here, although messages wait."""

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
    """A queue without deliveries: since when, and for how long that is tolerated."""

    count: float
    since: float
    patience: float


class StalledConsumerMonitor:
    """Compares received with ready messages, and renews the consumers that receive none for too long."""

    def __init__(
        self, watched: tuple[Watched, ...], topology: Topology, budget: Budget, *, after: float
    ) -> None:
        """`after`: seconds without a delivery although messages were ready and the `budget` had room."""
        self._watched = watched
        self._budget = budget
        self._topology = topology
        self._after = after
        self._quiet: dict[str, _Quiet] = {}

    async def run(self) -> None:
        """Checks until cancelled."""
        while True:
            await asyncio.sleep(self._after / _LOOKS)
            if self._budget.crowded:
                self._quiet = {}  # reading is halted, so no messages are expected
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
