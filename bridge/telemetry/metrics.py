"""The metrics of the bridge, counted while events flow.

Keep the objects that `hook`, `source`, `queue` and `connection` return: counting with them takes well below a microsecond,
finding them does not.
"""

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import prometheus_client as prometheus
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.core.delivery import FINAL, Delivery, Status
from bridge.telemetry import catalogue
from bridge.telemetry.catalogue import LATE_AFTER, Kind, Spec
from bridge.telemetry.instruments import OTHER, Counter, Counters, Gauge, Gauges, Histogram, Histograms, Keyed

LABELLED_HOOKS = 200
"""Maximum number of hooks with their own label; later ones share `other`."""
M = TypeVar("M", bound=MetricWrapperBase)

prometheus.disable_created_metrics()


class Families(Collector):
    """The metrics counted for each message, and those that combine samples or may have no value, for one registry."""

    def __init__(self, registry: CollectorRegistry, specs: Sequence[Spec]) -> None:
        self.counters = {spec: Counters(spec) for spec in specs if spec.kind is Kind.COUNTER}
        self.gauges = {spec: Gauges(spec) for spec in specs if spec.kind is Kind.GAUGE}
        self.histograms = {spec: Histograms(spec) for spec in specs if spec.kind is Kind.HISTOGRAM}
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        return ()  # names come from one catalogue, so the registry need not check for clashes

    def collect(self) -> Iterable[Metric]:
        for families in (self.counters, self.gauges, self.histograms):
            for family in families.values():
                yield family.collect()


class HookMetrics:
    """The metrics of one hook: `hook.in_flight.value += 1`, `hook.parked[reason].value += 1`."""

    def __init__(
        self, families: Families, labels: tuple[str, str], durations: Keyed[Histogram], age: Histogram
    ) -> None:
        counters, gauges = families.counters, families.gauges
        hook, target = labels
        self.deliveries = counters[catalogue.DELIVERIES].by(hook, target)
        self.attempts = counters[catalogue.ATTEMPTS].by(hook, target)
        self.parked = counters[catalogue.PARKED].by(hook)
        self.script_exits = counters[catalogue.SCRIPT_EXIT].by(hook)
        keyed = (self.deliveries, self.attempts, self.parked, self.script_exits)
        removals = self._removals = [each.drop for each in keyed]
        self.late = counters[catalogue.LATE].owned(removals, hook, target)
        self.filter_errors = counters[catalogue.FILTER_ERRORS].owned(removals, hook)
        self.retries = counters[catalogue.RETRIES_SCHEDULED].owned(removals, hook)
        self.in_flight = gauges[catalogue.IN_FLIGHT].owned(removals, hook)
        self.breaker_state = gauges[catalogue.BREAKER_STATE].owned(removals, hook)
        self.paused = gauges[catalogue.HOOK_PAUSED].owned(removals, hook)
        self.broken = gauges[catalogue.HOOK_BROKEN].owned(removals, hook)
        self.failing = gauges[catalogue.HOOK_FAILING].owned(removals, hook)
        self.oldest_waiting = gauges[catalogue.OLDEST_WAITING].owned(removals, hook)
        self._durations = durations
        self._age = age
        for status in FINAL:  # a rate needs the zero before the first count
            _ = self.deliveries[status]

    def attempted(self, outcome: str, seconds: float, delivery: Delivery) -> None:
        """Counts an attempt of that duration at the delivery; `outcome` is `delivered` or a fault."""
        self.attempts[outcome].value += 1
        self._durations[outcome].observe(seconds, delivery)

    def delivered(self, age: float, delivery: Delivery) -> None:
        """Counts a delivery that succeeded `age` seconds after its event was first seen."""
        self.deliveries[Status.SUCCESS].value += 1
        self._age.observe(age, delivery)
        if age > LATE_AFTER:
            self.late.value += 1

    def ended(self, status: Status) -> None:
        """Counts a delivery with another final status."""
        self.deliveries[status].value += 1

    def drop(self) -> None:
        """Removes the hook's samples."""
        for remove in self._removals:
            remove()


class SourceMetrics:
    """The metrics of one source: `source.received.value += 1`, `source.settled["acked"].value += n`."""

    def __init__(self, families: Families, source: str) -> None:
        counters = families.counters
        self.received = counters[catalogue.EVENTS_RECEIVED].child(source)
        self.unmatched = counters[catalogue.EVENTS_UNMATCHED].child(source)
        self.settled = counters[catalogue.EVENTS_SETTLED].by(source)
        self.redelivered = counters[catalogue.REDELIVERED].child(source)
        self.duplicates = counters[catalogue.DUPLICATES].by(source)
        self.without_key = counters[catalogue.WITHOUT_KEY].child(source)
        self.quarantined = counters[catalogue.EVENTS_QUARANTINED].by(source)
        self.stream_offset = families.gauges[catalogue.STREAM_OFFSET].child(source)
        self.contract_mismatch = families.gauges[catalogue.SOURCE_CONTRACT_MISMATCH].child(source)


class QueueMetrics:
    """The metrics of one queue on the broker."""

    def __init__(self, families: Families, queue: str) -> None:
        gauges = families.gauges
        removals = self._removals = list[Callable[[], None]]()
        self.consumer_up = gauges[catalogue.CONSUMER_UP].owned(removals, queue)
        self.last_message = gauges[catalogue.LAST_MESSAGE].owned(removals, queue)
        self.depth = gauges[catalogue.QUEUE_DEPTH].owned(removals, queue)

    def drop(self) -> None:
        """Removes the queue's samples."""
        for remove in self._removals:
            remove()


class RareMetrics:
    """The metrics that change a few times a second at most: `rare.reconnects.labels(role).inc()`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.specs: list[Spec] = []

        def own(kind: type[M], spec: Spec) -> M:
            self.specs.append(spec)
            bounds: dict[str, Any] = {"buckets": spec.buckets} if spec.buckets else {}
            return kind(spec.name, spec.help, spec.labels, registry=registry, **bounds)

        self.stale_copies = own(prometheus.Counter, catalogue.STALE_COPIES)
        self.control_forged = own(prometheus.Counter, catalogue.CONTROL_FORGED)
        self.consumers_lost = own(prometheus.Counter, catalogue.CONSUMERS_LOST)
        self.connection_up = own(prometheus.Gauge, catalogue.CONNECTION_UP)
        self.connection_blocked = own(prometheus.Gauge, catalogue.CONNECTION_BLOCKED)
        self.reconnects = own(prometheus.Counter, catalogue.RECONNECTS)
        self.login_refused = own(prometheus.Gauge, catalogue.LOGIN_REFUSED)
        self.history_commit = own(prometheus.Histogram, catalogue.HISTORY_COMMIT)
        self.history_batch = own(prometheus.Histogram, catalogue.HISTORY_BATCH)
        self.ladder_overdue = own(prometheus.Gauge, catalogue.LADDER_OVERDUE)
        self.ladder_gone = own(prometheus.Gauge, catalogue.LADDER_GONE)
        self.memory_budget = own(prometheus.Gauge, catalogue.MEMORY_BUDGET)
        self.memory_held = own(prometheus.Gauge, catalogue.MEMORY_HELD)
        build = own(prometheus.Gauge, catalogue.BUILD_INFO)
        build.labels(__version__, platform.python_version()).set(1)

    def connection(self, role: str) -> prometheus.Gauge:
        """Returns the gauge of a connection (consume, publish, topology), and creates its other metrics."""
        self.connection_blocked.labels(role)
        self.reconnects.labels(role)
        return self.connection_up.labels(role)


class Metrics:
    """All metrics of the bridge, exported to `registry`.

    Beyond 200 hooks the label `hook`, and `queue` for lanes, is `other`, unless `every_hook` is set; for the duration of
    attempts it is in any case, since a histogram has a dozen samples.
    """

    def __init__(self, registry: CollectorRegistry, *, every_hook: bool = False) -> None:
        self.rare = RareMetrics(registry)
        others = [spec for spec in catalogue.CATALOGUE if spec not in self.rare.specs]
        families = self._families = Families(registry, others)
        counters, gauges, histograms = families.counters, families.gauges, families.histograms
        self.published = counters[catalogue.PUBLISH].by()
        self.publish_confirm = histograms[catalogue.PUBLISH_CONFIRM].child()
        self.history_bytes = gauges[catalogue.HISTORY_BYTES].child()
        self.quarantine_size = gauges[catalogue.QUARANTINE_SIZE].child()
        self.database_up = gauges[catalogue.DATABASE_UP].child()
        self.token_expiry = gauges[catalogue.TOKEN_EXPIRY].child()
        self.http_connections = counters[catalogue.HTTP_CONNECTIONS].by()
        self._age = histograms[catalogue.EVENT_AGE].child()
        self._timed: set[str] = set()
        self._durations: dict[tuple[str, str], Keyed[Histogram]] = {}
        self._most_hooks = None if every_hook else LABELLED_HOOKS
        self._labelled: set[str] = set()
        self._hooks: dict[tuple[str, str], HookMetrics] = {}
        self._named: dict[str, tuple[str, Gauge]] = {}
        self._sources: dict[str, SourceMetrics] = {}
        self._queues: dict[str, QueueMetrics] = {}

    def want_examples(self) -> None:
        """Collects exemplars with the ids of deliveries and traces, for the next scrape that is made as OpenMetrics."""
        for spec in (catalogue.ATTEMPT_DURATION, catalogue.EVENT_AGE):
            self._families.histograms[spec].want_examples()

    def hook(self, hook: str, target: str) -> HookMetrics:
        """Returns the metrics of the hook, the same object each time; `target` is the type of its target."""
        key = (hook, target)
        if key not in self._hooks:
            labels = (self._hook_label(hook), target)
            self._hooks[key] = HookMetrics(self._families, labels, self._durations_of(*labels), self._age)
        return self._hooks[key]

    def _durations_of(self, label: str, target: str) -> Keyed[Histogram]:
        """Returns the histograms of a hook with its own label, if it is among the first; else those that all others share."""
        if label not in self._timed and (label == OTHER or len(self._timed) >= LABELLED_HOOKS):
            label = OTHER
        else:
            self._timed.add(label)
        if (label, target) not in self._durations:
            durations = self._families.histograms[catalogue.ATTEMPT_DURATION]
            self._durations[label, target] = durations.by(label, target)
        return self._durations[label, target]

    def name_hook(self, hook: str, name: str) -> None:
        """Sets the name of a hook that has its own label."""
        infos = self._families.gauges[catalogue.HOOK_INFO]
        before = self._named.get(hook)
        if self._hook_label(hook) == OTHER or (before is not None and before[0] == name):
            return
        if before is not None:
            infos.drop((hook, before[0]), before[1])
        gauge = infos.child(hook, name)
        gauge.value = 1
        self._named[hook] = (name, gauge)

    def drop_hook(self, hook: str) -> None:
        """Removes a hook that does not exist any more; another hook can have its label."""
        if (named := self._named.pop(hook, None)) is not None:
            self._families.gauges[catalogue.HOOK_INFO].drop((hook, named[0]), named[1])
        for key in [key for key in self._hooks if key[0] == hook]:
            self._hooks.pop(key).drop()
            if hook in self._timed:
                self._durations.pop(key).drop()
        self._labelled.discard(hook)
        self._timed.discard(hook)

    def http_connection(self, reused: bool) -> None:
        """Counts a webhook request, by whether its connection was reused."""
        self.http_connections["true" if reused else "false"].value += 1

    def source(self, source: str) -> SourceMetrics:
        """Returns the metrics of the source, the same object each time."""
        if source not in self._sources:
            self._sources[source] = SourceMetrics(self._families, source)
        return self._sources[source]

    def queue(self, queue: str, lane_of: str | None = None) -> QueueMetrics:
        """Returns the metrics of the queue, the same object each time; `lane_of` is the hook whose lane it is."""
        if queue not in self._queues:
            folded = lane_of is not None and self._hook_label(lane_of) == OTHER
            self._queues[queue] = QueueMetrics(self._families, OTHER if folded else queue)
        return self._queues[queue]

    def source_queue(self, source: str, queue: str) -> None:
        """Sets the queue of a source."""
        self._families.gauges[catalogue.SOURCE_INFO].child(source, queue)

    def certificates_end(self, ends: Mapping[str, float]) -> None:
        """Sets the Unix times at which certificates end, by their use, in place of those set before."""
        family = self._families.gauges[catalogue.CERTIFICATE_EXPIRY]
        family.clear()
        for use in sorted(ends, key=ends.__getitem__)[:LABELLED_HOOKS]:
            family.child(use).value = ends[use]

    def inlet(self, inlet: str) -> Keyed[Counter]:
        """Returns the inlet's counters by response; keep the result."""
        return self._families.counters[catalogue.INLET_REQUESTS].by(inlet)

    def inlet_answers(self, inlet: str) -> dict[str, int]:
        """Returns how many requests to the inlet had which response since the process started."""
        counters = self._families.counters[catalogue.INLET_REQUESTS].below(inlet)
        return {answer: int(sum(each.value for each in some)) for answer, some in counters.items()}

    def drop_queue(self, queue: str) -> None:
        """Removes a queue that does not exist any more."""
        if known := self._queues.pop(queue, None):
            known.drop()

    def _hook_label(self, hook: str) -> str:
        if hook in self._labelled:
            return hook
        if self._most_hooks is not None and len(self._labelled) >= self._most_hooks:
            return OTHER
        self._labelled.add(hook)
        return hook
