"""From what a message held to deliveries: all of it shares one settlement."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from bridge.core.budget import Turn
from bridge.core.delivery import DUPLICATE, Counted, Entry, Quarantined, Record, Status, Unmatched
from bridge.core.event import Event, Message, Refused, Undecodable
from bridge.core.hook import Hook
from bridge.pipeline.deliver import Delivering
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker, Thresholds
from bridge.pipeline.recorder import Recorder
from bridge.pipeline.settlement import InFlight, Remaining, Settlement
from bridge.pipeline.watch import FilterErrors, PipelineWatch
from bridge.retry.policy import CircuitBreaker, Policy, Rules
from bridge.routing.table import RoutingTable
from bridge.telemetry.metrics import Metrics
from tests.support.tickets import CountingTicket
from tests.support.waiting import until


class Entries:
    """Holds entries until they are settled one by one."""

    def __init__(self) -> None:
        self.added: list[tuple[Entry, Settlement]] = []

    def add(self, entry: Entry, settlement: Settlement) -> None:
        self.added.append((entry, settlement))


class Bench:
    """Routing into disabled hooks, whose deliveries are decided at once."""

    def __init__(self, *patterns: str) -> None:
        metrics = Metrics(CollectorRegistry())
        watch = PipelineWatch(metrics)
        self.entries, self.ticket, self.load = Entries(), CountingTicket(), InFlight()
        ids = (f"id{number}" for number in itertools.count())
        table = HookTable(FilterErrors(metrics).unanswered)
        nothing: Any = None
        self.delivering = Delivering(
            table, nothing, cast("Recorder", self.entries), watch, ids.__next__, lambda _hook, _reason: None
        )
        hooks = [
            Hook.model_validate(
                {
                    "name": f"h{number}",
                    "events": [pattern],
                    "enabled": False,
                    "target": {"type": "queue", "queue": "q"},
                }
            )
            for number, pattern in enumerate(patterns)
        ]
        runners = {
            hook.id: HookWorker(
                hook,
                None,
                self.delivering.deliver,
                policy=Policy.of(hook),
                breaker=CircuitBreaker(Rules()),
                thresholds=Thresholds(),
                metrics=metrics.hook(hook.id, "queue"),
                changed=lambda _runner: None,
            )
            for hook in hooks
        }
        table.swap(RoutingTable(hooks), runners)

    def route(
        self, *remaining: Remaining, refused: Sequence[Refused] = (), counted: Sequence[Counted] = ()
    ) -> list[Entry]:
        settlement = Settlement(self.ticket, "s", self.load)
        assert self.delivering.route(remaining, refused, settlement, counted) is None
        assert all(each is settlement for _, each in self.entries.added)
        return [entry for entry, _ in self.entries.added]

    def commit_one_by_one(self) -> None:
        for left, (_, settlement) in zip(
            reversed(range(len(self.entries.added))), self.entries.added, strict=True
        ):
            assert self.ticket.finished == 0
            settlement.fate_committed()
            assert self.load.open == left
        assert self.ticket.finished == 1


def event(kind: str) -> Event:
    return Event(kind, "s", kind, "json", 1.5, Message(b"{}"))


def new(*kinds: str) -> list[Remaining]:
    return [Remaining(event(kind)) for kind in kinds]


async def test_all_events_of_a_batch_settle_their_message_together():
    bench = Bench("a", "a", "b")
    entries = bench.route(*new("a", "b", "c"))
    records = [
        (entry.delivery.event.type, entry.delivery.hook) for entry in entries if isinstance(entry, Record)
    ]
    assert records == [("a", "h0"), ("a", "h1"), ("b", "h2")]
    assert all(entry.status is Status.SKIPPED for entry in entries if isinstance(entry, Record))
    assert [entry.event.type for entry in entries if isinstance(entry, Unmatched)] == ["c"]
    assert len({entry.delivery.id for entry in entries if isinstance(entry, Record)}) == 3
    bench.commit_one_by_one()


async def test_an_element_that_does_not_fit_goes_to_quarantine_beside_the_others():
    bench = Bench("a")
    bad = Refused(Message(b'{"bad":1}'), Undecodable("schema_mismatch", "$.bad: no"))
    entries = bench.route(*new("a"), refused=(bad, bad))
    quarantined = [entry for entry in entries if isinstance(entry, Quarantined)]
    assert [(each.message.body, each.reason, each.detail) for each in quarantined] == [
        (b'{"bad":1}', "schema_mismatch", "$.bad: no")
    ] * 2
    assert len(entries) == 3
    bench.commit_one_by_one()


async def test_a_batch_of_nothing_but_misfits_is_settled_with_the_last_of_them():
    bench = Bench("a")
    bench.route(refused=(Refused(Message(b"1"), Undecodable("schema_mismatch", "$: no")),))
    bench.commit_one_by_one()


async def test_a_single_event_without_hooks_settles_with_its_own_record():
    bench = Bench("a")
    (entry,) = bench.route(*new("z"))
    assert isinstance(entry, Unmatched)
    bench.commit_one_by_one()


async def test_a_redelivered_event_goes_to_the_hooks_without_a_fate_of_it_alone():
    bench = Bench("a", "a")
    (entry,) = bench.route(Remaining(event("a"), settled=frozenset({"h0"}), before=True))
    assert isinstance(entry, Record)
    assert entry.delivery.hook == "h1"
    bench.commit_one_by_one()


@pytest.mark.parametrize(
    "done",
    [
        Remaining(event("a"), settled=None, before=True),
        Remaining(event("a"), settled=frozenset({"h0"}), before=True),
        Remaining(event("z"), before=True),
    ],
    ids=["nobody needs it", "its only hook has it", "nobody asked for it before either"],
)
async def test_a_message_of_which_nothing_remains_is_finished_at_once(done):
    bench = Bench("a")
    assert bench.route(done) == []
    assert (bench.ticket.finished, bench.load.open) == (1, 0)


async def test_a_duplicate_is_recorded_for_each_hook_and_delivered_to_none():
    bench = Bench("a", "a")
    entries = bench.route(Remaining(event("a"), duplicate=True))
    assert [(entry.reason, entry.status) for entry in entries if isinstance(entry, Record)] == [
        (DUPLICATE, Status.SKIPPED)
    ] * 2
    bench.commit_one_by_one()


async def test_what_is_counted_of_an_event_has_its_share_of_the_message():
    bench = Bench("a")
    bench.route(*new("a"), counted=[Counted(event("a"), {"user": "u"})])
    bench.commit_one_by_one()


async def test_a_bug_in_the_middle_of_a_fan_out_costs_the_shares_that_have_not_started_and_no_other():
    bench = Bench("a", "a", "a")
    ids = ["only"]
    bench.delivering = replace(bench.delivering, new_id=ids.pop)
    with pytest.raises(IndexError):
        bench.route(*new("a"))
    ((_, settlement),) = bench.entries.added
    assert bench.load.open == 1
    settlement.fate_committed()
    assert (bench.load.open, bench.ticket.finished) == (0, 0)  # the broker hands it out again


class Clock:
    """Goes on when an event is matched and when a delivery starts."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Busy:
    """The event loop, as long as one task takes: what happened in each of its iterations."""

    def __init__(self, bench: Bench) -> None:
        self.clock, self.iterations = Clock(), 0
        self.matched, self.started = Counter[int](), Counter[int]()
        bench.delivering = replace(bench.delivering, turn=Turn(0.005, self.clock), new_id=self._start)
        self._match, self._ids = bench.delivering.table.match, map(str, itertools.count())
        bench.delivering.table.match = self._noted  # type: ignore[method-assign]

    def _noted(self, event: Event) -> list[HookWorker]:
        self.matched[self.iterations] += 1
        self.clock.now += 0.0005
        return self._match(event)

    def _start(self) -> str:
        self.started[self.iterations] += 1
        self.clock.now += 0.0005
        return next(self._ids)

    async def through(self, work: Awaitable[None] | None) -> None:
        assert work is not None
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.sleep(0)
            self.iterations += 1
        await task


@pytest.mark.parametrize("hooks", [1, 20])
async def test_thousands_of_events_of_one_message_are_matched_and_start_in_many_iterations_and_settle_it_together(
    hooks: int,
):
    bench = Bench(*["a"] * hooks)
    busy = Busy(bench)
    events = [replace(event("a"), id=str(number)) for number in range(1000)]
    settlement = Settlement(bench.ticket, "s", bench.load)
    await busy.through(bench.delivering.route([Remaining(each) for each in events], (), settlement))
    assert max((busy.matched + busy.started).values()) <= 12
    assert busy.started.total() == 1000 * hooks
    for number in range(hooks):
        of_hook = [
            entry.delivery.event.id
            for entry, _ in bench.entries.added
            if isinstance(entry, Record) and entry.delivery.hook == f"h{number}"
        ]
        assert of_hook == [each.id for each in events]
    bench.commit_one_by_one()


async def test_a_message_is_not_settled_before_its_last_event_is_matched():
    bench = Bench("a")
    busy = Busy(bench)
    settlement = Settlement(bench.ticket, "s", bench.load)
    refused = [Refused(Message(b"1"), Undecodable("schema_mismatch", "$: no"))] * 100
    rest = asyncio.ensure_future(
        cast("Any", bench.delivering.route(new(*["a"] * 1000), refused, settlement, counted()))
    )
    committed = 0
    while not rest.done():
        await asyncio.sleep(0)
        busy.iterations += 1
        for _, each in bench.entries.added[committed:]:
            assert bench.ticket.finished == 0
            each.fate_committed()
        committed = len(bench.entries.added)
    await rest
    for _, each in bench.entries.added[committed:]:
        each.fate_committed()
    assert (bench.ticket.finished, bench.load.open, len(bench.entries.added)) == (1, 0, 1200)


def counted() -> Iterator[Counted]:
    for _ in range(100):
        yield Counted(event("a"), {"user": "u"})


async def test_a_message_whose_thousands_of_events_all_have_their_fates_is_finished():
    bench = Bench("a")
    busy = Busy(bench)
    settlement = Settlement(bench.ticket, "s", bench.load)
    done = [Remaining(event("a"), settled=frozenset({"h0"}), before=True)] * 1000
    await busy.through(bench.delivering.route(done, (), settlement))
    assert max(busy.matched.values()) <= 12
    assert (bench.entries.added, bench.ticket.finished, bench.load.open) == ([], 1, 0)


async def test_what_has_not_started_of_a_message_is_dropped_once_the_broker_hands_it_out_again():
    bench = Bench("a")
    settlement = Settlement(bench.ticket, "s", bench.load)
    rest = bench.delivering.route(new(*["a"] * 1000), (), settlement)
    assert rest is not None
    assert (bench.entries.added, bench.load.open) == ([], 1)
    bench.ticket.valid = False
    await rest
    assert (bench.entries.added, bench.load.open) == ([], 0)


async def test_a_hook_that_a_reload_adds_gets_the_events_of_a_message_that_start_later():
    bench = Bench("a")
    bench.delivering = replace(bench.delivering, turn=Turn(most=0.0))
    table, later = bench.delivering.table, Bench("a", "a").delivering.table
    settlement = Settlement(bench.ticket, "s", bench.load)
    rest = bench.delivering.route(new(*["a"] * 1000), (), settlement)
    assert rest is not None
    busy = asyncio.ensure_future(rest)
    await until(lambda: bench.entries.added, every=0)
    begun = len(bench.entries.added)
    assert begun < 1000
    table.swap(later.routing, {runner.hook.id: runner for runner in later})
    await busy
    hooks = Counter(entry.delivery.hook for entry, _ in bench.entries.added if isinstance(entry, Record))
    assert hooks["h0"] == 1000
    assert 0 < hooks["h1"] <= 1000 - begun + 1
    bench.commit_one_by_one()
