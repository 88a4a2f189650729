"""How much a source holds: the lowest bound, and after an unclean stop little at first."""

import asyncio

from bridge.pipeline.backpressure import Prefetch
from tests.support.waiting import holds, until


class Consumer:
    """A source's way in and its consumer: what it was told to hold, and what it holds."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.open = 0
        self.received = 0.0
        self.urgent = 0.0
        self.is_up = True

    def up(self, _queue: str) -> bool:
        return self.is_up

    def resize(self, _queue: str, prefetch: int) -> None:
        self.told.append(prefetch)

    def settle_what_comes(self) -> None:
        """As many messages come and are settled as may be held."""
        self.received += self.told[-1]


def a_source(wanted: int = 500) -> tuple[Prefetch, Consumer]:
    prefetch, consumer = Prefetch(), Consumer()
    prefetch.add("main", "queue", wanted, consumer, consumer)
    return prefetch, consumer


def test_the_lowest_bound_counts_and_each_change_is_told_once():
    prefetch, consumer = a_source()
    prefetch.bound("main", "memory", 100)
    prefetch.bound("main", "delivery limit", 20)
    prefetch.bound("main", "memory", 50)
    assert prefetch.of("main") == 20
    prefetch.bound("main", "delivery limit", None)
    prefetch.bound("main", "memory", None)
    assert consumer.told == [100, 20, 50, 500]


async def test_what_starts_small_doubles_with_what_is_settled():
    prefetch, consumer = a_source(wanted=8)
    prefetch.start_small("main")
    running = asyncio.create_task(prefetch.run())
    for expected in ([1], [1, 2], [1, 2, 4], [1, 2, 4, 8]):
        await until(lambda: consumer.told[: len(expected)] == expected)  # noqa: B023
        consumer.settle_what_comes()
    assert prefetch.of("main") == 8
    running.cancel()


async def test_it_grows_neither_before_it_is_consumed_nor_while_what_is_urgent_is_held():
    prefetch, consumer = a_source()
    consumer.is_up = False
    prefetch.start_small("main")
    running = asyncio.create_task(prefetch.run())
    await holds(lambda: consumer.told == [1], 0.4, what="nothing is consumed yet")
    consumer.received, consumer.urgent, consumer.open, consumer.is_up = 1.0, 1.0, 1, True
    await holds(lambda: consumer.told == [1], 1.2, what="the urgent one is not settled")
    consumer.open = 0
    await until(lambda: consumer.told[-1] == 500, what="all is settled, and nothing comes")
    running.cancel()


async def test_few_are_held_while_what_is_near_its_delivery_limit_comes_whatever_else_is_settled():
    prefetch, consumer = a_source()
    prefetch.start_small("main")
    running = asyncio.create_task(prefetch.run())
    consumer.open = 1

    def some_are_settled_and_another_urgent_one_comes() -> bool:
        consumer.received += 4 * prefetch.of("main")
        consumer.urgent = consumer.received
        return prefetch.of("main") <= 8

    await holds(some_are_settled_and_another_urgent_one_comes, 1.5, what="one near its limit is always held")
    assert prefetch.of("main") == 8
    consumer.received += 100
    await until(lambda: prefetch.of("main") > 8, what="what is held came after the last urgent one")
    running.cancel()
