"""Consumers: channels that subscribe again after every loss, and the tickets of the messages received on them."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiormq.exceptions import AMQPError
from pamqp import commands

from bridge.amqp.acks import ChannelAckHandle, ChannelSession
from bridge.amqp.connection import Link, lost_not_cancelled, why_closed
from bridge.amqp.kinds import IN_EXCLUSIVE_USE
from bridge.core.base import Backoff
from bridge.core.budget import NOTHING, Held, Holder
from bridge.core.errors import BridgeError, BrokerUnavailable
from bridge.core.event import Message
from bridge.core.ports import Receive
from bridge.core.survey import OUR_CONSUMERS

log = structlog.get_logger(__name__)

_BROKEN = (AMQPError, OSError, RuntimeError, TimeoutError, BridgeError)
_LONGEST_WAIT = 15.0
_LOOK_AGAIN = 2.0
_TAKEN = "another consumer has the queue for itself: stop it; the bridge tries again all the time"
_AROUND_A_BODY = 2048
"""Approximate bytes that a message takes beside its body: properties, headers, and the objects made of it here."""


@dataclass(slots=True)
class Subscription:
    """A queue that is consumed; `tags` maps the consumer tags that the broker knows to the prefetch of each."""

    queue: str
    prefetch: int
    receive: Receive
    holder: Holder
    tags: dict[str, int] = field(default_factory=dict)
    wanted: bool = True
    failures: int = 0


class ConsumeChannel:
    """A supervised channel with any number of subscriptions, each with its own prefetch."""

    def __init__(
        self,
        link: Link,
        prepare: Callable[[str], Awaitable[bool]],
        watch: Callable[[str, bool | None], None] = lambda _queue, _up: None,
        lost: Callable[[str], None] = lambda _why: None,
        *,
        arguments: Callable[[str], Mapping[str, Any]] = lambda _queue: {},
        adds: Callable[[str], bool] = lambda _queue: True,
        holds: str = "sources",
    ) -> None:
        """`prepare(queue)`, which uses a channel of its own, returns whether the queue can be consumed; `arguments(queue)`
        returns the arguments of a new consumer.

        `watch(queue, up)` is called for every consumer that begins or ends, with None if the queue is not to be consumed any
        more; `lost(why)` for each one that ended unexpectedly: cancelled, timeout, refused, connection or silent. `holds` is
        the name under which the memory of messages is counted. `adds(queue)` returns whether a higher prefetch may be reached
        by another consumer.
        """
        self._link = link
        self._prepare = prepare
        self._watch = watch
        self._tell_lost = lost
        self._arguments = arguments
        self._adds = adds
        self._holds = holds
        self._subscriptions: dict[str, Subscription] = {}
        self.session: ChannelSession | None = None
        self._changed = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()
        self._closing = False

    def __len__(self) -> int:
        return len(self._subscriptions)

    def __contains__(self, queue: str) -> bool:
        return queue in self._subscriptions

    @property
    def link(self) -> Link:
        """Returns the connection of the channel."""
        return self._link

    def move(self, link: Link) -> None:
        """Changes the connection, which is used once the present one is lost."""
        self._link = link

    def subscribe(self, queue: str, prefetch: int, receive: Receive) -> None:
        """Consumes this queue from now on, across reconnects."""
        known = self._subscriptions.get(queue)
        holder = self._link.budget.holder(self._holds) if known is None else known.holder
        self._subscriptions[queue] = Subscription(queue, prefetch, receive, holder)
        self._watch(queue, False)
        self._changed.set()

    async def unsubscribe(self, queue: str) -> None:
        """Cancels the consumers of the queue; tickets already given out stay valid. Returns when the broker has confirmed."""
        subscription = self._subscriptions.pop(queue, None)
        if subscription is None:
            return
        subscription.wanted = False
        async with self._lock:
            await self._cancel(subscription)
        if queue not in self._subscriptions:
            self._watch(queue, None)

    async def renew(self, queue: str) -> None:
        """Consumes with a new tag, because the present consumers receive nothing. Tickets already given out stay valid."""
        subscription = self._subscriptions.get(queue)
        if subscription is not None and subscription.tags:
            self._tell_lost("silent")
            async with self._lock:
                await self._cancel(subscription)
            self._changed.set()

    def resize(self, queue: str, prefetch: int) -> None:
        """Changes the prefetch; tickets already given out stay valid and are not counted in it.

        The prefetch of a consumer is fixed. To raise it another consumer is added: messages of a quorum queue that a cancelled
        consumer still holds are stuck if the node that it was connected to goes down, even when the node is back (RabbitMQ
        3.10.8: rabbit_fifo requeues what consumers with the status `up` held; the rest waits until the queue has another
        leader). To lower it, and if `adds` forbids another one, a new consumer replaces all.
        """
        subscription = self._subscriptions.get(queue)
        if subscription is not None and subscription.prefetch != prefetch:
            subscription.prefetch = prefetch
            if subscription.tags:
                self.spawn(self._fit(subscription))

    async def _fit(self, subscription: Subscription) -> None:
        async with self._lock:
            life, tags = self.session, subscription.tags
            missing = subscription.prefetch - sum(tags.values())
            if life is None or not tags or not missing or not life.alive or not subscription.wanted:
                return
            with contextlib.suppress(*_BROKEN), lost_not_cancelled():
                if missing > 0 and self._adds(subscription.queue):
                    await self._consume(life, subscription, missing)
                else:
                    await self._replace(life, subscription)

    async def _replace(self, life: ChannelSession, subscription: Subscription) -> None:
        old = list(subscription.tags)
        for tag in old:
            await life.cancel(subscription.queue, tag)
        if subscription.tags:  # else the broker ended them meanwhile, and the queue is consumed again already
            await self._consume(life, subscription, subscription.prefetch)
            for tag in old:
                subscription.tags.pop(tag, None)

    def held(self, queue: str) -> Held:
        """Returns what is held here of this queue, and its prefetch."""
        subscription = self._subscriptions.get(queue)
        if subscription is None:
            return NOTHING
        return Held(subscription.holder.count, subscription.holder.byte_count, subscription.prefetch)

    @property
    def open(self) -> int:
        """Returns the number of messages received on this channel and not settled."""
        return self.session.acks.open if self.session is not None and self.session.alive else 0

    def up(self, queue: str) -> bool:
        """Returns whether the broker has confirmed a consumer on this queue."""
        subscription = self._subscriptions.get(queue)
        return subscription is not None and bool(subscription.tags)

    async def run(self) -> None:
        """Keeps all subscriptions consuming until cancelled."""
        backoff = Backoff(0.1, _LONGEST_WAIT)
        while not self._closing:
            started = time.monotonic()
            try:
                with lost_not_cancelled():
                    await self._live()
            except Exception as error:  # noqa: BLE001 - whatever it was, consuming has to come back
                if self._closing:
                    return
                if time.monotonic() - started > _LONGEST_WAIT:
                    backoff.reset()
                queues = list(self._subscriptions)[:5]
                if IN_EXCLUSIVE_USE in str(error):
                    log.warning("source.in_exclusive_use", queues=queues, error=str(error), advice=_TAKEN)
                log.info("broker.channel_lost", queues=queues, error=str(error))
            finally:
                self._lost()
            await backoff.pause()

    async def flush(self) -> None:
        """Sends the acks that are due."""
        if self.session is not None:
            await self.session.flush()

    async def close(self) -> None:
        """Flushes, waits until the acks have arrived, and closes the channel for good."""
        self._closing = True
        while self._background:
            await asyncio.gather(*self._background, return_exceptions=True)
        life = self.session
        if life is not None:
            await life.flush()
            await life.prove()
            with contextlib.suppress(*_BROKEN), lost_not_cancelled():
                await life.close()

    def spawn(self, work: Awaitable[None]) -> None:
        """Runs a short operation on the channel in the background; `close` waits for it."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _live(self) -> None:
        link = self._link
        connection = await link.connection()
        if link is not self._link:
            raise BrokerUnavailable("it moves to another connection")
        channel = await connection.open_channel()
        underlay = await channel.get_underlay_channel()
        life = self.session = ChannelSession(connection, channel, underlay)
        underlay.on_consumer_cancel_callbacks.add(self._cancelled_by_broker)
        closing = asyncio.ensure_future(asyncio.wait([underlay.closing]))
        try:
            while life.alive:
                self._changed.clear()
                retry_in = await self._consume_missing(life)
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait({closing, changed}, timeout=retry_in, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            closing.cancel()
            if asyncio.current_task().cancelling() == 0:  # type: ignore[union-attr]
                await life.close()
        if underlay.closing.done():
            raise BrokerUnavailable(why_closed(underlay.closing))

    async def _consume_missing(self, life: ChannelSession) -> float | None:
        """Subscribes all queues that have no consumer; returns the seconds until those that failed should be retried."""
        missing = False
        for subscription in [each for each in self._subscriptions.values() if not each.tags]:
            if not await self._prepare(subscription.queue):
                subscription.failures += 1
                missing = True
                continue
            async with self._lock:
                if subscription.wanted and life.alive:
                    await self._consume(life, subscription, subscription.prefetch)
        return _LOOK_AGAIN if missing else None

    async def _consume(self, life: ChannelSession, subscription: Subscription, prefetch: int) -> None:
        # Per-consumer QoS holds for consumers started after it, so the pair must not be interleaved.
        await life.channel.set_qos(prefetch_count=prefetch)
        receive, acks, holder = subscription.receive, life.acks, subscription.holder

        def take(tag: int, message: Message) -> None:
            acks.arrived(tag)
            byte_count = len(message.body) + _AROUND_A_BODY
            receive(message, ChannelAckHandle(self.spawn, life, tag, holder, byte_count))

        # Registered before the broker's answer, since a cancellation may arrive together with it.
        consumer = f"{OUR_CONSUMERS}{uuid.uuid4().hex}"
        subscription.tags[consumer] = prefetch
        arguments = self._arguments(subscription.queue)
        await life.connection.consume(life.channel, subscription.queue, consumer, take, arguments)
        if consumer in subscription.tags:
            subscription.failures = 0
            self._watch(subscription.queue, True)

    async def _cancel(self, subscription: Subscription) -> None:
        tags, subscription.tags = list(subscription.tags), {}
        if not tags:
            return
        self._watch(subscription.queue, False)
        if (life := self.session) is None:
            return
        for tag in tags:
            if life.alive:
                with contextlib.suppress(*_BROKEN), lost_not_cancelled():
                    await life.cancel(subscription.queue, tag)
            life.connection.forget(tag)

    def _cancelled_by_broker(self, frame: commands.Basic.Cancel) -> None:
        """Consumes again after Basic.Cancel: queue deleted, node lost, or (4.3) the consumer timed out."""
        tag, life = str(frame.consumer_tag), self.session
        if life is None:
            return
        for subscription in self._subscriptions.values():
            if [*subscription.tags] == [tag]:
                self._ended(subscription, "cancelled")
            elif subscription.tags.pop(tag, None) is not None:
                life.connection.forget(tag)
                self.spawn(self._leave_others(subscription))
        self._changed.set()

    async def _leave_others(self, subscription: Subscription) -> None:
        """Cancels the queue's other consumers after the broker cancelled one, and begins again with one."""
        async with self._lock:
            if subscription.tags:
                self._tell_lost("cancelled")
                await self._cancel(subscription)
        self._changed.set()

    def _lost(self) -> None:
        why = _why_lost(self.session)
        for subscription in self._subscriptions.values():
            self._ended(subscription, why)

    def _ended(self, subscription: Subscription, why: str) -> None:
        """Ends the consumers of this subscription, to which nothing more can be delivered."""
        tags, subscription.tags = subscription.tags, {}
        if tags and self.session is not None:
            if not self._closing:
                self._tell_lost(why)
            for tag in tags:
                self.session.connection.forget(tag)
            self._watch(subscription.queue, False)


def _why_lost(life: ChannelSession | None) -> str:
    """Returns whether the broker closed the channel, and why, or the whole connection was lost."""
    if life is None or life.connection.is_closed or not life.underlay.closing.done():
        return "connection"
    # 406 has several causes, which only the text distinguishes (3.10.8: "delivery acknowledgement on channel 1 timed out").
    return "timeout" if "timed out" in why_closed(life.underlay.closing) else "refused"


async def send_acks(channels: Iterable[ConsumeChannel]) -> None:
    """Sends the acks and nacks that are due on these channels."""
    for channel in channels:
        session = channel.session
        if session is not None and (session.due or session.unsent):
            await session.flush()
