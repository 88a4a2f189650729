"""The settlement of messages on one open channel: their tickets, and the frames that carry acks and nacks."""

import asyncio
import contextlib
import struct
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from aio_pika.abc import AbstractChannel
from aiormq.abc import AbstractChannel as UnderlayChannel
from aiormq.abc import ChannelFrame
from aiormq.exceptions import AMQPError

from bridge.amqp.connection import close_whole, lost_not_cancelled
from bridge.amqp.reader import ReceivingConnection
from bridge.core.budget import Hold, Holder
from bridge.core.errors import BrokerUnavailable

# The delivery tags of a channel that may be acknowledged now, in as few frames as possible.


class AckTracker:
    """Tracks the open and finished delivery tags of one channel.

    Tags arrive in rising order. One `multiple` ack covers everything up to the first open tag; finished tags above it are acked
    one by one, so that a slow attempt never holds back the acks of the fast ones. A tag is returned once: the broker answers a
    repeated one with 406 and closes the channel.
    """

    def __init__(self) -> None:
        self._open: dict[int, None] = {}
        self._finished: list[int] = []

    @property
    def open(self) -> int:
        """Returns the number of tags that are neither finished nor given back."""
        return len(self._open)

    def arrived(self, tag: int) -> None:
        """Notes that a message arrived with this tag."""
        self._open[tag] = None

    def finish(self, tag: int) -> bool:
        """Marks the tag as finished; returns False if it was settled before."""
        if tag not in self._open:
            return False
        del self._open[tag]
        self._finished.append(tag)
        return True

    def requeue(self, tag: int) -> bool:
        """Removes the tag without an ack (it is nacked); returns False if it was settled before."""
        return self._open.pop(tag, self) is None

    def take(self) -> Iterator[tuple[int, bool]]:
        """The acks to send now, as (tag, multiple), each tag once.

        The `multiple` ack names the highest finished tag below the first open one: that tag is outstanding for
        certain, which the broker demands (it answers 406 to a tag that it does not hold).
        """
        finished, self._finished = self._finished, []
        if not finished:
            return
        first_open = next(iter(self._open), None)
        below = finished if first_open is None else [tag for tag in finished if tag < first_open]
        if below:
            yield max(below), True
        if first_open is not None:
            for tag in finished:
                if tag > first_open:
                    yield tag, False


_METHOD_FRAME = struct.Struct(">BHIHHQBB").pack
"""A method frame of Basic.Ack or Basic.Nack, end octet included (AMQP 0-9-1 sections 4.2.3 and 1.8.3.14)."""
_ARGUMENTS_SIZE = 13
_ACK = (60, 80)
_NACK = (60, 120)
_REQUEUE = 0b10
_END = 0xCE
_WRITER_IS_BUSY = 0.005


class ChannelSession:
    """A channel from its opening to its end: a ticket of an earlier session settles nothing (the broker redelivers)."""

    def __init__(
        self, connection: ReceivingConnection, channel: AbstractChannel, underlay: UnderlayChannel
    ) -> None:
        """`underlay` is the channel of aiormq below `channel` of aio-pika; acks are written there, in frames made here."""
        self.connection = connection
        self.channel = channel
        self.underlay = underlay
        self.acks = AckTracker()
        self.due = False
        """A message was settled since the last flush."""
        self.unsent = b""
        """What the last flush had to leave."""
        self._given_back: list[int] = []
        self._over = False
        # Set in the same step in which the library answers a close with CloseOk, or sends one of its own. A
        # frame behind that makes the broker end the whole connection (504), and `is_closed` comes later.
        self._closing: asyncio.Event = vars(underlay)["_Channel__close_event"]

    @property
    def alive(self) -> bool:
        """Returns whether tickets of this session are still valid."""
        return not (self._over or self._closing.is_set() or self.underlay.is_closed)

    def requeue(self, tag: int) -> bool:
        """Marks the tag to be nacked with the next flush; returns True if the caller has to request a flush."""
        if self.acks.requeue(tag):
            self.due = True
            self._given_back.append(tag)
            return len(self._given_back) == 1
        return False

    async def flush(self) -> None:
        """Writes all due nacks, then all due acks, without waiting for the socket.

        The frames are written in one piece, even if flushes overlap: a `multiple` ack that overtook a nack below it would lose
        that message, and one that overtook a single ack would make the broker close the channel (406).
        """
        self.due = False
        self.unsent += self._frames()
        while self.unsent and self.alive:
            try:
                # Not `put`: the channel may begin to close while that waits.
                self.connection.underlay.write_queue.put_nowait(ChannelFrame(self.unsent, should_close=False))
            except asyncio.QueueFull:
                await asyncio.sleep(_WRITER_IS_BUSY)
            else:
                self.unsent = b""

    async def cancel(self, queue: str, consumer: str) -> None:
        """Cancels the consumer with this tag; once this returns, nothing more is delivered to it."""
        await (await self.channel.get_queue(queue, ensure=False)).cancel(consumer)
        self.connection.forget(consumer)

    async def prove(self) -> None:
        """Waits until the broker has processed everything sent on this channel.

        Methods of a channel are handled in order, so the answer to any later call proves the earlier acks.
        """
        if self.alive:
            with (
                contextlib.suppress(AMQPError, OSError, RuntimeError, TimeoutError, BrokerUnavailable),
                lost_not_cancelled(),
            ):
                await self.channel.set_qos(prefetch_count=1, timeout=5)

    async def close(self) -> None:
        """Closes the channel; messages whose settlement was not flushed are redelivered."""
        self._over = True
        await close_whole(self.channel)

    def _frames(self) -> bytes:
        channel = self.underlay.number
        given_back, self._given_back = self._given_back, []
        frames = [
            _METHOD_FRAME(1, channel, _ARGUMENTS_SIZE, *_NACK, tag, _REQUEUE, _END) for tag in given_back
        ]
        frames += [
            _METHOD_FRAME(1, channel, _ARGUMENTS_SIZE, *_ACK, tag, multiple, _END)
            for tag, multiple in self.acks.take()
        ]
        return b"".join(frames)


class ChannelAckHandle(Hold):
    """The ticket of one message of one channel session; see bridge.core.ports.AckHandle.

    The ticket holds the memory of the message in the budget, since whoever has the ticket also has the message.
    """

    __slots__ = ("_life", "_spawn", "_tag")

    def __init__(
        self,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        life: ChannelSession,
        tag: int,
        holder: Holder,
        byte_count: int,
    ) -> None:
        super().__init__(holder, byte_count)
        self._spawn, self._life, self._tag = spawn, life, tag

    @property
    def valid(self) -> bool:
        """Returns False once the channel is gone: the broker redelivers, so what has not started need not start."""
        return self._life.alive

    def finish(self) -> None:
        """Acks the message with the next flush."""
        self.release()
        self._life.acks.finish(self._tag)
        self._life.due = True

    def requeue(self) -> None:
        """Nacks the message with requeue, soon."""
        self.release()
        if self._life.requeue(self._tag):
            self._spawn(self._life.flush())
