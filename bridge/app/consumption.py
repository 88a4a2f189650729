"""The consumption of all sources of a process, which start and stop together."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from math import nan

import structlog

from bridge.amqp.connection import Link
from bridge.amqp.consumer import ConsumeChannel
from bridge.amqp.kinds import Contract, SourceQueues
from bridge.amqp.topology import Names, Topology
from bridge.app.connections import Links
from bridge.core.budget import Budget
from bridge.core.event import OWN_EVENTS, Source
from bridge.core.survey import QueueKind
from bridge.history.batches import SqlStreams
from bridge.history.history import SqlHistory
from bridge.history.leases import SqlReplicas
from bridge.pipeline.backpressure import BY_MEMORY, Prefetch
from bridge.pipeline.intake import Intake
from bridge.pipeline.recorder import Recorder
from bridge.pipeline.streams import Streams
from bridge.retry.policy import fitting_prefetch
from bridge.settings.tree import Broker
from bridge.telemetry.metrics import Metrics
from bridge.wire.effects import returns_of

# The metrics of the broker adapter and of targets.


class MetricsAdapter:
    """Translates callbacks into metrics, for parts that do not know of metrics."""

    def __init__(self, metrics: Metrics, sources: Sequence[Source], names: Names) -> None:
        self._metrics = metrics
        self._sources = {source.queue: source.name for source in sources}
        self._lane_prefix = names.lane("")
        for source in sources:
            metrics.source_queue(source.name, source.queue)

    def contract(self, queue: str, state: Contract) -> None:
        """Sets how a source queue compares with its publishers' declaration."""
        if source := self._sources.get(queue):
            self._metrics.source(source).contract_mismatch.value = state

    def stream_offset(self, source: str, offset: int) -> None:
        """Sets the offset up to which a stream is done."""
        self._metrics.source(source).stream_offset.value = offset

    def queue_up(self, queue: str, up: bool | None) -> None:
        """Sets whether a queue is consumed. A queue that was left because of an outage counts as not consumed."""
        self._metrics.queue(queue).consumer_up.value = bool(up)

    def lane_up(self, queue: str, up: bool | None) -> None:
        """Sets whether a lane is consumed; None: it is not supposed to be."""
        gauge = self._metrics.queue(queue, lane_of=queue.removeprefix(self._lane_prefix)).consumer_up
        gauge.value = nan if up is None else up

    def consumer_lost(self, reason: str) -> None:
        """Counts a consumer that ended unexpectedly."""
        self._metrics.rare.consumers_lost.labels(reason).inc()

    def control_forged(self) -> None:
        """Counts a control message without a valid signature."""
        self._metrics.rare.control_forged.inc()

    def published(self, outcome: str, seconds: float) -> None:
        """Counts a publish."""
        self._metrics.published[outcome].value += 1
        self._metrics.publish_confirm.observe(seconds)


class SourceConsumers(dict[str, tuple[Intake, ConsumeChannel]]):
    """The intake and the channel of each source, by its queue and in the order of the settings."""


# The way each source is consumed: it depends on the type of its queue and on how its consumers ended.


class Consumption:
    """Makes the consumers of sources, and reacts to their changes."""

    def __init__(
        self,
        settings: Broker,
        links: Links,
        topology: Topology,
        gauges: MetricsAdapter,
        *,
        consumers: SourceConsumers,
        history: SqlHistory,
        recorder: Recorder,
        holder: str,
        alone: bool,
    ) -> None:
        """`consumers` get each source; `holder` identifies this run of the process; `alone`: there are no other replicas."""
        self._links = links
        self._topology = topology
        self._gauges = gauges
        self._consumers = consumers
        self._alone: set[str] = set()
        self._kinds: dict[str, QueueKind] = {}
        self._limits: Mapping[str, int] = {}
        self.streams = Streams(
            links.topology,
            SqlStreams(history.engine),
            SqlReplicas(history.engine),
            recorder,
            gauges.stream_offset,
            holder=holder,
            alone=alone,
            silent_after=settings.silent_after,
        )
        self.prefetch = Prefetch()
        self.queues = SourceQueues(
            links.topology,
            topology,
            verify_only=settings.topology == "verify",
            contract=gauges.contract,
            kind=self._found,
        )

    async def run(self) -> None:
        """Supervises consumption until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.prefetch.run())
            tasks.create_task(self.streams.run())

    def add(self, intake: Intake) -> None:
        """Adds a source, with the channel that consumes its queue."""
        source = intake.source
        prepare = self._topology.prepare_events if source.name == OWN_EVENTS else self._prepare
        channel = ConsumeChannel(
            self._links.of_source(len(self._consumers)),
            prepare,
            self._gauges.queue_up,
            partial(self._lost, intake),
            arguments=self.streams.arguments,
            adds=self._adds,
        )
        self._consumers[source.queue] = intake, channel
        self.prefetch.add(source.name, source.queue, source.prefetch, channel, intake)

    async def separate(self) -> None:
        """Gives each source of a connection that keeps ending its own connection, so that a source whose messages end it affects
        no other, until cancelled.
        """
        async with asyncio.TaskGroup() as links:
            while True:
                for link in self._part(await self._links.ends.crashed.get()):
                    links.create_task(link.run(), name=f"link {link.role}")

    def _part(self, role: str) -> list[Link]:
        made: list[Link] = []
        for intake, channel in self._consumers.values():
            name = intake.source.name
            if channel.link.role == role and name not in self._alone:
                link = channel.link.another(f"consume:source:{name}")
                self._alone.add(name)
                self._links.ends.consumes_alone(link.role, name)
                channel.move(link)
                made.append(link)
        self._links.more.extend(made)
        return made

    async def _prepare(self, queue: str) -> bool:
        there = await self.queues.prepare(queue)
        return there and (queue not in self.streams or await self.streams.prepare(queue))

    def _found(self, queue: str, kind: QueueKind) -> None:
        """Notes the type of a source's queue, which is consumed next."""
        if queue in self._consumers:
            intake, channel = self._consumers[queue]
            if kind.is_stream:
                self.streams.add(intake, channel)
                self.prefetch.bound(intake.source.name, BY_MEMORY, None)
            else:
                self.streams.no_stream(intake)
            self._kinds[queue] = kind
            self._count(intake, kind)

    def _adds(self, queue: str) -> bool:
        """Returns whether another consumer may be added: it is known to be a quorum queue without a single active consumer."""
        if self._consumers[queue][0].source.name == OWN_EVENTS:
            return True
        kind = self._kinds.get(queue)
        return kind is not None and kind.type == "quorum" and kind.whole and not kind.has_standbys

    def limited(self, limits: Mapping[str, int]) -> None:
        """Notes the delivery limits of these queues, including those set by policies."""
        self._limits = limits
        for queue, kind in self._kinds.items():
            self._count(self._consumers[queue][0], kind)

    def _count(self, intake: Intake, kind: QueueKind) -> None:
        source = intake.source
        nacks_count = intake.returns.nacks_count
        intake.returns = returns_of(kind, self._limits.get(source.queue), nacks_count=nacks_count)
        self.prefetch.bound(source.name, "delivery limit", intake.returns.holdable(source.prefetch))

    def _lost(self, intake: Intake, why: str) -> None:
        self._gauges.consumer_lost(why)
        self.streams.lost(intake.source.queue)
        if why == "cancelled":
            self.queues.forget(intake.source.queue)
        if intake.returns.counted and why != "silent":
            self.prefetch.start_small(intake.source.name)  # every held message has one more redelivery


log = structlog.get_logger(__name__)


_FIRST = 32
"""The prefetch of a source until the size of its messages is known.

Messages held when a consumer is replaced are not counted in the prefetch of the next one. So a source whose prefetch is not
much higher gets all of it at once: else it could hold half as many again as it may.
"""
_FEW = 2 * _FIRST
_SHARE = 0.375
"""The share of the memory budget for the messages of all sources together."""


_LITTLE = 4
"""After an unclean stop, the fraction of the memory that is used at first is one of this many parts."""


class Sources:
    """The supervised channel and the intake of each source."""

    def __init__(self, consumers: SourceConsumers, consumption: Consumption, budget: Budget) -> None:
        self._consumers = consumers
        self._consumption = consumption
        self._prefetch = consumption.prefetch
        self._budget = budget
        self._fit: dict[str, int] = {}
        for intake, _ in self._consumers.values():
            if intake.source.prefetch > _FEW:
                self._prefetch.bound(intake.source.name, BY_MEMORY, _FIRST)
        self._tasks: list[asyncio.Task[None]] = []
        self.consuming = False

    def start(self) -> None:
        """Consumes all sources from now on."""
        self._tasks = [
            asyncio.create_task(channel.run(), name="source") for _, channel in self._consumers.values()
        ]
        self.resume()

    def resume(self) -> None:
        """Consumes again after `leave`."""
        self.consuming = True
        for intake, channel in self._consumers.values():
            channel.subscribe(intake.source.queue, self._prefetch.of(intake.source.name), intake.receive)

    async def leave(self, *, for_good: bool = False) -> None:
        """Stops consuming; messages in flight are still settled here. Undecoded messages are returned to the broker, unless
        each return counts towards the queue's delivery limit: then they stay here, or are parked if the stop is `for_good`.

        This holds as well if the caller does not wait for the broker, whose answer is not read while memory is short.
        """
        self.consuming = False
        try:
            await asyncio.gather(
                *(channel.unsubscribe(intake.source.queue) for intake, channel in self._consumers.values())
            )
        finally:
            await self._release_held(for_good=for_good)

    async def _release_held(self, *, for_good: bool) -> None:
        for intake, _ in self._consumers.values():
            if for_good:
                await intake.leave()
            elif not intake.returns.spent_by_nacks:
                intake.requeue()

    @property
    def busy(self) -> bool:
        """Returns whether deliveries of a message are being started."""
        return any(intake.busy for intake, _ in self._consumers.values())

    @property
    def spent(self) -> frozenset[str]:
        """Returns the names of sources whose queues count each return towards their delivery limit."""
        return frozenset(
            intake.source.name for intake, _ in self._consumers.values() if intake.returns.spent_by_nacks
        )

    def start_small(self) -> None:
        """Starts with a small prefetch after an unclean stop: the next messages may have caused it, for
        instance by their size.
        """
        self._budget.limit_to(self._budget.total // _LITTLE)
        self._consumption.streams.unclean = True
        for intake, _ in self._consumers.values():
            if intake.source.name != OWN_EVENTS:
                self._prefetch.start_small(intake.source.name)

    def held(self) -> Mapping[str, tuple[int, int]]:
        """Returns the messages held and the prefetch, by source name."""
        return {
            source.name: (channel.open, min(source.prefetch, self._fit.get(source.name, source.prefetch)))
            for source, channel in ((intake.source, channel) for intake, channel in self._consumers.values())
        }

    def fit(self) -> None:
        """Fits the prefetch of each source to the memory budget."""
        known = [
            (intake.source, channel.held(intake.source.queue)) for intake, channel in self._consumers.values()
        ]
        busy = [each for each in known if each[1].messages]
        for source, held in busy:
            if source.queue in self._consumption.streams:
                continue  # a new consumer would read the messages in flight again
            share = self._budget.share(_SHARE / len(busy))
            fit = fitting_prefetch(*held, share=share, most=source.prefetch)
            if fit != held.prefetch:
                self._fit[source.name] = fit
                self._prefetch.bound(source.name, BY_MEMORY, fit)

    def idle(self) -> Mapping[str, float]:
        """Returns the number of messages received so far, by queue of each consumed source of which none is held."""
        return {
            intake.source.queue: intake.received
            for intake, channel in self._consumers.values()
            if channel.up(intake.source.queue) and not channel.open and intake.stream is None
        }

    async def renew(self, queue: str) -> None:
        """Consumes the source's queue with a new tag."""
        for intake, channel in self._consumers.values():
            if intake.source.queue == queue:
                await channel.renew(queue)

    def state(self) -> dict[str, str]:
        """Returns the state of each source by name: consuming, standing_by (another replica reads the stream), connecting, or
        left.
        """
        return {
            intake.source.name: self._state(intake.source.queue, channel)
            for intake, channel in self._consumers.values()
            if intake.source.name != OWN_EVENTS
        }

    def _state(self, queue: str, channel: ConsumeChannel) -> str:
        if not self.consuming:
            return "left"
        if channel.up(queue):
            return "consuming"
        return "standing_by" if self._consumption.streams.standing_by(queue) else "connecting"

    async def close(self) -> None:
        """Flushes, waits until the acks have arrived, and closes; also if `start` was never called."""
        for _, channel in self._consumers.values():
            await channel.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
