"""Clean properties for what we publish, in values that the AMQP library encodes without loss."""

import struct
from collections.abc import Mapping
from typing import Any

from pamqp import commands

from bridge.model.event import Message

PERSISTENT = 2
HEADER_LIMIT = 120_000
"""Bytes of encoded headers, ours included: a table over the frame size (131,072) closes the connection."""


def properties_like(
    message: Message, message_id: str, headers: Mapping[str, Any]
) -> commands.Basic.Properties:
    """Clean properties for a copy: persistent, nothing that re-routes it or makes it vanish.

    `expiration`, `user_id`, `priority`, `reply_to` and `cluster_id` are left behind on purpose.
    """
    return commands.Basic.Properties(
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        headers=encodable(headers),
        delivery_mode=PERSISTENT,
        correlation_id=message.correlation_id,
        message_id=message_id,
        timestamp=message.timestamp,
        message_type=message.type,
        app_id=message.app_id,
    )


class _Octets(str):
    """A long string whose bytes are not UTF-8; pamqp 4 decodes such to bytes and refuses to encode bytes."""

    __slots__ = ("octets",)
    octets: bytes

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:  # noqa: ARG002 - str's signature
        return self.octets


def encodable(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The table in values that pamqp encodes without loss."""
    return {name: _value(value) for name, value in headers.items()}


def _value(value: Any) -> Any:  # noqa: PLR0911 - one line a type reads best
    match value:
        case dict():
            return encodable(value)
        case list() | tuple():
            return [_value(each) for each in value]
        case bytes():
            octets = _Octets(value.decode("utf-8", "replace"))
            octets.octets = value
            return octets
        case _Octets():
            return value
        case str() if not value.isascii():
            return value.encode("utf-8", "replace").decode()
        # pamqp 4 writes every float as 32 bits and integers up to 64 bits: text keeps what those would lose.
        case float() if struct.unpack(">f", struct.pack(">f", _in_range(value)))[0] != value:
            return repr(value)
        case bool() | None:
            return value
        case int() if not -(2**63) <= value < 2**63:
            return str(value)
        case _:
            return value


def _in_range(value: float) -> float:
    return value if abs(value) < 3e38 else 0.0
