"""Messages that may have come before go on with what is known of them, and none is held for ever or lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

from bridge.core.budget import Turn
from bridge.core.errors import HistoryUnavailable
from bridge.core.guards import Claim, Claimed, Earlier, EventKey
from bridge.history.guards_store import SqlClaims, SqlRecollection
from bridge.pipeline.dedupe import DedupeLeases, RedeliveryFilter
from bridge.pipeline.settlement import InFlight, Part, ReceivedMessage, Remaining, Settlement
from tests.support.records import an_event
from tests.support.tickets import CountingTicket
from tests.support.waiting import holds, until

EVENT = an_event(publisher_id="m-1", webhook_id="w-1", source="main")
KEY: EventKey = ("main", "m-1", "w-1")


class Memory:
    """What is known of earlier events; `failing` is raised first, one after the other. `open`: answers come."""

    def __init__(self, *failing: Exception) -> None:
        self.known: dict[EventKey, Earlier] = {}
        self.failing = list(failing)
        self.open = asyncio.Event()
        self.open.set()
        self.asked = 0

    async def earlier(self, keys: Collection[EventKey]) -> Mapping[EventKey, Earlier]:
        self.asked += 1
        await self.open.wait()
        if self.failing:
            raise self.failing.pop(0)
        return {key: self.known[key] for key in keys if key in self.known}


class Claims:
    """Gives each key to the first event that asks for it."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}

    async def now(self) -> float:
        return 0.0

    async def claim(self, wanted: Sequence[Claim], *, holder: str, at: float) -> Mapping[str, Claimed]:
        new = {one.digest for one in wanted if one.digest not in self.owners}
        for one in wanted:
            self.owners.setdefault(one.digest, one.event_id)
        return {
            one.digest: Claimed(one.digest, self.owners[one.digest], holder, at, False, new=one.digest in new)
            for one in wanted
        }

    async def release(self, held: Collection[tuple[str, str]], *, holder: str) -> None:
        for digest, _ in held:
            self.owners.pop(digest, None)


class Bench:
    """A running stage and what came out of it."""

    def __init__(self, memory: Memory, turn: Turn | None = None) -> None:
        nothing: Any = None
        self.claims = Claims()
        self.recall = RedeliveryFilter(
            cast("SqlRecollection", memory),
            DedupeLeases(cast("SqlClaims", self.claims), "me", alone=True),
            nothing,
            self._send_acks,
            turn or Turn(),
        )
        self.gone_on: list[Remaining] = []

    async def _send_acks(self) -> None:
        return

    def take(self) -> tuple[Settlement, CountingTicket]:
        ticket = CountingTicket()
        settlement = Settlement(ticket, "main", InFlight())

        def resume(remaining: Sequence[Remaining]) -> None:
            self.recall.under_way.add("w-1", settlement)
            self.gone_on += remaining

        self.recall.take(ReceivedMessage([Part(EVENT)], settlement, True, 0.0, resume))
        return settlement, ticket


@asynccontextmanager
async def running(memory: Memory, turn: Turn | None = None) -> AsyncIterator[Bench]:
    bench = Bench(memory, turn)
    task = asyncio.create_task(bench.recall.run())
    try:
        yield bench
    finally:
        assert not task.done()
        task.cancel()


async def test_an_event_goes_on_under_its_earlier_id_without_the_hooks_that_are_done():
    memory = Memory()
    memory.known[KEY] = Earlier("E0", frozenset({"a"}))
    async with running(memory) as bench:
        bench.take()
        [found] = await until(lambda: bench.gone_on)

    assert (found.event.id, found.settled, found.before) == ("E0", frozenset({"a"}), True)


async def test_it_waits_while_the_history_is_away():
    memory = Memory(HistoryUnavailable("away"), HistoryUnavailable("away"))
    memory.known[KEY] = Earlier("E0", frozenset())
    async with running(memory) as bench:
        bench.take()
        [found] = await until(lambda: bench.gone_on)

    assert (found.event.id, memory.asked) == ("E0", 3)


async def test_a_bug_in_the_look_delivers_rather_twice_than_never():
    async with running(Memory(ValueError("a bug"))) as bench:
        bench.take()
        [found] = await until(lambda: bench.gone_on)

    assert found == Remaining(EVENT)


async def test_of_two_of_one_event_the_second_goes_on_when_the_first_has_its_fate():
    memory = Memory()
    async with running(memory) as bench:
        first, _ = bench.take()
        bench.take()
        await until(lambda: bench.gone_on)
        await holds(lambda: len(bench.gone_on) == 1, 0.3, what="the second was begun beside the first")
        memory.known[KEY] = Earlier(EVENT.id, frozenset({"a"}))
        first.fate_committed()
        await until(lambda: len(bench.gone_on) == 2)

    assert bench.gone_on[1].settled == frozenset({"a"})


async def test_what_is_held_is_given_back_and_what_is_void_is_dropped():
    memory = Memory()
    memory.open.clear()
    async with running(memory) as bench:
        given, ticket = bench.take()
        await until(lambda: memory.asked)
        void, void_ticket = bench.take()
        bench.recall.requeue("other")
        assert ticket.given_back == 0
        void_ticket.valid = False
        memory.open.set()
        await until(lambda: len(bench.gone_on) == 1)
        await until(lambda: void.open == 0)
        assert given.open == 1

        memory.open.clear()
        again, ticket = bench.take()
        given.fate_committed()
        await until(lambda: memory.asked == 2)
        bench.recall.requeue("main")
        memory.open.set()
        await until(lambda: ticket.given_back == 1)
        await holds(lambda: len(bench.gone_on) == 1, 0.2, what="it was begun after it was given back")
        assert again.open == -1
        assert void_ticket.given_back == 0


# A message may hold ten thousand events.


class Iterations:
    """Counts the iterations of the event loop; in each of them a clock allows six looks, a millisecond apart."""

    def __init__(self) -> None:
        self.count, self._now = 0, 0.0
        self.turn = Turn(0.005, self._look)

    def _look(self) -> float:
        self._now += 0.001
        return self._now

    async def until(self, look: Callable[[], Any]) -> None:
        while not look():
            await asyncio.sleep(0)
            self.count += 1


def many(count: int, **fields: Any) -> list[Part]:
    events = [
        replace(EVENT, id=f"e{number}", publisher_id=f"m-{number}", webhook_id=f"w-{number}")
        for number in range(count)
    ]
    return [Part(event, **{name: each(event) for name, each in fields.items()}) for event in events]


async def test_what_is_known_of_thousands_of_events_is_told_in_many_iterations_of_the_event_loop():
    memory, iterations = Memory(), Iterations()
    parts = many(3000)
    for part in parts:
        memory.known["main", part.event.publisher_id or "", part.event.webhook_id] = Earlier(
            f"before {part.event.id}", frozenset()
        )
    async with running(memory, iterations.turn) as bench:
        settlement = Settlement(CountingTicket(), "main", InFlight())
        bench.recall.take(ReceivedMessage(parts, settlement, True, 0.0, bench.gone_on.extend))
        await iterations.until(lambda: bench.gone_on)
    assert [each.event.id for each in bench.gone_on] == [f"before e{number}" for number in range(3000)]
    assert iterations.count >= 3000 / 7


async def test_keys_of_thousands_of_events_are_judged_in_many_iterations_of_the_event_loop():
    iterations = Iterations()
    # Each key belongs to two events that are far apart: the second one is a duplicate.
    parts = many(3000, digest=lambda event: f"key {int(event.id[1:]) % 1500}")
    async with running(Memory(), iterations.turn) as bench:
        settlement = Settlement(CountingTicket(), "main", InFlight())
        bench.recall.take(ReceivedMessage(parts, settlement, False, 3600.0, bench.gone_on.extend))
        await iterations.until(lambda: bench.gone_on)
    assert [each.duplicate for each in bench.gone_on] == [False] * 1500 + [True] * 1500
    assert not any(each.before for each in bench.gone_on)
    assert iterations.count >= 3000 / 7


async def test_a_message_that_is_given_back_while_its_events_are_judged_does_not_go_on():
    iterations = Iterations()
    async with running(Memory(), iterations.turn) as bench:
        ticket = CountingTicket()
        parts = many(3000, digest=lambda event: f"key of {event.id}")
        settlement = Settlement(ticket, "main", InFlight())
        bench.recall.take(ReceivedMessage(parts, settlement, False, 3600.0, bench.gone_on.extend))
        await iterations.until(lambda: any(part.remaining for part in parts))
        bench.recall.requeue("main")
        await iterations.until(lambda: all(part.remaining for part in parts))
        await asyncio.sleep(0)
    assert (bench.gone_on, ticket.given_back) == ([], 1)
