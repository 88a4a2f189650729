"""The publisher for callers that wait for the result: it succeeds at once or fails."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable

from bridge.amqp.connection import Link, lost_not_cancelled
from bridge.core.errors import PublishFailed, Unroutable
from bridge.core.event import Message
from bridge.core.ports import Outgoing, Publisher

FRESH = 0.05
"""Seconds for which one confirm shows that the broker accepts messages."""


class PromptPublisher:
    """Publishes or fails fast, without leaving the broker a message that it would accept after the caller gave up.

    A frozen broker, or one with a memory or disk alarm, leaves messages in the socket and accepts them when it resumes, minutes
    after the sender was told that it failed. So unless the broker confirmed something just now, it is first sent a probe that
    no queue receives. The remaining gap is a broker that stops responding between the probe and the confirm.
    """

    def __init__(
        self, link: Link, publisher: Publisher, asking: Publisher, prepare: Callable[[str], Awaitable[bool]]
    ) -> None:
        """`publisher` publishes and `asking` probes on `link`; `prepare` declares a source's queue if it is missing."""
        self._link = link
        self._publisher = publisher
        self._asking = asking
        self._prepare = prepare
        self._nobody = f"nobody-{uuid.uuid4()}"
        self._confirmed_at = -FRESH
        self._one_asks = asyncio.Lock()
        self._under_way: dict[str, asyncio.Future[None]] = {}

    async def publish(self, message: Outgoing) -> None:
        """As `Publisher.publish`; the caller sets a timeout: a cancellation withdraws what has not been sent yet.

        A missing queue of a source is declared, once.
        """
        while earlier := self._under_way.get(message.message_id):
            # The client library matches returned messages by this id.
            await asyncio.wait((earlier,))
        mine = self._under_way[message.message_id] = asyncio.get_running_loop().create_future()
        try:
            with lost_not_cancelled():
                await self._be_sure()
                await self._publish(message)
            self._confirmed_at = time.monotonic()
        finally:
            del self._under_way[message.message_id]
            mine.set_result(None)

    async def _publish(self, message: Outgoing) -> None:
        try:
            await self._publisher.publish(message)
        except Unroutable:
            await self.declare(message.routing_key)
            await self._publisher.publish(message)

    async def declare(self, queue: str) -> None:
        """Makes sure that a source's queue exists, as far as the bridge may declare it."""
        await self._prepare(queue)

    async def _be_sure(self) -> None:
        if not self._link.up:
            raise PublishFailed("there is no connection to the broker")
        await self._see_that_it_takes_messages()
        async with self._one_asks:
            if time.monotonic() - self._confirmed_at > FRESH:
                await self._ask()
                # With an alarm, the broker accepts the first message and blocks the connection before it confirms (3.10.8).
                await self._see_that_it_takes_messages()
                self._confirmed_at = time.monotonic()

    async def _see_that_it_takes_messages(self) -> None:
        if await self._link.blocked():
            raise PublishFailed("the broker takes no messages now (memory or disk alarm)")

    async def _ask(self) -> None:
        question = Outgoing("", self._nobody, str(uuid.uuid4()), b"", {}, Message(b""))
        try:
            await self._asking.publish(question)
        except Unroutable:
            return  # returned and confirmed: the broker reads, routes and answers
