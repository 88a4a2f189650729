"""How each source is consumed: by what its queue is, and by what happened to its consumer."""

import asyncio
from collections.abc import Mapping
from functools import partial

from bridge.app.connections import Links
from bridge.app.gauges import Gauges
from bridge.app.prefetch import BY_MEMORY, Prefetch
from bridge.app.streams import Streams
from bridge.broker.consumer import ConsumeChannel
from bridge.broker.sources import SourceQueues
from bridge.broker.topology import Topology
from bridge.model.queue import QueueKind
from bridge.model.source import OWN_EVENTS
from bridge.pipeline.intake import Intake
from bridge.pipeline.recorder import Recorder
from bridge.rules.wire.returns import NACKS_ARE_FREE, returns_of
from bridge.settings.tree import Broker
from bridge.storage.history import SqlHistory
from bridge.storage.jobs_replicas import SqlReplicas
from bridge.storage.streams import SqlStreams


class Consumption:
    """Makes the consumers of sources, and hears what becomes of them."""

    def __init__(
        self,
        settings: Broker,
        links: Links,
        topology: Topology,
        gauges: Gauges,
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
