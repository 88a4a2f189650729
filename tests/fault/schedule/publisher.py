"""A publisher as they should be: with confirms, and stubborn, so that no fault of the broker's costs an event."""

import asyncio
import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import aiormq
from aiormq.abc import AbstractChannel, AbstractConnection
from pamqp.commands import Basic

AT_ONCE = 100
CONFIRM_SECONDS = 10.0


class Publisher:
    """Publishes numbered events at an even pace, each again and again with one id until the broker confirmed it."""

    def __init__(self, urls: Sequence[str], queue: str, arguments: Mapping[str, Any], name: str) -> None:
        """`urls`: of all nodes, tried in turn; ids are `<name>-<number>`."""
        self.sent: Counter[str] = Counter()
        self.confirmed: set[str] = set()
        self._urls = itertools.cycle(urls)
        self._queue = queue
        self._arguments = dict(arguments) or None
        self._name = name
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()

    async def publish(self, numbers: range, per_second: float) -> None:
        """Returns when all are confirmed."""
        begun, left = time.monotonic(), iter(enumerate(numbers))

        async def work() -> None:
            for turn, number in left:
                await asyncio.sleep(max(0.0, begun + turn / per_second - time.monotonic()))
                await self._until_confirmed(number)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(numbers))):
                group.create_task(work())

    async def declare(self) -> None:
        """Have the queue made: a bridge that finds none makes one of its own kind."""
        await self._open()

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._connection.close(), 3)

    async def _until_confirmed(self, number: int) -> None:
        publisher_id = f"{self._name}-{number}"
        body = json.dumps({"id": publisher_id, "number": number, "padding": "x" * 200}).encode()
        properties = Basic.Properties(
            message_id=publisher_id,
            delivery_mode=2,
            message_type="soak.event",
            content_type="application/json",
        )
        while publisher_id not in self.confirmed:
            channel = None
            try:
                async with asyncio.timeout(CONFIRM_SECONDS):
                    channel = await self._open()
                    self.sent[publisher_id] += 1
                    told = await channel.basic_publish(
                        body, routing_key=self._queue, properties=properties, mandatory=True
                    )
            except asyncio.CancelledError:
                # aiormq cancels what waits on a connection that ends; nobody asked this task to end.
                if ended_from_outside():
                    raise
                await self._give_up(channel)
            except Exception:  # noqa: BLE001 - whatever went wrong: it is not confirmed
                await self._give_up(channel)
            else:
                if isinstance(told, Basic.Ack):
                    self.confirmed.add(publisher_id)

    async def _open(self) -> AbstractChannel:
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                self._connection = await aiormq.connect(next(self._urls))
                channel = await self._connection.channel(publisher_confirms=True)
                await channel.queue_declare(self._queue, durable=True, arguments=self._arguments)
                self._channel = channel
            return self._channel

    async def _give_up(self, channel: AbstractChannel | None) -> None:
        """The next try has a connection of its own, to the next node."""
        if channel is self._channel and channel is not None:
            self._channel = None
            await self.close()
        await asyncio.sleep(0.2)


def ended_from_outside() -> bool:
    """Whether somebody cancelled this very task."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
