"""Clean properties for what we publish, encoded without loss."""

from typing import Any

from pamqp import commands

from bridge.broker.tables import write_table
from bridge.ports.broker import Outgoing

PERSISTENT = 2
HEADER_LIMIT = 120_000
"""Bytes of encoded headers, ours included: a table over the frame size (131,072) closes the connection."""

_OWN_REPLIES = "amq.rabbitmq.reply-to"
"""Means "to the publisher's own channel", and is refused (406) on one that awaits no replies."""
_LONGEST_LIFE = 0xFFFF_FFFF


class Properties(commands.Basic.Properties):
    """The library's, with a header table in our encoding."""

    def encode_property(self, name: str, value: Any) -> bytes:
        """Called by the library for each property that has a value."""
        return write_table(value) if name == "headers" else super().encode_property(name, value)


def properties_of(message: Outgoing) -> Properties:
    """Persistent, without what the broker would refuse: that costs the channel, and others their confirms."""
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
    """Milliseconds as RabbitMQ reads them."""
    if (
        expiration
        and expiration.isascii()
        and expiration.isdecimal()
        and len(expiration) <= len("4294967295")
    ):
        return expiration if int(expiration) <= _LONGEST_LIFE else None
    return None
