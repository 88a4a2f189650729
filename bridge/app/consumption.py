"""How each source is consumed: by what its queue is, and by what happened to its consumer."""

from functools import partial

from bridge.app.connections import Links
from bridge.app.gauges import Gauges
from bridge.app.prefetch import Prefetch
from bridge.broker.consumer import ConsumeChannel
from bridge.broker.sources import SourceQueues
from bridge.broker.topology import Topology
from bridge.model.queue import QueueKind
from bridge.model.source import OWN_EVENTS
from bridge.pipeline.intake import Intake
from bridge.rules.wire.returns import NACKS_ARE_FREE, returns_of


class Consumption:
    """Makes the consumers of sources, and hears what becomes of them."""

    def __init__(self, links: Links, topology: Topology, gauges: Gauges, *, verify_only: bool) -> None:
        """`verify_only`: nothing may be declared."""
        self._links = links
        self._topology = topology
        self._gauges = gauges
        self._intakes: dict[str, Intake] = {}
        self.prefetch = Prefetch()
        self.queues = SourceQueues(
            links.topology, topology, verify_only=verify_only, contract=gauges.contract, kind=self._found
        )

    def channel(self, intake: Intake) -> ConsumeChannel:
        """One that consumes the queue of this source."""
        source = intake.source
        self._intakes[source.queue] = intake
        prepare = self._topology.prepare_events if source.name == OWN_EVENTS else self.queues.prepare
        lost = partial(self._lost, intake)
        channel = ConsumeChannel(self._links.consume, prepare, self._gauges.queue_up, lost)
        self.prefetch.add(source.name, source.queue, source.prefetch, channel, intake)
        return channel

    def _found(self, queue: str, kind: QueueKind) -> None:
        """A source's queue was looked at, and is consumed next."""
        if (intake := self._intakes.get(queue)) is not None:
            intake.returns = returns_of(kind, nacks_count=self.queues.release < NACKS_ARE_FREE)
            most = intake.returns.holdable(intake.source.prefetch)
            self.prefetch.bound(intake.source.name, "delivery limit", most)

    def _lost(self, intake: Intake, why: str) -> None:
        self._gauges.consumer_lost(why)
        if intake.returns.counted and why != "silent":
            self.prefetch.start_small(intake.source.name)  # all that was held has one return more
