"""Queues on the broker as publishers, consumers and operators see them."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiormq
from aiormq import exceptions as amqp
from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp import constants
from pamqp.commands import Basic

# pamqp holds queue names to a pattern that RabbitMQ does not know.
constants.DOMAIN_REGEX["queue-name"] = re.compile(r".*", re.DOTALL)

STEPS = (5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 36_000)


class Queues:
    """A connection that is made anew when the broker ended it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: aiormq.abc.AbstractConnection | None = None

    @asynccontextmanager
    async def _channel(self, *, confirms: bool = False) -> AsyncIterator[AbstractChannel]:
        channel = await self._open(confirms=confirms)
        try:
            yield channel
        finally:
            with contextlib.suppress(Exception):
                await channel.close()

    async def _open(self, *, confirms: bool) -> AbstractChannel:
        if self._connection is not None and not self._connection.is_closed:
            try:
                return await self._connection.channel(publisher_confirms=confirms)
            except (
                amqp.AMQPError,
                asyncio.CancelledError,
            ):  # the library's way to say that it has just been closed
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
        self._connection = await aiormq.connect(self._url)
        return await self._connection.channel(publisher_confirms=confirms)

    async def declare(self, name: str, arguments: Mapping[str, Any] | None = None) -> None:
        """A durable queue; without arguments it is what publishers of today declare."""
        async with self._channel() as channel:
            await channel.queue_declare(name, durable=True, arguments=dict(arguments) if arguments else None)

    async def delete(self, *names: str) -> None:
        """Delete these queues, whatever they hold."""
        async with self._channel() as channel:
            for name in names:
                await channel.queue_delete(name)

    async def publish(
        self, name: str, bodies: Iterable[bytes], headers: Mapping[str, Any] | None = None, **properties: Any
    ) -> int:
        """Publish to a queue; returns how many once all are confirmed."""
        fields = {"delivery_mode": 2, "headers": dict(headers or {}), **properties}
        async with self._channel(confirms=True) as channel:
            sent = [
                channel.basic_publish(
                    body, routing_key=name, properties=Basic.Properties(**fields), mandatory=True
                )
                for body in bodies
            ]
            return len(await asyncio.gather(*sent))

    async def depth(self, name: str) -> int | None:
        """Messages ready in a queue, those handed out left out; None where there is no such queue."""
        try:
            async with self._channel() as channel:
                return (await channel.queue_declare(name, passive=True)).message_count
        except amqp.ChannelNotFoundEntity:
            return None

    async def consumers(self, name: str) -> int | None:
        """How many consume the queue."""
        async with self._channel() as channel:
            return (await channel.queue_declare(name, passive=True)).consumer_count

    async def take_all(self, name: str) -> list[DeliveredMessage]:
        """Take what is ready out of a queue."""
        taken = []
        async with self._channel() as channel:
            while isinstance((message := await channel.basic_get(name, no_ack=True)), DeliveredMessage):
                if isinstance(message.delivery, Basic.GetEmpty):
                    break
                taken.append(message)
        return taken

    async def return_all(self, name: str, *, times: int) -> None:
        """Take what is in a queue and let it go back with the channel, so often."""
        count = await self.depth(name) or 0
        for _ in range(times):
            async with self._channel() as channel:
                for _ in range(count):
                    while isinstance((await channel.basic_get(name)).delivery, Basic.GetEmpty):
                        pass  # what goes back takes a moment

    async def remove_bridge(self, prefix: str) -> None:
        """Delete the shared objects of a bridge with this prefix."""
        stores = ["orphans", "dead", *(f"delay.{step}" for step in STEPS)]
        async with self._channel() as channel:
            for name in (*stores, "events"):
                await channel.queue_delete(f"{prefix}.{name}")
            for name in (*stores, "lanes", "requeue", "control"):
                await channel.exchange_delete(f"{prefix}.{name}")

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(5):
                    await self._connection.close()


@asynccontextmanager
async def open_queues(url: str) -> AsyncIterator[Queues]:
    """Queues of this broker."""
    queues = Queues(url)
    try:
        yield queues
    finally:
        await queues.close()
