"""A decoder of AMQP 1.0 values, which RabbitMQ 3's plugin leaves encoded in headers and bodies.

Source: OASIS AMQP 1.0, part 1 (types). The plugin (3.10.8) passes on sections as received.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from bridge.bodies.exact import to_json
from bridge.core.event import Message
from bridge.formats.text import table_size

MOST_ITEMS = 100_000
"""Maximum number of values, nested ones included."""
MOST_DEPTH = 64

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - all sums here are in UTC
_NUMBERS: Mapping[int, str] = {
    0x50: ">B",
    0x51: ">b",
    0x52: ">B",
    0x53: ">B",
    0x54: ">b",
    0x55: ">b",
    0x60: ">H",
    0x61: ">h",
    0x70: ">I",
    0x71: ">i",
    0x72: ">f",
    0x80: ">Q",
    0x81: ">q",
    0x82: ">d",
    0x83: ">q",
}
_DECIMALS: Mapping[int, int] = {0x74: 4, 0x84: 8, 0x94: 16}
_PLAIN: Mapping[int, Any] = {0x40: None, 0x41: True, 0x42: False, 0x43: 0, 0x44: 0}
_TEXTS = frozenset({0xA1, 0xA3, 0xB1, 0xB3})
_BYTES = frozenset({0xA0, 0xB0})
_LISTS = frozenset({0xC0, 0xD0})
_MAPS = frozenset({0xC1, 0xD1})
_ARRAYS = frozenset({0xE0, 0xF0})
_DESCRIBED, _BOOLEAN, _EMPTY_LIST, _CHARACTER, _TIMESTAMP, _UUID = 0x00, 0x56, 0x45, 0x73, 0x83, 0x98


class NoValue(Exception):
    """The bytes are not an AMQP 1.0 value, or the value is too large."""


def section(data: bytes) -> tuple[int, Any]:
    """Returns the code of the first section of `data`, such as 0x77 for a body with one value, and its content.

    Raises NoValue.
    """
    reader = _Reader(data)
    try:
        if reader.octet() != _DESCRIBED:
            raise NoValue("no section")
        code = reader.value(0)
        return (code, reader.value(0)) if isinstance(code, int) else (0, None)
    except (IndexError, ValueError, OverflowError) as error:
        raise NoValue(str(error)) from None


class _Reader:
    """A reader of consecutive values."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._room = MOST_ITEMS

    def octet(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def value(self, depth: int) -> Any:
        """Returns the next value, with its type constructor read first."""
        return self._of(self.octet(), depth)

    def _of(self, kind: int, depth: int) -> Any:
        self._room -= 1
        if self._room < 0 or depth > MOST_DEPTH:
            raise NoValue("too many values in one")
        if kind in _PLAIN:
            return _PLAIN[kind]
        if kind in _NUMBERS:
            return self._number(kind)
        if kind in _DECIMALS:
            self._octets(_DECIMALS[kind])
            return None  # rejected: no sender uses decimals
        if kind in _TEXTS or kind in _BYTES:
            octets = self._octets(self._size(kind))
            return octets if kind in _BYTES else octets.decode()
        read = self._compounds.get(kind)
        if read is None:
            raise NoValue(f"no type 0x{kind:02x}")
        return read(self, kind, depth)

    def _number(self, kind: int) -> Any:
        form = _NUMBERS[kind]
        [number] = struct.unpack(form, self._octets(struct.calcsize(form)))
        return _moment(number) if kind == _TIMESTAMP else number

    def _octets(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise NoValue("it is cut off")
        self._at += size
        return self._data[self._at - size : self._at]

    def _size(self, kind: int) -> int:
        """Returns a size of one or four bytes, by the type's first digit."""
        return self.octet() if kind < 0xB0 or 0xC0 <= kind < 0xD0 or 0xE0 <= kind < 0xF0 else self._four()

    def _four(self) -> int:
        return int.from_bytes(self._octets(4))

    def _count(self, kind: int) -> int:
        self._size(kind)
        return self._size(kind)

    def _list(self, kind: int, depth: int) -> list[Any]:
        return [self.value(depth + 1) for _ in range(self._count(kind))]

    def _map(self, kind: int, depth: int) -> dict[str, Any]:
        return {_name(self.value(depth + 1)): self.value(depth + 1) for _ in range(self._count(kind) // 2)}

    def _array(self, kind: int, depth: int) -> list[Any]:
        """Returns values of one type, whose constructor precedes them."""
        count, item = self._count(kind), self.octet()
        if item == _DESCRIBED:
            self.value(depth + 1)
            item = self.octet()
        return [self._of(item, depth + 1) for _ in range(count)]

    def _described(self, _kind: int, depth: int) -> Any:
        self.value(depth + 1)
        return self.value(depth + 1)

    _compounds: Mapping[int, Callable[["_Reader", int, int], Any]] = {
        **dict.fromkeys(_LISTS, _list),
        **dict.fromkeys(_MAPS, _map),
        **dict.fromkeys(_ARRAYS, _array),
        _DESCRIBED: _described,
        _EMPTY_LIST: lambda _reader, _kind, _depth: [],
        _BOOLEAN: lambda reader, _kind, _depth: reader.octet() == 1,
        _CHARACTER: lambda reader, _kind, _depth: reader._octets(4).decode("utf-32-be"),  # noqa: SLF001 - its own class
        _UUID: lambda reader, _kind, _depth: str(UUID(bytes=reader._octets(16))),  # noqa: SLF001 - its own class
    }


def _moment(milliseconds: int) -> str:
    """Returns the timestamp as text, because timestamps of AMQP 0-9-1 have no milliseconds."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds") + "Z"


def _name(key: Any) -> str:
    return key if isinstance(key, str) else str(key)


# Messages of AMQP 1.0 as RabbitMQ's plugin delivers them, converted to the terms of AMQP 0-9-1. RabbitMQ 3 (3.10.8)
# leaves properties and application properties encoded in headers; RabbitMQ 4 converts the latter to plain headers. The
# message's `type` is set by the plugin, not by the sender: `binary` if the body is the sender's bytes, `amqp-1.0` if it
# is an encoded section.


SECTION = "amqp-1.0"
"""The type of a message whose body is an encoded section."""
_MARKERS = frozenset({SECTION, "binary"})
_APPLICATION_PROPERTIES = "x-amqp-1.0-app-properties"
_PROPERTIES = "x-amqp-1.0-properties"
_SUBJECT = 3
_LONGEST_NAME = 255
_VALUE, _SEQUENCE = 0x77, 0x76


def with_plain_headers(message: Message, most: int) -> Message:
    """Returns the message with its application properties as plain headers, as RabbitMQ 4 delivers them.

    An existing header of the same name takes precedence. The encoded properties are kept while all headers take at most
    `most` bytes, because the plugin needs them to deliver copies to consumers of AMQP 1.0.
    """
    found = _held(message.headers, _APPLICATION_PROPERTIES)
    if not isinstance(found, dict) or not found:
        return message
    named = {name: _plain(value) for name, value in found.items() if len(name.encode()) <= _LONGEST_NAME}
    headers = {**named, **message.headers}
    if table_size(headers) > most:
        del headers[_APPLICATION_PROPERTIES]
    return replace(message, headers=headers)


def told_type(message: Message) -> str | None:
    """Returns the type that the sender set: the property, or the subject of AMQP 1.0."""
    if message.type not in _MARKERS:
        return message.type
    found = _held(message.headers, _PROPERTIES)
    subject = found[_SUBJECT] if isinstance(found, list) and len(found) > _SUBJECT else None
    return subject if isinstance(subject, str) else None


def value_of(body: bytes) -> bytes | str | None:
    """Returns the value of a body that is an encoded section: text, bytes, or any other value as JSON in UTF-8.

    None if it is invalid or too large.
    """
    try:
        code, value = section(body)
    except NoValue:
        return None
    if code not in (_VALUE, _SEQUENCE):
        return None
    if isinstance(value, (str, bytes)):
        return value
    made = to_json(value)
    return made if isinstance(made, bytes) else None


def _plain(value: Any) -> Any:
    """Returns the value with UTF-8 bytes as text, which is how a copy carries them."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _held(headers: Mapping[str, Any], name: str) -> Any:
    encoded = headers.get(name)
    if isinstance(encoded, str):
        encoded = encoded.encode(errors="surrogatepass")  # bytes that are valid UTF-8 become text
    if not isinstance(encoded, bytes):
        return None
    try:
        return section(encoded)[1]
    except NoValue:
        return None
