"""The frame reader: takes messages for our consumers out of the stream of frames before the AMQP library sees them.

The library spends three awaits, a queue and a task on each message; here a chunk from the socket is processed in one go, and a
message costs only the parsing of its bytes. All other frames go to the library. Wire format: AMQP 0-9-1 sections 4.2.3 (frames)
and 4.2.6 (content).
"""

import struct
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from typing import Any

import structlog
from aiormq.exceptions import InvalidFrameError

from bridge.amqp.codec import read_table, read_time
from bridge.core.budget import Budget, Hold, Holder
from bridge.core.event import Message

# Parsing of a message's consumer and properties. Wire formats: Basic.Deliver (AMQP 0-9-1 section 1.8.3.13 of the method
# reference) and the content header (section 4.2.6.1), with offsets into the received bytes so that nothing is copied. Text that
# is not UTF-8, which the broker does not check, is decoded with backslash escapes: it must not end the connection.


_BASIC = 60
_TAG = struct.Struct(">QB").unpack_from
_HEADER = struct.Struct(">HHQH").unpack_from
_HEADER_SIZE = 14
_MORE_FLAGS = 1
_UNUSED = 11
_NOTHING: list[Any] = [None] * (_UNUSED + 1)


Deliver = tuple[bytes, int, bool, str, str]
"""The arguments of a Basic.Deliver: consumer tag, delivery tag, redelivered, exchange, routing key."""
Text = str | None
Properties = tuple[
    dict[str, Any], Text, Text, Text, Text, Text, Text, datetime | None, Text, int | None, Text
]
"""The properties from headers to expiration, in the order of the fields of `Message`; absent ones are None."""


def read_deliver(data: bytes, at: int, end: int) -> Deliver:
    """Returns the arguments of a Basic.Deliver between `at` and `end`."""
    consumer_end = at + 1 + data[at]
    tag, redelivered = _TAG(data, consumer_end)
    exchange, routing_key = _read_route(data[consumer_end + 9 : end])
    return data[at + 1 : consumer_end], tag, redelivered != 0, exchange, routing_key


def read_header(data: bytes, at: int, end: int) -> tuple[int, Properties]:
    """Returns the body size and the properties of the content header between `at` and `end`.

    Raises IndexError, KeyError, ValueError or struct.error for anything else.
    """
    class_id, _weight, body_size, flags = _HEADER(data, at)
    if class_id != _BASIC or flags & _MORE_FLAGS:
        raise ValueError("this is no header of class basic")
    at += _HEADER_SIZE
    values = _NOTHING.copy()
    for slot, read in _plan(flags):
        values[slot], at = read(data, at)
    if at != end:
        raise ValueError("the properties do not end where their frame does")
    headers, *others, _ = values
    return body_size, (headers or {}, *others)


@lru_cache(maxsize=1024)
def _read_route(octets: bytes) -> tuple[str, str]:
    """Returns exchange and routing key; cached, since few of them occur in many messages."""
    exchange, at = _read_text(octets, 0)
    routing_key, at = _read_text(octets, at)
    if at != len(octets):
        raise ValueError("the arguments do not end where their frame does")
    return exchange, routing_key


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    return data[at + 1 : end].decode("utf-8", "backslashreplace"), end


def _skip_text(data: bytes, at: int) -> tuple[None, int]:
    return None, at + 1 + data[at]


def _read_octet(data: bytes, at: int) -> tuple[int, int]:
    return data[at], at + 1


def _skip_octet(_data: bytes, at: int) -> tuple[None, int]:
    return None, at + 1


def _read_timestamp(data: bytes, at: int) -> tuple[datetime, int]:
    return read_time(data, at), at + 8


_Read = Callable[[bytes, int], tuple[Any, int]]
_PROPERTIES: tuple[tuple[int, _Read], ...] = (
    (1, _read_text),  # content-type, flag 1 << 15
    (2, _read_text),  # content-encoding
    (0, read_table),  # headers
    (_UNUSED, _skip_octet),  # delivery-mode
    (9, _read_octet),  # priority
    (3, _read_text),  # correlation-id
    (8, _read_text),  # reply-to
    (10, _read_text),  # expiration
    (4, _read_text),  # message-id
    (7, _read_timestamp),  # timestamp
    (6, _read_text),  # type
    (_UNUSED, _skip_text),  # user-id
    (5, _read_text),  # app-id
    (_UNUSED, _skip_text),  # cluster-id, flag 1 << 2
)


@lru_cache(maxsize=1024)
def _plan(flags: int) -> tuple[tuple[int, _Read], ...]:
    """Returns the slots to fill and their parsers; cached, since publishers set the same few properties on every message."""
    return tuple(each for position, each in enumerate(_PROPERTIES) if flags & (1 << (15 - position)))


log = structlog.get_logger(__name__)

Take = Callable[[int, Message], None]
"""Called with the delivery tag and the message; must not block."""

_HEAD = struct.Struct(">BHI").unpack_from
_HEAD_SIZE = 7
_AROUND = _HEAD_SIZE + 1
_METHOD, _HEADER_FRAME, _BODY, _HEARTBEAT = 1, 2, 3, 8
_KINDS = frozenset((_METHOD, _HEADER_FRAME, _BODY, _HEARTBEAT))
_END = 0xCE
_BASIC_DELIVER = struct.pack(">HH", 60, 60)
_LARGE = 65_536
"""Bytes from which on a body is counted in the budget while it arrives: smaller ones arrive at once."""


class _Arriving:
    """A message whose frames have not all arrived."""

    __slots__ = ("_body", "_hold", "_holder", "_missing", "_properties", "_whole", "deliver", "take")

    def __init__(self, take: Take, deliver: Deliver, holder: Holder) -> None:
        self.take = take
        self.deliver = deliver
        self._holder = holder
        self._hold: Hold | None = None
        self._properties: Properties | None = None
        self._missing = 0
        self._body = b""
        self._whole: BytesIO | None = None

    def header(self, data: bytes, at: int, end: int) -> bool:
        """Accepts the content header; returns True if the message is complete."""
        if self._properties is not None:
            raise ValueError("a second content header for one message")
        self._missing, self._properties = read_header(data, at, end)
        if self._missing > _LARGE:
            self._hold = Hold(self._holder, self._missing)
        return self._missing == 0

    def body(self, part: bytes) -> bool:
        """Accepts a part of the body; returns True if the message is complete."""
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

    def message(self) -> Message:
        """Returns the complete message."""
        assert self._properties is not None
        _, _, redelivered, exchange, routing_key = self.deliver
        # A buffer that is not written to any more returns its bytes without a copy.
        body = self._body if self._whole is None else self._whole.getvalue()
        self._hold = None
        return Message(body, exchange, routing_key, *self._properties, redelivered)


class DeliveryFrameReader:
    """The incoming bytes of one connection: messages go to `consumers` by their tag, all else is returned."""

    def __init__(self, consumers: Mapping[bytes, Take], budget: Budget | None = None) -> None:
        """`budget` is the memory budget in which arriving messages are counted."""
        self._consumers = consumers
        self._holder = (budget or Budget()).arriving
        self._arriving: dict[int, _Arriving] = {}
        self._rest = bytearray()
        self._needed = _AROUND
        self._through = False

    def feed(self, data: bytes) -> bytes:
        """Takes the messages out of the next chunk; returns the remaining whole frames for the library.

        Raises InvalidFrameError if the broker breaks the order of a message's frames: continuing could lose a message, whose
        tag a later `multiple` ack would cover.
        """
        if self._through:
            return data
        if self._rest:
            data = self._continued(data)
        left: list[bytes] = []
        at = kept = 0
        length = len(data)
        while length - at >= _AROUND:
            kind, channel, size = _HEAD(data, at)
            following = at + _AROUND + size
            if following > length and kind in _KINDS:
                self._needed = following - at
                break
            if kind not in _KINDS or data[following - 1] != _END:
                self._through = True  # not AMQP frames: the library reports the error, and closes
                left.append(data[kept:])
                return b"".join(left)
            try:
                taken = self._taken(kind, channel, data, at + _HEAD_SIZE, following - 1)
            except (IndexError, KeyError, ValueError, struct.error) as error:
                raise InvalidFrameError(f"content that cannot be read: {error!r}") from error
            if taken:
                if kept < at:
                    left.append(data[kept:at])
                kept = following
            at = following
        self._rest += data[at:]
        if kept < at:
            left.append(data[kept:at])
        return left[0] if len(left) == 1 else b"".join(left)

    def _continued(self, data: bytes) -> bytes:
        """Returns what was held back with the next chunk behind it; nothing while the frame is incomplete."""
        self._rest += data
        if len(self._rest) < self._needed:
            return b""
        data = bytes(self._rest)
        self._rest.clear()
        self._needed = _AROUND
        return data

    def finish(self) -> bytes:
        """Returns all bytes held back, and holds back none from now on: the connection ends, and the library reports why."""
        self._through = True
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def _taken(self, kind: int, channel: int, data: bytes, at: int, end: int) -> bool:
        """Returns whether the frame belonged to a message for one of our consumers, and was taken."""
        arriving = self._arriving.get(channel)
        if arriving is None:
            return (
                kind == _METHOD
                and data[at : at + 4] == _BASIC_DELIVER
                and self._begins(channel, data, at + 4, end)
            )
        if kind == _HEADER_FRAME:
            complete = arriving.header(data, at, end)
        elif kind == _BODY:
            complete = arriving.body(data[at:end])
        else:
            raise ValueError("another frame between the frames of one message")
        if complete:
            del self._arriving[channel]
            message, (consumer, tag, *_) = arriving.message(), arriving.deliver
            try:
                arriving.take(tag, message)
            except Exception:
                # The other messages of this chunk are not affected; this one stays unsettled.
                log.exception("broker.message_not_taken", consumer=consumer.decode())
        return True

    def _begins(self, channel: int, data: bytes, at: int, end: int) -> bool:
        deliver = read_deliver(data, at, end)
        take = self._consumers.get(deliver[0])
        if take is None:
            return False
        self._arriving[channel] = _Arriving(take, deliver, self._holder)
        return True
