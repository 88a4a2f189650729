"""The confirmed publisher: messages are always persistent, mandatory and confirmed, and every wait has a bound."""

import asyncio
import contextlib
import re
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType

import aio_pika
from aio_pika.abc import AbstractChannel
from aiormq import exceptions as amqp
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel as UnderlayChannel
from pamqp import commands
from pamqp.header import ContentHeader

from bridge.amqp.codec import HEADER_LIMIT, properties_of
from bridge.amqp.connection import Link, close_whole
from bridge.core.budget import Hold
from bridge.core.errors import (
    BridgeError,
    BrokerRefused,
    BrokerUnavailable,
    PublishFailed,
    PublishTooLarge,
    Unroutable,
)
from bridge.core.ports import Outgoing
from bridge.formats.text import table_size

IN_FLIGHT = 500
"""Maximum number of unconfirmed publishes: a `multiple` confirm iterates over all pending ones."""
_LARGE = 65_536
_SHARE = 0.125
"""The share of the memory budget for large bodies that are being published."""
_PIECE = 262_144
"""Bytes of a body that are encoded into frames at once: aiormq (7.2) blocks the event loop for 2 ms per megabyte."""
_MISSING_FOR = 1.0
_REFUSED_FOR = 30.0
_ASK_ANEW_AFTER = 3.0
_LARGER = re.compile(r"message size \d+ is larger than (?:configured )?max size (\d+)")
"""The text by which RabbitMQ distinguishes this 406 from others; 3.10.8 says `configured`."""


class _Encoded(aio_pika.Message):
    """A message with properties encoded here: aio-pika would add a priority, and does not accept text as expiration."""

    def __init__(self, message: Outgoing) -> None:
        super().__init__(message.body)
        self._properties = properties_of(message)

    @property
    def properties(self) -> commands.Basic.Properties:
        """Returns the properties of the message on the wire."""
        return self._properties


class ConfirmedPublisher:
    """Publishes on one channel of a supervised connection; see bridge.core.ports.Publisher."""

    def __init__(
        self,
        link: Link,
        *,
        timeout: float = 10.0,
        body_limit: int = 16 * 1024 * 1024,
        declare: Callable[[str], Awaitable[bool]] | None = None,
        watch: Callable[[str, float], None] = lambda _outcome, _seconds: None,
        underneath: bool = False,
    ) -> None:
        """`watch(outcome, seconds)` is called for every publish: ack, nack, returned, timeout or error.

        `underneath`: for many messages, publishes on the aiormq channel below aio-pika's, without waiting for the socket.
        """
        self._link = link
        self._timeout = timeout
        self._body_limit = body_limit
        self._declare = declare
        self._watch = watch
        self._underneath = underneath
        self._channel: AbstractChannel | None = None
        self._underlay: UnderlayChannel | None = None
        self._opened_at = 0.0
        self._left: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._holder = link.budget.holder("publishing")
        self._turns = Turns()
        self._known = {""}
        self._bad: dict[str, tuple[float, BridgeError]] = {}
        self._looking = asyncio.Lock()

    async def publish(self, message: Outgoing) -> None:
        """Publishes a message; returns once a queue holds it. Raises a PublishFailed or BrokerRefused."""
        self._check_size(message)
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout), self._turns.of(message.message_id):
                hold = await self._room_for(message.body)
                async with self._room:
                    if message.exchange not in self._known:
                        await self._look_for(message.exchange)
                    outcome = await self._confirmed(message, hold)
                del hold
        except TimeoutError as error:
            self._watch("timeout", time.monotonic() - started)
            raise PublishFailed(f"no confirm within {self._timeout:g} s") from error
        except PublishFailed as error:
            label = "returned" if isinstance(error, Unroutable) else "error"
            self._watch(label, time.monotonic() - started)
            raise
        self._watch(outcome, time.monotonic() - started)
        if outcome == "returned":
            raise Unroutable(
                f"no queue for exchange {message.exchange!r}, routing key {message.routing_key!r}"
            )
        if outcome == "nack":
            self._ask_anew()
            raise PublishFailed("the broker answered with a nack (queue full or not available)")

    async def declare(self, queue: str) -> None:
        """Makes sure that a durable queue without arguments exists."""
        if self._declare is not None:
            await self._declare(queue)

    async def close(self) -> None:
        """Closes the channel; publishes must have ended before."""
        for task in self._left:
            task.cancel()
        await asyncio.gather(*self._left, return_exceptions=True)
        if self._channel is not None:
            with contextlib.suppress(Exception):
                await self._channel.close()
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _room_for(self, body: bytes) -> Hold | None:
        if len(body) < _LARGE:
            return None
        await self._holder.room(len(body), self._link.budget.share(_SHARE))
        return Hold(self._holder, len(body))

    async def _confirmed(self, message: Outgoing, hold: Hold | None) -> str:
        channel, underlay = await self._ready_channel()
        try:
            if len(message.body) > _PIECE:
                await self._send_large(underlay, message, hold)
            else:
                await self._send(channel, underlay, message)
        except (TypeError, ValueError, OverflowError) as error:
            raise PublishTooLarge(f"AMQP cannot hold the message: {error}") from error
        except amqp.PublishError:
            return "returned"
        except amqp.DeliveryError:
            return "nack"
        except amqp.ChannelAccessRefused as error:
            refused = BrokerRefused(f"no write permission on exchange {message.exchange!r}: {error}")
            self._bad[message.exchange] = (time.monotonic() + _REFUSED_FOR, refused)
            self._known.discard(message.exchange)
            raise refused from error
        except amqp.ChannelPreconditionFailed as error:
            self._learn_limit(str(error))
            self._check_size(message)  # all pending publishes fail, and one of them was the cause
            raise PublishFailed(f"the channel was lost before the confirm: {error}") from error
        except (amqp.AMQPError, OSError, RuntimeError) as error:
            raise PublishFailed(f"the channel was lost before the confirm: {error}") from error
        except asyncio.CancelledError as error:
            # aiormq cancels pending confirms when their channel closes; a cancellation of this task must pass.
            task = asyncio.current_task()
            if underlay.is_closed and (task is None or not task.cancelling()):
                raise PublishFailed("the channel was lost before the confirm") from error
            raise
        return "ack"

    async def _send(self, channel: AbstractChannel, underlay: UnderlayChannel, message: Outgoing) -> None:
        if self._underneath:
            await underlay.basic_publish(
                message.body,
                exchange=message.exchange,
                routing_key=message.routing_key,
                properties=properties_of(message),
                mandatory=True,
                wait=False,
            )
        else:
            exchange = await channel.get_exchange(message.exchange, ensure=False)
            await exchange.publish(_Encoded(message), message.routing_key)

    async def _send_large(self, channel: UnderlayChannel, message: Outgoing, hold: Hold | None) -> None:
        """Publishes and awaits the confirm; sent completely even if cancelled, as the channel can carry nothing else before."""
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(channel.lock)  # here: no later message may overtake it
            locked = stack.pop_all()
        task = asyncio.create_task(publish_in_pieces(channel, locked, message, hold))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
        await asyncio.shield(task)

    async def _look_for(self, exchange: str) -> None:
        """Checks that the exchange exists before publishing to it.

        The broker answers a publish to a missing exchange by closing the channel, which costs all other publishes on it their
        confirms, and often the whole connection, because further publishes meet a closed channel (504).
        """
        # One check at a time: aiormq 7.2 may reuse the number of a channel before it is completely closed.
        async with self._looking:
            if exchange in self._known:
                return  # checked while this one waited: hundreds may arrive at once, and each check takes several round trips
            until, why = self._bad.get(exchange, (0.0, None))
            if why is not None and time.monotonic() < until:
                raise why.with_traceback(None)
            try:
                if exchange:  # the default exchange always exists, and cannot be declared passively
                    async with self._link.channel() as channel:
                        await channel.get_exchange(exchange)
            except amqp.ChannelNotFoundEntity:
                missing = Unroutable(f"there is no exchange {exchange!r}")
                self._bad[exchange] = (time.monotonic() + _MISSING_FOR, missing)
                raise missing from None
            except (amqp.AMQPError, OSError, RuntimeError, BrokerUnavailable) as error:
                raise PublishFailed(f"cannot look for exchange {exchange!r}: {error}") from error
            self._known.add(exchange)

    async def _ready_channel(self) -> tuple[AbstractChannel, UnderlayChannel]:
        while self._channel is None or self._underlay is None or self._underlay.is_closed:
            async with self._opening:
                if self._underlay is None or self._underlay.is_closed:
                    await self._open()
        return self._channel, self._underlay

    async def _open(self) -> None:
        connection, old = await self._link.connection(), self._channel
        try:
            if old is not None:
                await close_whole(old)  # releases what aio-pika keeps of a channel that was lost
            self._channel = await connection.open_channel(confirms=True)
            underlay = await self._channel.get_underlay_channel()
        except (amqp.AMQPError, OSError, RuntimeError, BrokerUnavailable) as error:
            raise PublishFailed(f"no channel to publish on: {error}") from error
        assert isinstance(underlay, UnderlayChannel)
        self._underlay = underlay
        self._opened_at = time.monotonic()
        self._known = {""}  # an exchange that is gone may have ended the channel before

    def _ask_anew(self) -> None:
        """Publishes on a new channel from now on.

        A channel that was told that a quorum queue is full gets every publish refused until a message leaves that queue, even
        if its limit was removed meanwhile (3.10.8).
        """
        if self._channel is not None and time.monotonic() - self._opened_at > _ASK_ANEW_AFTER:
            task = asyncio.create_task(self._leave(self._channel))
            self._left.add(task)
            task.add_done_callback(self._left.discard)
            self._channel = self._underlay = None

    async def _leave(self, channel: AbstractChannel) -> None:
        """Closes the channel when everything published on it is confirmed or refused."""
        try:
            await asyncio.sleep(self._timeout)
        finally:
            with contextlib.suppress(Exception):
                await close_whole(channel)

    def _learn_limit(self, told: str) -> None:
        """Learns the broker's maximum message size: it closes the channel over each larger body."""
        if found := _LARGER.search(told):
            self._body_limit = min(self._body_limit, int(found[1]))

    def _check_size(self, message: Outgoing) -> None:
        if len(message.body) > self._body_limit:
            raise PublishTooLarge(
                f"body of {len(message.body)} bytes is over the limit of {self._body_limit} (limits.body, or max_message_size of the broker)"
            )
        size = table_size(message.headers)
        if size > HEADER_LIMIT:
            raise PublishTooLarge(f"headers of {size} bytes are over the limit of {HEADER_LIMIT}")


# The body of a large message is sent in pieces, so that the event loop and the other channels of the connection run between two
# of them.


_HEAD = struct.Struct(">BHI").pack
_BODY, _END = 3, b"\xce"


async def publish_in_pieces(
    channel: UnderlayChannel, locked: contextlib.AsyncExitStack, message: Outgoing, _hold: Hold | None
) -> None:
    """As `Channel.basic_publish` of aiormq 7.2, but each piece of the body is encoded when the previous one is written.

    The channel is `locked` until all are written. Must not be cancelled while the connection is open: the broker closes it over
    an incomplete message. The memory is held that long.
    """
    async with locked:
        method = commands.Basic.Publish(
            exchange=message.exchange, routing_key=message.routing_key, mandatory=True
        )
        header = ContentHeader(properties=properties_of(message), body_size=len(message.body))
        opening = ChannelFrame.marshall(channel.number, [method, header])
        channel.delivery_tag += 1
        tag = channel.delivery_tag
        confirmation = channel.confirmations[tag] = channel.create_future()
        channel.message_id_delivery_tag[message.message_id] = tag
        try:
            await channel.write_queue.put(opening)
            for frames in _pieces(channel, message.body):
                written = channel.create_future()
                await channel.write_queue.put(ChannelFrame(frames, should_close=False, drain_future=written))
                await written
        except BaseException:
            confirmation.cancel()
            raise
    try:
        await confirmation
    finally:
        if channel.message_id_delivery_tag.get(message.message_id) == tag:
            del channel.message_id_delivery_tag[message.message_id]


def _pieces(channel: UnderlayChannel, body: bytes) -> Iterator[bytes]:
    """Returns the frames of the body, a few at a time."""
    most = channel.max_content_size if 0 < channel.max_content_size < _PIECE else _PIECE
    whole, step = memoryview(body), _PIECE // most * most
    for at in range(0, len(body), step):
        piece = whole[at : at + step]
        parts: list[bytes | memoryview] = []
        for begin in range(0, len(piece), most):
            part = piece[begin : begin + most]
            parts += (_HEAD(_BODY, channel.number, len(part)), part, _END)
        yield b"".join(parts)


# Messages with equal ids are published one after the other. aiormq (7.2) matches returned messages by id: of two that are in
# flight on a channel with one id, the accepted one could be reported as returned, and the returned one as accepted, which is a
# loss.


class Turns:
    """The messages being published, by id."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    def of(self, message_id: str) -> "_Turn":
        """Returns a context that is entered once no other message with this id is being published."""
        return _Turn(self._waiting, message_id)


class _Turn:
    """The context of one message; a class, because a generator would cost each publish 3 us."""

    __slots__ = ("_id", "_waiting")

    def __init__(self, waiting: dict[str, list[asyncio.Future[None]]], message_id: str) -> None:
        self._waiting = waiting
        self._id = message_id

    async def __aenter__(self) -> None:
        while (others := self._waiting.get(self._id)) is not None:
            my_turn = asyncio.get_running_loop().create_future()
            others.append(my_turn)
            await my_turn
        self._waiting[self._id] = []

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._waiting.pop(self._id):
            if not each.done():
                each.set_result(None)
