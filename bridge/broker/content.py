"""Reading what the broker says of a message: who it is for, and its properties.

Wire formats: Basic.Deliver (AMQP 0-9-1 section 1.8.3.13 of the method reference) and the content header
(section 4.2.6.1), with offsets into the received bytes so that nothing is copied on the way. Text that is not
UTF-8, which the broker does not check, is told with backslash escapes: it must not end the connection.
"""

import struct
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

from bridge.broker.tables import read_table, read_time

_BASIC = 60
_TAG = struct.Struct(">QB").unpack_from
_HEADER = struct.Struct(">HHQH").unpack_from
_HEADER_SIZE = 14
_MORE_FLAGS = 1
_UNUSED = 11
_NOTHING: list[Any] = [None] * (_UNUSED + 1)


Deliver = tuple[bytes, int, bool, str, str]
"""Of a Basic.Deliver: the consumer's tag, the delivery tag, redelivered, exchange, routing key."""
Text = str | None
Properties = tuple[
    dict[str, Any], Text, Text, Text, Text, Text, Text, datetime | None, Text, int | None, Text
]
"""Headers to expiration, in the order of the fields of `Message`; what a message does not have is None."""


def read_deliver(data: bytes, at: int, end: int) -> Deliver:
    """The arguments of a Basic.Deliver, which lie in `data` from `at` to `end`."""
    consumer_end = at + 1 + data[at]
    tag, redelivered = _TAG(data, consumer_end)
    exchange, routing_key = _read_route(data[consumer_end + 9 : end])
    return data[at + 1 : consumer_end], tag, redelivered != 0, exchange, routing_key


def read_header(data: bytes, at: int, end: int) -> tuple[int, Properties]:
    """The size of the body and the properties of a content header, which lies in `data` from `at` to `end`.

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
    """Exchange and routing key; there are few of them and many messages."""
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
    """Which slots to fill, and how: publishers set the same few properties on every message."""
    return tuple(each for position, each in enumerate(_PROPERTIES) if flags & (1 << (15 - position)))
