"""Publishing from the command line: confirmed, and never declaring a queue otherwise than its publishers do."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

import uuid_utils

from bridge.broker.link import Address, Link
from bridge.broker.publisher import ConfirmedPublisher
from bridge.broker.topology import Names, Topology
from bridge.model.errors import BrokerRefused
from bridge.model.event import Message
from bridge.ports.broker import Outgoing

_AT_ONCE = 200


async def publish_all(
    address: Address, queue: str, messages: Iterator[Message], *, create: bool, confirmed: Callable[[], None]
) -> int:
    """Publish all messages to the queue and return how many; `confirmed` is called after each confirm.

    Looks for the queue first. Where there is none it is made, durable and without arguments, if `create`, else
    BrokerRefused is raised. Raises BrokerUnavailable or a PublishFailed, after which earlier messages stand.
    """
    count = 0
    async with _connected(address) as (publisher, topology):
        if await topology.depth(queue) is None and not (create and await topology.declare_source(queue)):
            raise BrokerRefused(
                f"there is no queue {queue!r} on the broker; --create makes it (durable, no arguments)"
            )
        # The channel comes up with the first one; those that wait for that together would overtake each other.
        for message in islice(messages, 1):
            await _publish(publisher, queue, message, confirmed)
            count += 1
        count += await _many(messages, lambda message: _publish(publisher, queue, message, confirmed))
    return count


async def _many(messages: Iterator[Message], publish: Callable[[Message], Coroutine[Any, Any, None]]) -> int:
    count = 0
    waiting: set[asyncio.Task[None]] = set()
    try:
        for message in messages:
            waiting.add(asyncio.create_task(publish(message)))
            count += 1
            if len(waiting) >= _AT_ONCE:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.gather(*done)
        await asyncio.gather(*waiting)
    except Exception:
        # What is under way may well arrive: it is waited for, so that it counts among what was confirmed.
        await asyncio.gather(*waiting, return_exceptions=True)
        raise
    return count


async def _publish(
    publisher: ConfirmedPublisher, queue: str, message: Message, confirmed: Callable[[], None]
) -> None:
    message_id = message.message_id or str(uuid_utils.uuid7())
    await publisher.publish(Outgoing("", queue, message_id, message.body, message.headers, message))
    confirmed()


class _Silent:
    """One short connection needs nobody to count it."""

    def connected(self, role: str, address: str) -> None:
        """It is open."""

    def lost(self, role: str, error: str) -> None:
        """It is gone."""


@asynccontextmanager
async def _connected(address: Address) -> AsyncIterator[tuple[ConfirmedPublisher, Topology]]:
    link = Link("publish", address, _Silent())
    await link.connect_once()
    publisher = ConfirmedPublisher(link)
    try:
        yield publisher, Topology(link, Names())
    finally:
        await publisher.close()
        await link.close()
