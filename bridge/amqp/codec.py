"""The codec of field tables: reads and writes the headers of a message, whatever a publisher put into them.

Wire format: AMQP 0-9-1 section 4.2.5.5 with the value types that RabbitMQ uses
(https://www.rabbitmq.com/amqp-0-9-1-errata.html, section 3). Values are those that pamqp would return. pamqp is not used,
because a table that it cannot read ends the connection, and the broker would deliver the same message again for ever: names
that are not UTF-8, times beyond the year 9999, deeply nested tables. None of these is an error here. Nor does pamqp write them:
version 4 has only floats of 32 bits, accepts no bytes and cuts names at 128 bytes.
"""

import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pamqp import commands

from bridge.core.ports import Outgoing

DEEPEST = 64
"""Maximum nesting of tables and arrays; deeper ones are kept as bytes."""

_SIZE = struct.Struct(">I").unpack_from
_DECIMAL = struct.Struct(">Bi").unpack_from
_TIME = struct.Struct(">Q").unpack_from
_UINT, _INT, _LONG = struct.Struct(">I"), struct.Struct(">i"), struct.Struct(">q")
_DOUBLE, _STAMP, _SCALED = struct.Struct(">d"), struct.Struct(">Q"), struct.Struct(">Bi")
_LAST_SECOND_OF_32_BITS = 0xFFFF_FFFF
_LAST_SECOND_OF_9999 = 253_402_300_799
_LONGEST_NAME = 255

Read = Callable[[bytes, int, int], tuple[Any, int]]
"""(data, offset, depth) -> (value, offset after it)."""


def read_table(data: bytes, at: int, depth: int = 0) -> tuple[dict[str, Any], int]:
    """Returns the table that begins at `at` with its size, and the offset after it.

    Raises IndexError, KeyError, ValueError or struct.error if `data` holds no table.
    """
    end = at + 4 + _SIZE(data, at)[0]
    at += 4
    table: dict[str, Any] = {}
    while at < end:
        kind = at + 1 + data[at]
        name = data[at + 1 : kind].decode("utf-8", "backslashreplace")
        table[name], at = _READ[data[kind]](data, kind + 1, depth)
    if at != end:
        raise ValueError("a value reaches beyond the end of its table")
    return table, end


def read_time(data: bytes, at: int) -> datetime:
    """Returns the timestamp at `at`, in seconds, although publishers also write milli-, micro- and nanoseconds."""
    time: float = _TIME(data, at)[0]
    if time > _LAST_SECOND_OF_32_BITS:
        time /= 1000
    while time > _LAST_SECOND_OF_9999:
        time /= 1000
    return datetime.fromtimestamp(time, tz=UTC)


def _read_array(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    end = at + 4 + _SIZE(data, at)[0]
    at += 4
    array = []
    while at < end:
        value, at = _READ[data[at]](data, at + 1, depth)
        array.append(value)
    if at != end:
        raise ValueError("a value reaches beyond the end of its array")
    return array, end


def _nested(read: Read) -> Read:
    def read_nested(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        if depth < DEEPEST:
            return read(data, at, depth + 1)
        return _read_octets(data, at)

    return read_nested


def _read_octets(data: bytes, at: int) -> tuple[bytes, int]:
    # A size beyond the end is detected by the enclosing table or frame, whose end then does not fit.
    end = at + 4 + _SIZE(data, at)[0]
    return data[at + 4 : end], end


def _read_text(data: bytes, at: int, _depth: int) -> tuple[str | bytes, int]:
    """Returns a long string: as text, or as bytes if it is not UTF-8."""
    end = at + 4 + _SIZE(data, at)[0]
    octets = data[at + 4 : end]
    try:
        return octets.decode(), end
    except UnicodeDecodeError:
        return octets, end


def _read_bytes(data: bytes, at: int, _depth: int) -> tuple[bytearray, int]:
    """Returns a byte array; pamqp represents it as a bytearray, so that its type survives in a copy."""
    octets, end = _read_octets(data, at)
    return bytearray(octets), end


def _read_decimal(data: bytes, at: int, _depth: int) -> tuple[Decimal, int]:
    """Returns a decimal, which pamqp and the Java client write as signed (pamqp 4 reads it as unsigned)."""
    scale, digits = _DECIMAL(data, at)
    return Decimal(digits).scaleb(-scale), at + 5


def _read_void(_data: bytes, at: int, _depth: int) -> tuple[None, int]:
    return None, at


def _fixed(layout: str, kind: Callable[[Any], Any] | None = None) -> Read:
    unpack, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)

    def read(data: bytes, at: int, _depth: int) -> tuple[Any, int]:
        value = unpack(data, at)[0]
        return value if kind is None else kind(value), at + size

    return read


_READ: dict[int, Read] = {
    ord(kind): read
    for kind, read in {
        "t": _fixed(">B", bool),
        "b": _fixed(">b"),
        "B": _fixed(">B"),
        "s": _fixed(">h"),
        "u": _fixed(">H"),
        "I": _fixed(">i"),
        "i": _fixed(">I"),
        "l": _fixed(">q"),
        "L": _fixed(">q"),
        "f": _fixed(">f"),
        "d": _fixed(">d"),
        "D": _read_decimal,
        "S": _read_text,
        "x": _read_bytes,
        "T": lambda data, at, _depth: (read_time(data, at), at + 8),
        "A": _nested(_read_array),
        "F": _nested(read_table),
        "V": _read_void,
        "\0": _read_void,
    }.items()
}


def write_table(table: Mapping[str, Any], depth: int = 0) -> bytes:
    """Returns the encoded table with its size; a table from `read_table` keeps its values and types.

    Floats have 64 bits. Integers have the 32 or 64 bits that most clients write; larger ones are written as text. Raises
    ValueError or TypeError for a value that no table can hold.
    """
    if depth > DEEPEST + 1:
        raise ValueError(f"tables lie in each other more than {DEEPEST} deep")
    parts: list[bytes] = []
    for name, value in table.items():
        octets = name.encode("utf-8", "replace")[:_LONGEST_NAME]
        parts += (bytes((len(octets),)), octets, _written(value, depth))
    return _sized(b"".join(parts))


def _sized(octets: bytes | bytearray) -> bytes:
    return _UINT.pack(len(octets)) + octets


def _written(value: Any, depth: int) -> bytes:  # noqa: PLR0911 - one line a type reads best
    match value:
        case str():
            return b"S" + _sized(value.encode("utf-8", "replace"))
        case bool():
            return b"t\1" if value else b"t\0"
        case int():
            return _written_integer(value)
        case float():
            return b"d" + _DOUBLE.pack(value)
        case None:
            return b"V"
        case Mapping():
            return b"F" + write_table(value, depth + 1)
        case list() | tuple():
            return b"A" + _sized(b"".join([_written(each, depth + 1) for each in value]))
        case bytes():
            return b"S" + _sized(value)
        case bytearray():
            return b"x" + _sized(value)
        case _:
            return _written_rarely(value)


def _written_integer(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"I" + _INT.pack(value)
    if -(2**63) <= value < 2**63:
        return b"l" + _LONG.pack(value)
    return b"S" + _sized(str(value).encode())


def _written_rarely(value: Any) -> bytes:
    match value:
        case datetime():
            return b"T" + _STAMP.pack(_stamp(value.timestamp()))
        case Decimal():
            return _written_decimal(value)
        case _:
            raise TypeError(f"{type(value).__name__} is no kind of value that a header can have")


def _stamp(seconds: float) -> int:
    """Returns whole seconds; beyond 32 bits milliseconds, so that `read_time` reads the same value again."""
    return max(0, int(seconds) if seconds < _LAST_SECOND_OF_32_BITS + 1 else round(seconds * 1000))


def _written_decimal(value: Decimal) -> bytes:
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -255 <= exponent <= 0:
        digits = int(value.scaleb(-exponent))
        if -(2**31) <= digits < 2**31:
            return b"D" + _SCALED.pack(-exponent, digits)
    return b"S" + _sized(str(value).encode())


# The properties of published messages, encoded without loss.


PERSISTENT = 2
HEADER_LIMIT = 120_000
"""Maximum bytes of encoded headers, the bridge's own included: a table over the frame size (131,072) closes the connection."""

_OWN_REPLIES = "amq.rabbitmq.reply-to"
"""The pseudo-queue of direct reply-to: refused (406) on a channel that does not consume replies."""
_LONGEST_LIFE = 0xFFFF_FFFF


class Properties(commands.Basic.Properties):
    """The properties of aiormq, with a header table encoded here."""

    def encode_property(self, name: str, value: Any) -> bytes:
        """Called by pamqp for each property that has a value."""
        return write_table(value) if name == "headers" else super().encode_property(name, value)


def properties_of(message: Outgoing) -> Properties:
    """Returns the properties of a message: persistent, and without values that the broker would refuse by closing the channel,
    which would cost other publishes their confirms.
    """
    like = message.like
    return Properties(
        content_type=like.content_type,
        content_encoding=like.content_encoding,
        headers=dict(message.headers),
        delivery_mode=PERSISTENT,
        priority=message.priority,
        correlation_id=like.correlation_id,
        reply_to=None if message.reply_to == _OWN_REPLIES else message.reply_to,
        expiration=_accepted(message.expiration),
        message_id=message.message_id,
        timestamp=like.timestamp,
        message_type=like.type,
        app_id=like.app_id,
    )


def _accepted(expiration: str | None) -> str | None:
    """Returns the expiration if RabbitMQ accepts it: milliseconds as digits."""
    if (
        expiration
        and expiration.isascii()
        and expiration.isdecimal()
        and len(expiration) <= len("4294967295")
    ):
        return expiration if int(expiration) <= _LONGEST_LIFE else None
    return None
