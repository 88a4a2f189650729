"""Taking the messages for our consumers out of the stream of frames before the AMQP library sees them.

The library spends three awaits, a queue and a task on each message; here a chunk from the socket is worked
through in one go, and a message costs what reading its bytes costs. All other frames stay the library's.
Wire format: AMQP 0-9-1 sections 4.2.3 (frames) and 4.2.6 (content).
"""

import struct
from collections.abc import Callable, Mapping
from io import BytesIO

import structlog
from aiormq.exceptions import InvalidFrameError

from bridge.broker.content import Deliver, Properties, read_deliver, read_header
from bridge.model.event import Message
from bridge.ports.budget import Budget, Hold, Holder

log = structlog.get_logger(__name__)

Take = Callable[[int, Message], None]
"""Called with the delivery tag and the message; must not block."""

_HEAD = struct.Struct(">BHI").unpack_from
_HEAD_SIZE = 7
_AROUND = _HEAD_SIZE + 1
_METHOD, _HEADER, _BODY, _HEARTBEAT = 1, 2, 3, 8
_KINDS = frozenset((_METHOD, _HEADER, _BODY, _HEARTBEAT))
_END = 0xCE
_BASIC_DELIVER = struct.pack(">HH", 60, 60)
_LARGE = 65_536
"""Bytes of a body from which on it is counted while it arrives: smaller ones are there at once."""


class _Arriving:
    """A message of which not all frames are there."""

    __slots__ = ("_body", "_deliver", "_hold", "_holder", "_missing", "_properties", "_take", "_whole")

    def __init__(self, take: Take, deliver: Deliver, holder: Holder) -> None:
        self._take = take
        self._deliver = deliver
        self._holder = holder
        self._hold: Hold | None = None
        self._properties: Properties | None = None
        self._missing = 0
        self._body = b""
        self._whole: BytesIO | None = None

    def header(self, data: bytes, at: int, end: int) -> bool:
        """Take the content header; True if the message is complete."""
        if self._properties is not None:
            raise ValueError("a second content header for one message")
        self._missing, self._properties = read_header(data, at, end)
        if self._missing > _LARGE:
            self._hold = Hold(self._holder, self._missing)
        return self._missing == 0

    def body(self, part: bytes) -> bool:
        """Take a part of the body; True if the message is complete."""
        self._missing -= len(part)
        if self._properties is None or self._missing < 0:
            raise ValueError("more of a body than its content header said")
        if self._whole is not None:
            self._whole.write(part)
        elif self._missing == 0:
            self._body = part
        else:
            self._whole = BytesIO(part)
            self._whole.seek(len(part))
        return self._missing == 0

    def hand_over(self) -> None:
        """Give the complete message to its consumer."""
        assert self._properties is not None
        consumer, tag, redelivered, exchange, routing_key = self._deliver
        # Of a whole that nobody writes to any more the bytes are given without a copy of them.
        body = self._body if self._whole is None else self._whole.getvalue()
        message = Message(body, exchange, routing_key, *self._properties, redelivered)
        self._hold = None
        try:
            self._take(tag, message)
        except Exception:
            # The other messages of this chunk are none the worse for it; this one stays unsettled.
            log.exception("broker.message_not_taken", consumer=consumer.decode())


class MessageSieve:
    """One connection's incoming bytes: messages go to `consumers` by their tag, the rest comes back."""

    def __init__(self, consumers: Mapping[bytes, Take], budget: Budget | None = None) -> None:
        """`budget`: what messages that are on their way count in."""
        self._consumers = consumers
        self._holder = (budget or Budget()).arriving
        self._arriving: dict[int, _Arriving] = {}
        self._rest = bytearray()
        self._needed = 0
        self._through = False

    def feed(self, data: bytes) -> bytes:
        """Take the messages out of the next chunk; what is left of its whole frames is for the library.

        Raises InvalidFrameError where the broker breaks the order of a message's frames: to go on would be to
        lose a message, whose tag a later `multiple` ack would cover.
        """
        if self._through:
            return data
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return b""
            data = bytes(self._rest)
            self._rest.clear()
        try:
            return self._sift(data)
        except (IndexError, KeyError, ValueError, struct.error) as error:
            raise InvalidFrameError(f"content that cannot be read: {error!r}") from error

    def finish(self) -> bytes:
        """All that is held back, from now on nothing is: the connection ends, and the library says why."""
        self._through = True
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def _sift(self, data: bytes) -> bytes:
        left: list[bytes] = []
        at = kept = 0
        length = len(data)
        self._needed = _AROUND
        while length - at >= _AROUND:
            kind, channel, size = _HEAD(data, at)
            following = at + _AROUND + size
            if following > length and kind in _KINDS:
                self._needed = following - at
                break
            if kind not in _KINDS or data[following - 1] != _END:
                self._through = True  # no frames of AMQP: the library says what is wrong, and closes
                left.append(data[kept:])
                return b"".join(left)
            if self._taken(kind, channel, data, at + _HEAD_SIZE, following - 1):
                if kept < at:
                    left.append(data[kept:at])
                kept = following
            at = following
        if at < length:
            self._rest += data[at:]
        if kept < at:
            left.append(data[kept:at])
        return left[0] if len(left) == 1 else b"".join(left)

    def _taken(self, kind: int, channel: int, data: bytes, at: int, end: int) -> bool:
        """The frame belongs to a message for one of our consumers."""
        arriving = self._arriving.get(channel)
        if arriving is None:
            return (
                kind == _METHOD
                and data[at : at + 4] == _BASIC_DELIVER
                and self._begins(channel, data, at + 4, end)
            )
        if kind == _HEADER:
            complete = arriving.header(data, at, end)
        elif kind == _BODY:
            complete = arriving.body(data[at:end])
        else:
            raise ValueError("another frame between the frames of one message")
        if complete:
            del self._arriving[channel]
            arriving.hand_over()
        return True

    def _begins(self, channel: int, data: bytes, at: int, end: int) -> bool:
        deliver = read_deliver(data, at, end)
        take = self._consumers.get(deliver[0])
        if take is None:
            return False
        self._arriving[channel] = _Arriving(take, deliver, self._holder)
        return True
