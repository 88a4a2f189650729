"""What the demo does on the broker itself, next to the bridge: declare, publish, look, take out, remove."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

import aio_pika
from aio_pika import exceptions as amqp
from aio_pika.abc import AbstractChannel

from devtools.project import SetupError

SECONDS = 30

Found = TypeVar("Found")


class Queues:
    """Operations on one broker, each over a connection of its own; raises SetupError when the broker fails."""

    def __init__(self, url: str) -> None:
        self._url = url

    def depth(self, queue: str) -> int | None:
        """Messages ready in the queue; None where there is no such queue."""

        async def look(channel: AbstractChannel) -> int | None:
            try:
                return (await channel.declare_queue(queue, passive=True)).declaration_result.message_count
            except amqp.ChannelNotFoundEntity:
                return None

        return self._on_a_channel(look)

    def declare(self, queue: str) -> None:
        """Make the queue the way Splynx does: durable, not exclusive, not auto-delete, no arguments."""

        async def declare(channel: AbstractChannel) -> None:
            await channel.declare_queue(queue, durable=True)

        self._on_a_channel(declare)

    def publish(self, queue: str, bodies: Iterable[bytes], kind: str | None = None) -> None:
        """Put messages with these bodies into the queue, each confirmed and with no property but its type, if one is given."""

        async def publish(channel: AbstractChannel) -> None:
            for body in bodies:
                await channel.default_exchange.publish(
                    aio_pika.Message(body, type=kind), queue, mandatory=True
                )

        self._on_a_channel(publish)

    def take(self, queue: str) -> list[bytes]:
        """The bodies of all messages in the queue, which is empty from then on."""

        async def take(channel: AbstractChannel) -> list[bytes]:
            bodies, there = [], await channel.get_queue(queue)
            while (message := await there.get(no_ack=True, fail=False)) is not None:
                bodies.append(message.body)
            return bodies

        return self._on_a_channel(take)

    def remove(self, queues: Sequence[str], exchanges: Sequence[str] = ()) -> None:
        """Delete these queues, whatever they hold, and exchanges; what is not there is no error."""

        async def remove(channel: AbstractChannel) -> None:
            for queue in queues:
                await channel.queue_delete(queue)
            for exchange in exchanges:
                await channel.exchange_delete(exchange)

        self._on_a_channel(remove)

    def _on_a_channel(self, work: Callable[[AbstractChannel], Awaitable[Found]]) -> Found:
        try:
            return asyncio.run(self._do(work))
        except (amqp.AMQPError, OSError, TimeoutError) as error:
            raise SetupError(f"the broker failed us: {error or type(error).__name__}") from error

    async def _do(self, work: Callable[[AbstractChannel], Awaitable[Found]]) -> Found:
        async with asyncio.timeout(SECONDS):
            connection = await aio_pika.connect(self._url)
            try:
                return await work(await connection.channel(publisher_confirms=True))
            finally:
                with suppress(amqp.AMQPError, OSError):
                    await connection.close()
