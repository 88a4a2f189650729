"""A full collection of cyclic garbage visits every object: none begins while a large message is in flight."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from bridge.app.monitors import Memory
from bridge.core.budget import Budget
from bridge.pipeline.settlement import InFlight
from bridge.telemetry.metrics import Metrics

nothing: Any = None


class Clock:
    """Monotonic time as a test sets it."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr("bridge.app.monitors.time", clock)
    gc.disable()  # Python's own would take place meanwhile
    yield clock
    gc.enable()


def memory(budget: Budget, load: InFlight) -> Memory:
    return Memory(budget, nothing, nothing, Metrics(CollectorRegistry()), load)


def due() -> None:
    """Have a full collection be due."""
    for _ in range(11):
        gc.collect(1)


def is_over() -> bool:
    return gc.get_count()[2] < 11


@pytest.mark.parametrize(("byte_count", "open_deliveries"), [(0, 10_000), (10_000_000, 1), (5_000_000, 5000)])
def test_a_full_collection_waits_while_much_is_in_flight_but_not_for_ever(
    clock: Clock, byte_count: int, open_deliveries: int
):
    budget, load = Budget(), InFlight(open_deliveries)
    budget.holder("source").take(byte_count)
    subject = memory(budget, load)
    due()
    clock.now = 100.0
    subject.collect()
    assert not is_over()
    clock.now = 250.0
    subject.collect()
    assert is_over()


def test_a_full_collection_takes_place_as_soon_as_little_is_in_flight(clock: Clock):
    budget, load = Budget(), InFlight(10_000)
    subject = memory(budget, load)
    due()
    clock.now = 1.0
    subject.collect()
    assert not is_over()
    load.open = 10
    subject.collect()
    assert is_over()


def test_no_full_collection_takes_place_that_is_not_due(clock: Clock):
    subject = memory(Budget(), InFlight())
    gc.collect()
    gc.collect(1)
    clock.now = 1000.0
    subject.collect()
    assert gc.get_count()[2] >= 1
