"""What broker and targets tell of themselves, as metrics."""

from collections.abc import Sequence
from math import nan

from bridge.amqp.kinds import Contract
from bridge.amqp.topology import Names
from bridge.core.event import Source
from bridge.telemetry.metrics import Metrics


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
