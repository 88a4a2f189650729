"""A hook at work: what goes direct, what waits in the lane, and whose turn a slot is."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from bridge.core.budget import Turn
from bridge.core.delivery import Answer, Delivered, Delivery, Fault, Parked
from bridge.core.event import Event, Message
from bridge.core.hook import Hook
from bridge.core.ports import Target
from bridge.pipeline.backpressure import Shares, SlowHookIsolation
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker, Thresholds
from bridge.pipeline.settlement import InFlight, Settlement, Work
from bridge.retry.policy import CircuitBreaker, Policy, Rules
from bridge.routing.table import RoutingTable
from bridge.telemetry.metrics import Metrics
from tests.support.tickets import CountingTicket
from tests.support.waiting import until

METRICS = Metrics(CollectorRegistry())


class Nowhere:
    """A target that is never asked."""

    async def close(self):
        pass


def hook(**changes: Any) -> Hook:
    target = {"type": "webhook", "url": "http://127.0.0.1/", "profile": "none", **changes.pop("target", {})}
    return Hook.model_validate({"name": "crm", "target": target, **changes})


def runner(settings: Hook | None = None, deliver: Any = None, **options: Any) -> HookWorker:
    settings = settings or hook()
    return HookWorker(
        settings,
        options.get("target", cast("Target", Nowhere())),
        deliver,
        policy=Policy.of(settings),
        breaker=CircuitBreaker(Rules()),
        thresholds=Thresholds(),
        metrics=METRICS.hook(settings.id, "webhook"),
        changed=lambda _runner: None,
        turn=options.get("turn"),
    )


def work(name: str = "d", *, from_lane: bool = False, settlement: Settlement | None = None) -> Work:
    event = Event("e", "s", "t", "json", time.time(), Message(b"{}"))
    settlement = settlement or Settlement(CountingTicket(), "s", InFlight())
    return Work(Delivery(name, event, "crm"), settlement, from_lane=from_lane)


@asynccontextmanager
async def at_work(settings: Hook, deliver: Any):
    subject = runner(settings, deliver)
    try:
        yield subject
    finally:
        await subject.close()


async def test_a_healthy_hook_is_attempted_directly():
    assert runner().why_park(0.0) == ""


@pytest.mark.parametrize(
    ("settings", "options", "reason"),
    [
        (hook(paused=True), {}, "paused"),
        (hook(target={"timeout": 31}), {}, "long_timeout"),
        (hook(), {"target": None}, "not_served"),
    ],
)
async def test_what_cannot_be_attempted_soon_waits_in_the_lane(settings, options, reason):
    assert runner(settings, **options).why_park(0.0) == reason


async def test_a_deep_lane_is_served_until_it_is_empty():
    subject = runner()
    subject.queue.lane_counted(1001)
    assert subject.why_park(0.0) == "lane_deep"
    subject.queue.lane_counted(5)
    assert subject.why_park(0.0) == "lane_deep"
    subject.queue.lane_counted(0)
    assert subject.why_park(0.0) == ""


async def test_a_shallow_lane_does_not_keep_events_from_going_directly():
    subject = runner()
    subject.queue.lane_counted(1000)
    assert subject.why_park(0.0) == ""


async def test_without_a_token_of_its_rate_a_hook_uses_its_lane():
    subject = runner(hook(rate="2/s"))
    assert subject.why_park(0.0) == ""
    subject.enqueue(work())
    assert subject.why_park(0.0) == "rate"
    await subject.close()


async def test_an_open_breaker_parks_until_the_next_event_may_be_the_probe():
    subject = runner()
    for _ in range(5):
        subject.learn(Answer(Fault.REFUSED), 100.0, probe=False)
    assert subject.why_park(100.5) == "breaker_open"
    assert subject.why_park(101.5) == ""

    probe = work()
    assert subject.why_wait(probe, 101.5) == ""
    assert probe.probe
    assert subject.why_wait(work(), 101.5) == "breaker_open"
    assert subject.why_park(101.6) == "breaker_open"

    subject.learn(Answer(), 102.0, probe=True)
    assert subject.why_park(102.0) == ""


async def test_a_held_hook_waits_for_its_time():
    subject = runner()
    subject.hold(50.0)
    assert subject.why_park(49.0) == "held"
    assert subject.why_park(51.0) == ""


async def test_no_more_than_the_configured_attempts_run_at_once():
    release, running, most = asyncio.Event(), set(), 0

    async def deliver(_runner, item):
        nonlocal most
        running.add(item)
        most = max(most, len(running))
        await release.wait()
        running.discard(item)

    async with at_work(hook(concurrency=3), deliver) as subject:
        for n in range(10):
            subject.enqueue(work(f"d{n}"))
        await until(lambda: len(running) == 3)
        release.set()
        await until(lambda: not subject.in_flight and not subject.queue)
    assert most == 3


async def test_a_lane_with_messages_gets_every_other_slot():
    order = []

    async def deliver(_runner, item):
        order.append(item.from_lane)
        await asyncio.sleep(0)

    async with at_work(hook(concurrency=1), deliver) as subject:
        for n in range(10):
            subject.queue.add(work(f"d{n}"))
            subject.queue.add(work(f"l{n}", from_lane=True))
        subject.enqueue(work("last"))
        await until(lambda: len(order) == 21)
    assert sum(order[:10]) == 5


async def test_a_bug_in_a_delivery_costs_no_worker():
    done = []

    async def deliver(_runner, item):
        if item.delivery.id == "bad":
            raise RuntimeError("a bug")
        done.append(item)

    async with at_work(hook(concurrency=1), deliver) as subject:
        bad = work("bad")
        subject.enqueue(bad)
        subject.enqueue(work("good"))
        await until(lambda: done)
    assert bad.settlement.open == 0


async def test_a_copy_in_the_lane_is_counted_and_its_age_known():
    subject = runner()
    subject.copy_sent(Parked("paused"), 123.0)
    assert (subject.lane.exists, subject.lane.depth, subject.lane.oldest) == (True, 1, 123.0)
    subject.copy_sent(Delivered(), 100.0)
    subject.queue.copy_received()
    subject.queue.lane_counted(0)
    assert subject.lane.oldest == 0.0


# ---- balance --------------------------------------------------------------------------------------------


class Crowd:
    """Two hooks on one source, one of them slow."""

    def __init__(self, *, listeners: int = 2, concurrency: int = 2):
        self.parked: list[tuple[str, str]] = []
        names = ["crm", "other"][:listeners]
        hooks = [hook(name=name, concurrency=concurrency) for name in names]
        self.runners = {settings.id: runner(settings, self.hang) for settings in hooks}
        self.table = HookTable(lambda _event, _filters: None)
        self.table.swap(RoutingTable(hooks), self.runners)
        self.slow = self.runners["crm"]
        self.balance = SlowHookIsolation(self.table, self.park, Shares())

    def park(self, subject, items, reason):
        self.parked += [(item.delivery.id, reason) for item in items]

    async def hang(self, _runner, _item):
        await asyncio.Event().wait()

    async def attempt(self, count):
        self.slow.learn(Answer(), 0.0, probe=False)  # so that it may use all of its slots
        for n in range(count):
            self.slow.enqueue(work(f"running{n}"))
        await until(lambda: self.slow.in_flight == count)

    def sweep(self, held, after):
        self.balance.sweep({"s": held}, time.monotonic() + after)


@pytest.fixture
async def crowds():
    made: list[Crowd] = []

    def crowd(**options: Any) -> Crowd:
        made.append(Crowd(**options))
        return made[-1]

    yield crowd
    for each in made:
        await each.slow.close()


async def test_what_waits_for_a_slow_hook_is_parked_when_its_source_is_crowded(crowds):
    crowd = crowds()
    await crowd.attempt(2)
    crowd.slow.queue.add(work("waiting"))

    crowd.sweep((80, 100), after=5.0)

    assert crowd.parked == [("waiting", "slots")]
    assert crowd.slow.lane.reason == "slots"


@pytest.mark.parametrize(
    ("held", "after", "listeners"),
    [((79, 100), 5.0, 2), ((100, 100), 0.5, 2), ((100, 100), 5.0, 1)],
    ids=["the source has room", "attempts are quick", "nobody else listens"],
)
async def test_a_hook_that_does_no_harm_merely_waits(crowds, held, after, listeners):
    crowd = crowds(listeners=listeners)
    await crowd.attempt(2)
    crowd.slow.queue.add(work("waiting"))

    crowd.sweep(held, after)

    assert crowd.parked == []


async def test_a_delivery_whose_siblings_are_under_way_is_not_parked_yet(crowds):
    crowd = crowds()
    await crowd.attempt(2)
    settlement = Settlement(CountingTicket(), "s", InFlight())
    settlement.hand_out(2)
    crowd.slow.queue.add(work("waiting", settlement=settlement))

    crowd.sweep((100, 100), after=5.0)

    assert crowd.parked == []


async def test_slow_attempts_hold_no_more_than_a_quarter_of_a_source(crowds):
    crowd = crowds(concurrency=100)
    await crowd.attempt(26)
    crowd.slow.queue.add(work("waiting"))

    crowd.sweep((50, 100), after=5.0)

    assert crowd.parked == [("waiting", "slow")]


# Thousands of deliveries at once: a message may hold ten thousand events.


class Parking:
    """Parks deliveries, each for a thousandth of a second of the event loop."""

    def __init__(self) -> None:
        self.now, self.iterations, self.order = 0.0, 0, list[str]()
        self.per_iteration = Counter[int]()
        self.turn = Turn(0.005, lambda: self.now)

    async def park(self, work: Work) -> None:
        self.order.append(work.delivery.id)

    def begin(self, work: Work) -> Coroutine[Any, Any, None]:
        self.per_iteration[self.iterations] += 1
        self.now += 0.001
        return self.park(work)

    async def until(self, look: Callable[[], Any]) -> None:
        while not look():
            await asyncio.sleep(0)
            self.iterations += 1
            assert self.iterations < 10_000


async def test_thousands_of_deliveries_are_parked_in_their_order_in_many_iterations_of_the_event_loop():
    parking = Parking()
    subject = runner(turn=parking.turn)
    works = [work(str(number)) for number in range(1000)]
    subject.park(works, parking.begin)
    assert all(each.settlement.started for each in works)
    assert subject.lane.parking == 1000
    await parking.until(lambda: parking.order)
    subject.park([work("later")], parking.begin)
    await parking.until(lambda: not subject.busy)
    assert max(parking.per_iteration.values()) <= 7
    assert parking.order == [*map(str, range(1000)), "later"]
    assert subject.lane.parking == 0


async def test_a_single_delivery_is_parked_at_once():
    parking = Parking()
    subject = runner(turn=parking.turn)
    subject.park([work("only")], parking.begin)
    assert parking.per_iteration == {0: 1}
    await parking.until(lambda: not subject.busy)
    assert (parking.order, subject.lane.parking) == (["only"], 0)


async def test_what_waited_for_a_replaced_worker_keeps_its_order_and_gets_all_slots():
    begun = list[str]()

    async def deliver(_runner: HookWorker, item: Work) -> None:
        begun.append(item.delivery.id)
        await asyncio.Event().wait()

    target = {"type": "queue", "queue": "q"}
    subject = runner(Hook.model_validate({"name": "crm", "concurrency": 3, "target": target}), deliver)
    subject.enqueue_all([work(str(number)) for number in range(10)])
    await until(lambda: len(begun) == 3)
    assert begun == ["0", "1", "2"]
    assert [each.delivery.id for each in subject.queue.direct] == [*map(str, range(3, 10))]
    await subject.close()
