"""The budget of memory: what is held is counted to the byte, and whoever waits for room gets it."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.budget import Budget, Hold


@given(st.lists(st.tuples(st.sampled_from(["sources", "lanes"]), st.integers(0, 500), st.integers(0, 50))))
def test_what_is_let_go_of_is_given_back_to_the_byte(held: list[tuple[str, int, int]]):
    budget = Budget(1000)
    holders = {"sources": budget.holder("sources"), "lanes": budget.holder("lanes")}
    holds = []
    for name, byte_count, more in held:
        holds.append(Hold(holders[name], byte_count))
        holds[-1].grow(more)
    assert budget.held == sum(byte_count + more for _, byte_count, more in held)
    assert {name: (each.count, each.byte_count) for name, each in holders.items()} == {
        name: (
            sum(whose == name for whose, *_ in held),
            sum(byte_count + more for whose, byte_count, more in held if whose == name),
        )
        for name in holders
    }
    while holds:
        holds.pop()
    assert budget.held == 0
    assert set(budget.by_holder.values()) == {0}
    assert not budget.crowded


def test_two_holders_of_one_name_are_told_as_one():
    budget = Budget(1000)
    budget.holder("sources").take(10)
    budget.holder("sources").take(5)
    assert budget.by_holder["sources"] == 15


def test_reading_stops_at_half_of_the_budget_and_goes_on_well_below():
    budget, told = Budget(1000), []
    holder = budget.holder("sources")
    first, second = Hold(holder, 400), Hold(holder, 99)
    assert not budget.crowded
    third = Hold(holder, 1)
    assert budget.crowded
    budget.when_roomy(lambda: told.append(budget.held))
    del third, second
    assert budget.crowded
    assert not told
    del first
    assert not budget.crowded
    assert told == [0]


def test_what_is_still_arriving_is_read_to_its_end_where_nothing_else_could_make_room():
    budget = Budget(1000)
    other, arriving = Hold(budget.holder("sources"), 250), Hold(budget.arriving, 5000)
    assert budget.crowded
    told: list[Any] = []
    budget.when_roomy(lambda: told.append(True))
    del other
    assert not budget.crowded
    assert told
    del arriving
    whole = Hold(budget.holder("sources"), 5000)
    assert budget.crowded
    del whole
    assert not budget.crowded


def test_little_that_is_stuck_does_not_keep_an_arriving_message_from_being_read_to_its_end():
    budget = Budget(1000)
    stuck = Hold(budget.holder("lanes"), 249)
    arriving = Hold(budget.arriving, 600)
    assert not budget.crowded
    arriving.release()
    whole = Hold(budget.holder("sources"), 600)
    assert budget.crowded
    whole.release()
    assert not budget.crowded
    stuck.release()


def test_a_budget_that_is_limited_for_a_time_shares_out_less():
    budget = Budget(1000)
    budget.limit_to(250)
    assert budget.share(0.5) == 125
    assert not budget.fits(251)
    budget.limit_to(budget.total)
    assert budget.share(0.5) == 500
    assert budget.fits(1000)


def test_reading_goes_on_as_soon_as_more_of_the_budget_may_be_used():
    budget = Budget(1000)
    budget.limit_to(250)
    held = Hold(budget.holder("sources"), 200)
    assert budget.crowded
    budget.limit_to(budget.total)
    assert not budget.crowded
    held.release()


async def test_room_is_waited_for_and_one_alone_has_it_always():
    holder = Budget(1000).holder("rendered")
    async with asyncio.timeout(1):
        await holder.room(5000, 100)
    large = Hold(holder, 5000)
    waiting = asyncio.create_task(holder.room(1, 100))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await asyncio.shield(waiting)
    del large
    async with asyncio.timeout(1):
        await waiting
