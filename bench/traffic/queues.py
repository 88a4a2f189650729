"""Queues that are measured with: made, filled, looked at and deleted."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import aiormq
from aiormq.abc import AbstractChannel
from pamqp.commands import Basic

from bench.traffic.events import event_body
from bench.traffic.waiting import poll

Progress = Callable[[int], None]
PERSISTENT = Basic.Properties(delivery_mode=2, content_type="application/json")
_CHUNK = 500


class Queues:
    """A channel on the broker, without confirms: what was taken is counted afterwards instead."""

    def __init__(self, channel: AbstractChannel) -> None:
        self._channel = channel

    async def create(self, name: str) -> None:
        """An empty queue as publishers of today declare it: durable, no arguments."""
        await self._channel.queue_delete(name)
        await self._channel.queue_declare(name, durable=True)

    async def delete(self, name: str) -> None:
        await self._channel.queue_delete(name)

    async def depth(self, name: str) -> int:
        """How many messages wait in it, those handed out and not settled yet left out."""
        return (await self._look(name))[0]

    async def consumers(self, name: str) -> int:
        """How many consumers it has."""
        return (await self._look(name))[1]

    async def _look(self, name: str) -> tuple[int, int]:
        found = await self._channel.queue_declare(name, passive=True)
        assert found is not None
        return found.message_count or 0, found.consumer_count or 0

    async def publish(self, name: str, number: int) -> None:
        """One event, published now."""
        await self._channel.basic_publish(
            event_body(number, time.time_ns()), routing_key=name, properties=PERSISTENT
        )

    async def fill(self, name: str, numbers: range, progress: Progress) -> None:
        """Publishes these events as fast as it goes; returns once all of them are in the queue."""
        wanted = await self.depth(name) + len(numbers)
        for start in range(0, len(numbers), _CHUNK):
            for number in numbers[start : start + _CHUNK]:
                await self.publish(name, number)
            progress(start)
            await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await poll(partial(self.depth, name), wanted, 0.05)

    async def publish_paced(self, name: str, numbers: range, per_second: float) -> None:
        """Publishes these events evenly spread over time; a late one is made up for by the next."""
        begin = time.monotonic()
        for position, number in enumerate(numbers):
            await asyncio.sleep(begin + position / per_second - time.monotonic())
            await self.publish(name, number)


@asynccontextmanager
async def open_queues(url: str) -> AsyncIterator[Queues]:
    """Queues on this broker."""
    connection = await aiormq.connect(url)
    try:
        yield Queues(await connection.channel(publisher_confirms=False))
    finally:
        await connection.close()
