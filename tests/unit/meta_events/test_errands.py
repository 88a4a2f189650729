"""Small work in the background: in order, each until it succeeds."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.core.errors import BrokerUnavailable
from bridge.meta_events.monitor import BackgroundQueue


@pytest.fixture
async def errands() -> AsyncIterator[BackgroundQueue]:
    made = BackgroundQueue("errands of a test")
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_fails_is_tried_again_before_the_next_is_done(errands):
    done: list[str] = []

    async def first() -> None:
        done.append("first")
        if done.count("first") < 2:
            raise BrokerUnavailable("away")

    async def second() -> None:
        done.append("second")

    errands.add(first)
    errands.add(second)
    async with asyncio.timeout(10):
        await errands.drained()
    assert done == ["first", "first", "second"]


async def test_what_is_asked_for_meanwhile_is_done_too(errands):
    done: list[int] = []

    async def more() -> None:
        done.append(len(done))
        if len(done) < 5:
            errands.add(more)

    errands.add(more)
    async with asyncio.timeout(10):
        await errands.drained()
    assert done == [0, 1, 2, 3, 4]


async def test_nothing_to_do_is_done():
    async with asyncio.timeout(1):
        await BackgroundQueue("idle").drained()


async def test_beyond_a_thousand_the_oldest_is_given_up(errands):
    done: list[int] = []

    async def note(number: int) -> None:
        done.append(number)

    for number in range(1005):
        errands.add(lambda number=number: note(number))
    async with asyncio.timeout(10):
        await errands.drained()
    assert done == list(range(5, 1005))
