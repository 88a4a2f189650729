"""Counters, gauges and histograms as plain numbers, changed on the event loop and collected on each scrape.

The metric objects of prometheus-client take a lock per step: 0.35 us for a counter and 0.7 to 1.1 us for a histogram, against
0.02 us and 0.14 us here (0.26.0, Python 3.11), which matters with six of them per delivery. Metrics that change a few times a
second at most use prometheus-client (`RareMetrics`). Instruments are changed and collected on one thread, so they need no lock.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import isnan
from time import time
from typing import Generic, TypeVar

from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from bridge.core.delivery import Delivery
from bridge.telemetry.catalogue import FOLDS, Spec

MOST_VALUES = 300
_NONE: set[int] = set()
OTHER = "other"


class Counter:
    """A number that only rises: `counter.value += 1`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0


class Gauge:
    """A number that is set, or counted up and down: `gauge.value = 1`. NaN: unknown, no sample."""

    __slots__ = ("value",)

    def __init__(self, value: float) -> None:
        self.value = value


class Histogram:
    """The number of observed values up to each bound, and their sum; for each bucket one example, if examples are wanted."""

    __slots__ = ("_bounds", "_wanted", "counts", "examples", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._wanted: set[int] = _NONE
        self.counts = [0] * (len(bounds) + 1)
        self.examples: dict[int, Exemplar] = {}
        self.sum = 0.0

    def observe(self, value: float, delivery: Delivery | None = None) -> None:
        """Counts a value, which this delivery has."""
        place = bisect_left(self._bounds, value)
        self.counts[place] += 1
        self.sum += value
        if self._wanted and place in self._wanted:
            self._wanted.remove(place)
            self.examples[place] = Exemplar(_labels_of(delivery), value, time())

    def want_examples(self) -> None:
        """Takes the next value of each bucket as its example: one for each scrape, so that busy buckets cost no more."""
        self._wanted = set(range(len(self.counts)))


def _labels_of(delivery: Delivery | None) -> dict[str, str]:
    """Returns the ids in an exemplar: of a delivery, and of its trace if that is recorded."""
    if delivery is None:
        return {}
    trace = delivery.trace
    ids = {"trace_id": trace.trace_id} if trace is not None and trace.sampled else {}
    return {"delivery_id": delivery.id} | ids


T = TypeVar("T")
Labels = tuple[str, ...]


class Family(ABC, Generic[T]):
    """A metric of the catalogue.

    Several children may have the same labels (hooks beyond the limit all have `other`): each hook has its own counts, and the
    scrape combines them into one sample.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._children: dict[Labels, list[T]] = {}

    def clear(self) -> None:
        """Removes all children."""
        self._children.clear()

    def child(self, *labels: str) -> T:
        """Returns a new instrument with these label values; keep it, since this is too slow for each event."""
        if len(labels) != len(self.spec.labels):
            raise ValueError(f"{self.spec.name} has the labels {self.spec.labels}, not {labels}")
        child = self._new()
        self._children.setdefault(labels, []).append(child)
        return child

    def owned(self, removals: list[Callable[[], None]], *labels: str) -> T:
        """Returns a new instrument with these labels; adds the function that removes it again to `removals`."""
        child = self.child(*labels)
        removals.append(partial(self.drop, labels, child))
        return child

    def below(self, *labels: str) -> dict[str, list[T]]:
        """Returns the instruments with these first labels by the value of the last one."""
        return {known[-1]: children for known, children in self._children.items() if known[:-1] == labels}

    def by(self, *labels: str) -> "Keyed[T]":
        """Returns instruments by the value of one more label, the last."""
        return Keyed(self, labels)

    def drop(self, labels: Labels, child: T) -> None:
        """Removes a child and its counts, unless other children have the same labels."""
        siblings = [sibling for sibling in self._children.get(labels, ()) if sibling is not child]
        if siblings:
            self._hand_over(child, siblings[0])
            self._children[labels] = siblings
        else:
            self._children.pop(labels, None)

    @abstractmethod
    def _new(self) -> T: ...

    def _hand_over(self, child: T, sibling: T) -> None:
        """Adds the counts of a removed child to a sibling: a falling sum would look like a restart."""

    @abstractmethod
    def collect(self) -> Metric:
        """Returns the metric as prometheus-client exports it."""


class Keyed(dict[str, T], Generic[T]):
    """Instruments by the value of one label, created on first use; beyond a limit they share the value `other`."""

    def __init__(self, family: Family[T], labels: Labels) -> None:
        super().__init__()
        self._family = family
        self._labels = labels

    def __missing__(self, value: str) -> T:
        if len(self) >= MOST_VALUES and value != OTHER:
            return self[OTHER]
        self[value] = child = self._family.child(*self._labels, value)
        return child

    def drop(self) -> None:
        for value, child in self.items():
            self._family.drop((*self._labels, value), child)
        self.clear()


class Counters(Family[Counter]):
    """The counters of a metric by labels."""

    def _new(self) -> Counter:
        return Counter()

    def _hand_over(self, child: Counter, sibling: Counter) -> None:
        sibling.value += child.value

    def collect(self) -> Metric:
        metric = CounterMetricFamily(self.spec.name, self.spec.help, labels=self.spec.labels)
        for labels, children in self._children.items():
            metric.add_metric(labels, sum(child.value for child in children))
        return metric


class Gauges(Family[Gauge]):
    """The gauges of a metric by labels."""

    def _new(self) -> Gauge:
        return Gauge(self.spec.start)

    def collect(self) -> Metric:
        metric = GaugeMetricFamily(self.spec.name, self.spec.help, labels=self.spec.labels)
        fold = FOLDS[self.spec.fold]
        for labels, children in self._children.items():
            if known := [child.value for child in children if not isnan(child.value)]:
                metric.add_metric(labels, fold(known))
        return metric


class Histograms(Family[Histogram]):
    """The histograms of a metric by labels."""

    def _new(self) -> Histogram:
        return Histogram(self.spec.buckets)

    def _hand_over(self, child: Histogram, sibling: Histogram) -> None:
        sibling.counts = [a + b for a, b in zip(sibling.counts, child.counts, strict=True)]
        sibling.sum += child.sum

    def collect(self) -> Metric:
        metric = HistogramMetricFamily(self.spec.name, self.spec.help, labels=self.spec.labels)
        for labels, children in self._children.items():
            counts = [sum(column) for column in zip(*(child.counts for child in children), strict=True)]
            examples: dict[int, Exemplar] = {}
            for child in children:
                examples |= child.examples
            buckets = list(_cumulative(self.spec.buckets, counts, examples))
            metric.add_metric(labels, buckets, sum(child.sum for child in children))
        return metric

    def want_examples(self) -> None:
        """Collects examples with the deliveries that come, which OpenMetrics calls exemplars."""
        for children in self._children.values():
            for child in children:
                child.want_examples()


def _cumulative(
    bounds: Iterable[float], counts: Iterable[int], examples: Mapping[int, Exemplar]
) -> Iterator[tuple[str, float] | tuple[str, float, Exemplar]]:
    total = 0
    for place, (bound, count) in enumerate(zip((*map(str, map(float, bounds)), "+Inf"), counts, strict=True)):
        total += count
        yield (bound, total, examples[place]) if place in examples else (bound, total)
