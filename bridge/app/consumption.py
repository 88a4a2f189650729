"""All sources of a process: consumed together, left together."""

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
from bridge.retry.ladder import fitting_prefetch
from bridge.settings.tree import Broker
from bridge.telemetry.metrics import Metrics
from bridge.wire.effects import NACKS_ARE_FREE, returns_of

# What broker and targets tell of themselves, as metrics.


class MetricsAdapter:
    """Callbacks for parts that do not know of metrics."""

    def __init__(self, metrics: Metrics, sources: Sequence[Source], names: Names) -> None:
        self._metrics = metrics
        self._sources = {source.queue: source.name for source in sources}
        self._lane_prefix = names.lane("")

    def contract(self, queue: str, state: Contract) -> None:
        """How a source queue compares with its publishers' declaration."""
        if source := self._sources.get(queue):
            self._metrics.source(source).contract_mismatch.value = state

    def stream_offset(self, source: str, offset: int) -> None:
        """How far a stream is done."""
        self._metrics.source(source).stream_offset.value = offset

    def queue_up(self, queue: str, up: bool | None) -> None:
        """A queue is consumed, or no longer; also where it is left because of an outage, it ought to be."""
        self._metrics.queue(queue).consumer_up.value = bool(up)

    def lane_up(self, queue: str, up: bool | None) -> None:
        """A lane is consumed, or no longer; None: nobody is meant to."""
        gauge = self._metrics.queue(queue, lane_of=queue.removeprefix(self._lane_prefix)).consumer_up
        gauge.value = nan if up is None else up

    def consumer_lost(self, reason: str) -> None:
        """A consumer ended without our doing."""
        self._metrics.rare.consumers_lost.labels(reason).inc()

    def control_forged(self) -> None:
        """A word among replicas that no replica said."""
        self._metrics.rare.control_forged.inc()

    def published(self, outcome: str, seconds: float) -> None:
        """A publish ended."""
        self._metrics.published[outcome].value += 1
        self._metrics.publish_confirm.observe(seconds)

    def http_connection(self, reused: bool) -> None:
        """A webhook was sent over a connection."""
        self._metrics.http_connections["true" if reused else "false"].value += 1


# How each source is consumed: by what its queue is, and by what happened to its consumer.


class Consumption:
    """Makes the consumers of sources, and hears what becomes of them."""

    def __init__(
        self,
        settings: Broker,
        links: Links,
        topology: Topology,
        gauges: MetricsAdapter,
        *,
        history: SqlHistory,
        recorder: Recorder,
        holder: str,
        alone: bool,
    ) -> None:
        """`holder` names this life of the process; `alone`: there are no others."""
        self._links = links
        self._topology = topology
        self._gauges = gauges
        self._consumers: dict[str, tuple[Intake, ConsumeChannel]] = {}
        self._alone: dict[str, Link] = {}
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
        """Look after what is consumed until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.prefetch.run())
            tasks.create_task(self.streams.run())

    def channel(self, intake: Intake) -> ConsumeChannel:
        """One that consumes the queue of this source."""
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
        return channel

    def alone_on(self, role: str) -> Sequence[str]:
        """The sources that have this connection for themselves."""
        return [name for name, link in self._alone.items() if link.role == role]

    def part(self, role: str) -> list[Link]:
        """Give each source of this connection one of its own, so that one whose messages end it ends no other; gives those
        connections, to be kept up.
        """
        made: list[Link] = []
        for intake, channel in self._consumers.values():
            name = intake.source.name
            if channel.link.role == role and name not in self._alone:
                link = self._alone[name] = channel.link.another(f"consume:source:{name}")
                channel.move(link)
                made.append(link)
        self._links.more.extend(made)
        return made

    async def _prepare(self, queue: str) -> bool:
        there = await self.queues.prepare(queue)
        return there and (queue not in self.streams or await self.streams.prepare(queue))

    def _found(self, queue: str, kind: QueueKind) -> None:
        """A source's queue was looked at, and is consumed next."""
        if (consumer := self._consumers.get(queue)) is not None:
            intake, channel = consumer
            if kind.is_stream:
                self.streams.add(intake, channel)
                self.prefetch.bound(intake.source.name, BY_MEMORY, None)
            else:
                self.streams.no_stream(intake)
            self._kinds[queue] = kind
            self._count(intake, kind)

    def _adds(self, queue: str) -> bool:
        """It is a quorum queue of which each consumer gets messages, for certain; so may our own be."""
        if self._consumers[queue][0].source.name == OWN_EVENTS:
            return True
        kind = self._kinds.get(queue)
        return kind is not None and kind.type == "quorum" and kind.whole and not kind.has_standbys

    def limited(self, limits: Mapping[str, int]) -> None:
        """These queues have these delivery limits, be it by policy."""
        self._limits = limits
        for queue, kind in self._kinds.items():
            self._count(self._consumers[queue][0], kind)

    def _count(self, intake: Intake, kind: QueueKind) -> None:
        source = intake.source
        nacks_count = self.queues.release < NACKS_ARE_FREE
        intake.returns = returns_of(kind, self._limits.get(source.queue), nacks_count=nacks_count)
        self.prefetch.bound(source.name, "delivery limit", intake.returns.holdable(source.prefetch))

    def _lost(self, intake: Intake, why: str) -> None:
        self._gauges.consumer_lost(why)
        self.streams.lost(intake.source.queue)
        if why == "cancelled":
            self.queues.forget(intake.source.queue)
        if intake.returns.counted and why != "silent":
            self.prefetch.start_small(intake.source.name)  # all that was held has one return more


log = structlog.get_logger(__name__)


_FIRST = 32
"""Messages that a source may hand out before it is known how large they are.

Whatever is held when a consumer is renewed counts beside what the next one may hold. So a source that wants few more than
these gets all at once: it would hold half as many again as it may.
"""
_FEW = 2 * _FIRST
_SHARE = 0.375
"""Of the memory, for the messages of all sources together."""


_LITTLE = 4
"""After a stop that was none, one of so many parts of the memory is used at first."""


class Sources:
    """One supervised channel and one intake for each source."""

    def __init__(
        self, pairs: Sequence[tuple[Intake, ConsumeChannel]], consumption: Consumption, budget: Budget
    ) -> None:
        self._pairs = list(pairs)
        self._consumption = consumption
        self._prefetch = consumption.prefetch
        self._budget = budget
        self._fit: dict[str, int] = {}
        for intake, _ in self._pairs:
            if intake.source.prefetch > _FEW:
                self._prefetch.bound(intake.source.name, BY_MEMORY, _FIRST)
        self._tasks: list[asyncio.Task[None]] = []
        self.consuming = False

    def start(self) -> None:
        """Consume all sources from now on."""
        self._tasks = [asyncio.create_task(channel.run(), name="source") for _, channel in self._pairs]
        self.resume()

    def resume(self) -> None:
        """Consume again after `leave`."""
        self.consuming = True
        for intake, channel in self._pairs:
            channel.subscribe(intake.source.queue, self._prefetch.of(intake.source.name), intake.receive)

    async def leave(self, *, for_good: bool = False) -> None:
        """Stop consuming; what is under way stays ours. What was not decoded goes back to the broker, unless each return
        counts towards the queue's delivery limit: then it stays here, or is parked where this is `for_good`.

        So it is also where the caller waits no longer for the broker, whose answer nobody reads while memory is short.
        """
        self.consuming = False
        try:
            await asyncio.gather(
                *(channel.unsubscribe(intake.source.queue) for intake, channel in self._pairs)
            )
        finally:
            self._let_go(for_good=for_good)

    def _let_go(self, *, for_good: bool) -> None:
        for intake, _ in self._pairs:
            if for_good:
                intake.leave()
            elif not intake.returns.spent_by_nacks:
                intake.give_back()

    @property
    def spent(self) -> frozenset[str]:
        """Names of sources whose messages come nearer to their last return with each one."""
        return frozenset(intake.source.name for intake, _ in self._pairs if intake.returns.spent_by_nacks)

    def start_small(self) -> None:
        """The last stop was not in order: what comes may be what ended it, and memory may have been the reason."""
        self._budget.limit_to(self._budget.whole // _LITTLE)
        self._consumption.streams.unclean = True
        for intake, _ in self._pairs:
            if intake.source.name != OWN_EVENTS:
                self._prefetch.start_small(intake.source.name)

    def admit_kept_back(self) -> None:
        """Go on with messages that were kept back, where there is room again."""
        for intake, _ in self._pairs:
            intake.admit_kept_back()

    def held(self) -> Mapping[str, tuple[int, int]]:
        """Messages held, and how many may be, by source name."""
        return {
            source.name: (channel.open, min(source.prefetch, self._fit.get(source.name, source.prefetch)))
            for source, channel in ((intake.source, channel) for intake, channel in self._pairs)
        }

    def fit(self) -> None:
        """Have each source hand out as many messages at once as there is memory for."""
        known = [(intake.source, channel.held(intake.source.queue)) for intake, channel in self._pairs]
        busy = [each for each in known if each[1].messages]
        for source, held in busy:
            if source.queue in self._consumption.streams:
                continue  # a new consumer would read anew what is under way
            share = self._budget.share(_SHARE / len(busy))
            fit = fitting_prefetch(*held, share=share, most=source.prefetch)
            if fit != held.prefetch:
                self._fit[source.name] = fit
                self._prefetch.bound(source.name, BY_MEMORY, fit)

    def idle(self) -> Mapping[str, float]:
        """How many messages ever came, by queue of each source that is consumed and of which nothing is held."""
        return {
            intake.source.queue: intake.received
            for intake, channel in self._pairs
            if channel.up(intake.source.queue) and not channel.open and intake.stream is None
        }

    async def renew(self, queue: str) -> None:
        """Consume the source's queue anew, with a fresh tag."""
        for intake, channel in self._pairs:
            if intake.source.queue == queue:
                await channel.renew(queue)

    def state(self) -> dict[str, str]:
        """By name of each source that was set up: consuming, standing_by (another replica reads the stream), connecting, or left."""
        return {
            intake.source.name: self._state(intake.source.queue, channel)
            for intake, channel in self._pairs
            if intake.source.name != OWN_EVENTS
        }

    def _state(self, queue: str, channel: ConsumeChannel) -> str:
        if not self.consuming:
            return "left"
        if channel.up(queue):
            return "consuming"
        return "standing_by" if self._consumption.streams.standing_by(queue) else "connecting"

    async def flush(self) -> None:
        """Send the acks that are due."""
        for _, channel in self._pairs:
            await channel.flush()

    async def close(self) -> None:
        """Flush, see the acks arrive, and close; also where `start` never came."""
        for _, channel in self._pairs:
            await channel.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
