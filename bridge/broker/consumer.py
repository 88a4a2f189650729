"""Consuming: channels that re-subscribe for ever, and the tickets that settle what came through them."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import AMQPError
from pamqp import commands

from bridge.broker.acks import AckTracker
from bridge.broker.link import Link, why_closed
from bridge.broker.properties import read_message
from bridge.model.errors import BridgeError, BrokerUnavailable
from bridge.ports.backoff import Backoff
from bridge.ports.broker import Receive

log = structlog.get_logger(__name__)

_BROKEN = (AMQPError, OSError, RuntimeError, TimeoutError, BridgeError)
_LONGEST_WAIT = 15.0
_LOOK_AGAIN = 2.0


class Incarnation:
    """One life of a channel: a ticket of an earlier life settles nothing (the broker redelivers)."""

    def __init__(self, channel: AbstractChannel) -> None:
        self.channel = channel
        self.acks = AckTracker()

    @property
    def alive(self) -> bool:
        """Tickets of this life still mean something."""
        return not self.channel.is_closed

    async def flush(self) -> None:
        """Send the acks that are due, without waiting for the socket."""
        for tag, multiple in self.acks.take():
            if not self.alive:
                return
            with contextlib.suppress(*_BROKEN):
                await self.channel.basic_ack(tag, multiple=multiple, wait=False)

    async def nack(self, tag: int) -> None:
        """Hand one message back to the queue."""
        with contextlib.suppress(*_BROKEN):
            await self.channel.basic_nack(tag, requeue=True, wait=False)

    async def prove(self) -> None:
        """Return once the broker has worked through what was sent on this channel.

        Methods of a channel are handled in order, so the answer to any later call proves the earlier acks.
        """
        if self.alive:
            with contextlib.suppress(*_BROKEN):
                await self.channel.basic_qos(prefetch_count=1, timeout=5)


class ChannelTicket:
    """Settles one message of one life of a channel; see bridge.ports.broker.Ticket."""

    __slots__ = ("_life", "_owner", "_tag")

    def __init__(self, owner: "ConsumeChannel", life: Incarnation, tag: int) -> None:
        self._owner, self._life, self._tag = owner, life, tag

    @property
    def valid(self) -> bool:
        """False once the channel is gone: the broker redelivers, so what was not started need not start."""
        return self._life.alive

    def finish(self) -> None:
        """Ack with the next flush."""
        self._life.acks.finish(self._tag)

    def give_back(self) -> None:
        """Nack with requeue, soon."""
        if self._life.acks.give_back(self._tag):
            self._owner.spawn(self._life.nack(self._tag))


@dataclass(slots=True)
class Subscription:
    """One queue that is consumed; `tag` is set while the broker knows the consumer."""

    queue: str
    prefetch: int
    receive: Receive
    tag: str | None = None
    wanted: bool = True
    failures: int = 0
    last_message_at: float = 0.0


class ConsumeChannel:
    """One supervised channel with any number of subscriptions, each with its own prefetch."""

    def __init__(
        self,
        link: Link,
        prepare: Callable[[str], Awaitable[bool]],
        watch: Callable[[str, bool], None] = lambda _queue, _up: None,
    ) -> None:
        """`prepare(queue)` says whether the queue is there to be consumed, on a channel of its own."""
        self._link = link
        self._prepare = prepare
        self._watch = watch
        self._subscriptions: dict[str, Subscription] = {}
        self._life: Incarnation | None = None
        self._changed = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()
        self._closing = False

    def __len__(self) -> int:
        return len(self._subscriptions)

    def __contains__(self, queue: str) -> bool:
        return queue in self._subscriptions

    def subscribe(self, queue: str, prefetch: int, receive: Receive) -> None:
        """Consume this queue from now on, whatever happens to the connection."""
        self._subscriptions[queue] = Subscription(queue, prefetch, receive)
        self._changed.set()

    async def unsubscribe(self, queue: str) -> None:
        """Stop consuming; tickets already given out stay good. Returns when the broker has confirmed."""
        subscription = self._subscriptions.pop(queue, None)
        if subscription is None:
            return
        subscription.wanted = False
        async with self._lock:
            await self._cancel(subscription)

    @property
    def open(self) -> int:
        """Messages received on this channel and not settled."""
        return self._life.acks.open if self._life is not None and self._life.alive else 0

    def up(self, queue: str) -> bool:
        """The broker knows our consumer on this queue."""
        subscription = self._subscriptions.get(queue)
        return subscription is not None and subscription.tag is not None

    async def run(self) -> None:
        """Keep all subscriptions consuming until cancelled."""
        backoff = Backoff(0.1, _LONGEST_WAIT)
        while not self._closing:
            started = time.monotonic()
            try:
                await self._live()
            except Exception as error:  # noqa: BLE001 - whatever it was, consuming has to come back
                if self._closing:
                    return
                if time.monotonic() - started > _LONGEST_WAIT:
                    backoff.reset()
                log.info("broker.channel_lost", queues=list(self._subscriptions)[:5], error=str(error))
            finally:
                self._lost()
            await backoff.pause()

    async def flush(self) -> None:
        """Send the acks that are due."""
        if self._life is not None:
            await self._life.flush()

    async def close(self) -> None:
        """Flush, prove that the acks arrived, and close the channel for good."""
        self._closing = True
        while self._background:
            await asyncio.gather(*self._background, return_exceptions=True)
        life = self._life
        if life is not None:
            await life.flush()
            await life.prove()
            with contextlib.suppress(*_BROKEN):
                await life.channel.close()

    def spawn(self, work: Awaitable[None]) -> None:
        """Run a small piece of channel work soon; `close` waits for it."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _live(self) -> None:
        connection = await self._link.connection()
        channel = await connection.channel(publisher_confirms=False)
        life = self._life = Incarnation(channel)
        channel.on_consumer_cancel_callbacks.add(self._cancelled_by_broker)
        closing = asyncio.ensure_future(asyncio.wait([channel.closing]))
        try:
            while life.alive:
                self._changed.clear()
                retry_in = await self._consume_missing(life)
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait({closing, changed}, timeout=retry_in, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            closing.cancel()
            if not channel.is_closed and asyncio.current_task().cancelling() == 0:  # type: ignore[union-attr]
                await channel.close()
        if channel.closing.done():
            raise BrokerUnavailable(why_closed(channel.closing))

    async def _consume_missing(self, life: Incarnation) -> float | None:
        """Subscribe what is not; gives the seconds until those that failed should be tried again."""
        missing = False
        for subscription in [each for each in self._subscriptions.values() if each.tag is None]:
            if not await self._prepare(subscription.queue):
                subscription.failures += 1
                missing = True
                continue
            async with self._lock:
                if subscription.wanted and life.alive:
                    await self._consume(life, subscription)
        return _LOOK_AGAIN if missing else None

    async def _consume(self, life: Incarnation, subscription: Subscription) -> None:
        # Per-consumer QoS holds for consumers started after it, so the pair must not be interleaved.
        await life.channel.basic_qos(prefetch_count=subscription.prefetch)
        receive, acks = subscription.receive, life.acks

        async def on_message(delivered: DeliveredMessage) -> None:
            tag = delivered.delivery_tag
            assert tag is not None
            acks.arrived(tag)
            receive(read_message(delivered), ChannelTicket(self, life, tag))

        answer = await life.channel.basic_consume(subscription.queue, on_message)
        subscription.tag = answer.consumer_tag
        subscription.failures = 0
        self._watch(subscription.queue, True)

    async def _cancel(self, subscription: Subscription) -> None:
        tag, subscription.tag = subscription.tag, None
        if tag is None:
            return
        self._watch(subscription.queue, False)
        if self._life is not None and self._life.alive:
            with contextlib.suppress(*_BROKEN):
                await self._life.channel.basic_cancel(tag)

    def _cancelled_by_broker(self, frame: commands.Basic.Cancel) -> None:
        """Queue deleted, node lost or (4.3) consumer timeout: consume anew, always with a fresh tag."""
        for subscription in self._subscriptions.values():
            if subscription.tag == frame.consumer_tag:
                subscription.tag = None
                self._watch(subscription.queue, False)
        self._changed.set()

    def _lost(self) -> None:
        for subscription in self._subscriptions.values():
            if subscription.tag is not None:
                subscription.tag = None
                self._watch(subscription.queue, False)
