"""Consuming from a real broker through bridge.amqp, and what tests need around it."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

from pamqp import commands

from bridge.amqp.connection import Address, Link
from bridge.amqp.consumer import ConsumeChannel
from bridge.amqp.kinds import SourceQueues
from bridge.amqp.topology import Names, Topology
from bridge.core.event import Message
from bridge.core.ports import AckHandle
from tests.support.links import Heard, raw_channel
from tests.support.waiting import until


class Consumer:
    """A consumed queue, with everything that came out of it; settled at once unless it is to be kept."""

    def __init__(self, link: Link, queue: str, *, keep: bool) -> None:
        self.queue = queue
        self.keep = keep
        self.got: list[Message] = []
        self.tickets: list[AckHandle] = []
        self.channel = ConsumeChannel(link, SourceQueues(link, Topology(link, Names())).prepare)

    def receive(self, message: Message, ticket: AckHandle) -> None:
        self.got.append(message)
        if self.keep:
            self.tickets.append(ticket)
        else:
            ticket.finish()

    @property
    def bodies(self) -> list[bytes]:
        return [message.body for message in self.got]


@asynccontextmanager
async def consuming(
    link: Link, queue: str, prefetch: int = 100, *, keep: bool = False
) -> AsyncIterator[Consumer]:
    """A consumer on this queue, flushed all the time, closed in order."""
    consumer = Consumer(link, queue, keep=keep)
    consumer.channel.subscribe(queue, prefetch, consumer.receive)
    running = asyncio.create_task(consumer.channel.run())
    flushing = asyncio.create_task(_flush_often(consumer.channel))
    try:
        await until(lambda: consumer.channel.up(queue))
        yield consumer
    finally:
        flushing.cancel()
        await consumer.channel.close()
        running.cancel()
        await asyncio.gather(running, flushing, return_exceptions=True)


async def _flush_often(channel: ConsumeChannel) -> None:
    while True:
        await channel.flush()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def supervised(url: str, heard: Heard, **address: Any) -> AsyncIterator[Link]:
    """A link with an address of its own kind, which need not come up."""
    link = Link("test", Address([url], **address), heard)
    supervisor = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        supervisor.cancel()
        await asyncio.gather(supervisor, return_exceptions=True)


async def publish(link: Link, queue: str, *bodies: bytes, **properties: Any) -> None:
    """Publish; returns once all are confirmed."""
    async with raw_channel(link, confirms=True) as channel:
        for body in bodies:
            await channel.basic_publish(
                body,
                routing_key=queue,
                properties=commands.Basic.Properties(**properties),
                mandatory=True,
            )


async def publish_fast(link: Link, queue: str, bodies: Collection[bytes]) -> None:
    """Publish thousands; returns once the broker has worked through them."""
    async with raw_channel(link) as channel:
        for body in bodies:
            await channel.basic_publish(body, routing_key=queue)
        await channel.basic_qos()


async def depth(link: Link, queue: str) -> int | None:
    """Messages ready in the queue."""
    return await Topology(link, Names()).depth(queue)
