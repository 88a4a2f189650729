"""The fence: a copy that was overtaken is dropped, and nothing else is."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.delivery import Delivery, Known
from bridge.core.event import Event, Message
from bridge.core.ports import History
from bridge.pipeline.fencing import Fence, stale
from bridge.pipeline.settlement import InFlight, Work
from tests.support.tickets import CountingTicket
from tests.support.waiting import holds, until


def delivery(**changes):
    event = Event("e", "s", "t", "json", 0.0, Message(b"{}"))
    return Delivery("d", event, "h", **changes)


def test_a_delivery_that_nobody_knows_goes_through():
    assert not stale(delivery(), None)


def test_a_final_delivery_is_not_attempted_again():
    assert stale(delivery(generation=2, attempt=9), Known(generation=2, attempts=1, final=True))


def test_however_an_earlier_generation_ended_the_next_one_is_attempted():
    assert not stale(delivery(generation=2, attempt=1), Known(generation=1, attempts=1, final=True))


def test_a_copy_of_an_earlier_generation_is_stale():
    assert stale(delivery(generation=1, attempt=7), Known(generation=2, attempts=0, final=False))


def test_the_copy_whose_attempt_is_recorded_is_stale_and_the_next_one_is_not():
    known = Known(generation=1, attempts=2, final=False)

    assert stale(delivery(attempt=2), known)
    assert not stale(delivery(attempt=3), known)


@given(st.integers(1, 5), st.integers(1, 20), st.integers(0, 20), st.booleans())
def test_a_manual_retry_always_gets_through_and_what_it_overtook_never(generation, attempt, attempts, final):
    assert not stale(delivery(generation=generation + 1, attempt=attempt), Known(generation, attempts, final))
    assert stale(delivery(generation=generation, attempt=attempt), Known(generation + 1, attempts, final))


class NobodyKnows:
    """A history without a row."""

    async def known(self, deliveries: Sequence[str]) -> dict[str, Known]:
        return {}


async def test_a_copy_that_was_given_back_and_comes_again_is_attempted():
    through: list[Work] = []
    dropped: list[Delivery] = []

    async def send_acks():
        return

    fence = Fence(
        cast("History", NobodyKnows()),
        InFlight(),
        lambda work, _again: through.append(work),
        dropped.append,
        send_acks,
    )
    running = asyncio.create_task(fence.run())
    fence.add(delivery(), CountingTicket())
    await until(lambda: through)
    through[0].settlement.requeue()
    fence.add(delivery(), CountingTicket())
    await until(lambda: len(through) == 2)
    running.cancel()

    assert dropped == []


class OneKnows:
    """A history that learns of one delivery."""

    def __init__(self) -> None:
        self.rows: dict[str, Known] = {}

    async def known(self, deliveries: Sequence[str]) -> dict[str, Known]:
        return dict(self.rows)


async def test_a_copy_that_waited_here_is_looked_at_again_and_dropped_where_it_was_overtaken():
    through: list[Work] = []
    dropped: list[Delivery] = []
    ticket, history = CountingTicket(), OneKnows()

    async def send_acks():
        return

    fence = Fence(
        cast("History", history),
        InFlight(),
        lambda work, _again: through.append(work),
        dropped.append,
        send_acks,
    )
    running = asyncio.create_task(fence.run())
    fence.add(delivery(), ticket)
    await until(lambda: through)
    fence.again(through[0])
    await until(lambda: len(through) == 2)
    history.rows["d"] = Known(generation=2, attempts=0, final=False)
    fence.again(through[0])
    await until(lambda: dropped)
    running.cancel()

    assert len(through) == 2
    assert ticket.finished == 1


@pytest.mark.parametrize(
    ("fate", "goes_on"),
    [
        (Known(generation=1, attempts=1, final=True), False),
        (Known(generation=1, attempts=0, final=False), True),
    ],
    ids=["a publish whose confirm was lost", "the copy that parks the first"],
)
async def test_the_same_copy_twice_waits_for_what_the_first_comes_to(fate: Known, goes_on: bool):
    through: list[Work] = []
    dropped: list[Delivery] = []
    first, second, history = CountingTicket(), CountingTicket(), OneKnows()

    async def send_acks():
        return

    fence = Fence(
        cast("History", history),
        InFlight(),
        lambda work, _again: through.append(work),
        dropped.append,
        send_acks,
    )
    running = asyncio.create_task(fence.run())
    fence.add(delivery(), first)
    await until(lambda: through)
    fence.add(delivery(), second)
    await holds(lambda: len(through) == 1 and not dropped, 0.2, what="the second did not wait")
    history.rows["d"] = fate
    through[0].settlement.fate_committed()
    await until(lambda: len(through) + len(dropped) == 2)
    running.cancel()

    assert (len(through), len(dropped)) == ((2, 0) if goes_on else (1, 1))
    assert (first.finished, second.finished) == (1, 0 if goes_on else 1)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
async def test_where_the_copy_of_the_next_attempt_is_here_too_only_that_one_goes_on(order: tuple[int, int]):
    through: list[Work] = []
    dropped: list[Delivery] = []
    tickets = {1: CountingTicket(), 2: CountingTicket()}

    async def send_acks():
        return

    fence = Fence(
        cast("History", NobodyKnows()),
        InFlight(),
        lambda work, _again: through.append(work),
        dropped.append,
        send_acks,
    )
    running = asyncio.create_task(fence.run())
    for attempt in order:
        fence.add(delivery(attempt=attempt), tickets[attempt])
    await until(lambda: through and dropped)
    fence.add(delivery(attempt=1), again := CountingTicket())
    await until(lambda: len(dropped) == 2)
    running.cancel()

    assert [work.delivery.attempt for work in through] == [2]
    assert [each.attempt for each in dropped] == [1, 1]
    assert (tickets[1].finished, tickets[2].finished, again.finished) == (1, 0, 1)


async def test_while_an_attempt_is_repeated_the_copy_of_the_next_one_waits_for_what_it_comes_to():
    through: list[Work] = []
    dropped: list[Delivery] = []
    history = OneKnows()

    async def send_acks():
        return

    fence = Fence(
        cast("History", history),
        InFlight(),
        lambda work, _again: through.append(work),
        dropped.append,
        send_acks,
    )
    running = asyncio.create_task(fence.run())
    fence.add(delivery(attempt=1), CountingTicket())
    await until(lambda: through)
    fence.add(delivery(attempt=2), waiting := CountingTicket())
    await holds(lambda: len(through) == 1 and not dropped, 0.2, what="both under way at once")
    history.rows["d"] = Known(generation=1, attempts=1, final=True)
    through[0].settlement.fate_committed()
    await until(lambda: dropped)
    running.cancel()

    assert [each.attempt for each in dropped] == [2]
    assert waiting.finished == 1
