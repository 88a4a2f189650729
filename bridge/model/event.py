"""What comes in: the broker's message as it stood on the wire, and the event decoded from it."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from bridge.model.value import value

TEXT_PROPERTIES = (
    "content_type",
    "content_encoding",
    "correlation_id",
    "message_id",
    "app_id",
    "type",
    "reply_to",
    "expiration",
)
"""The properties of a Message that are text."""


@value(frozen=True, slots=True)
class Message:
    """One broker message; the body is the publisher's bytes and stays so.

    Header values are what AMQP tables hold: None, bool, int, float, Decimal, str, bytes (long strings
    that are not UTF-8), datetime, lists and nested tables.
    """

    body: bytes
    exchange: str = ""
    routing_key: str = ""
    headers: Mapping[str, Any] = field(default_factory=dict)
    content_type: str | None = None
    content_encoding: str | None = None
    correlation_id: str | None = None
    message_id: str | None = None
    app_id: str | None = None
    type: str | None = None
    timestamp: datetime | None = None
    reply_to: str | None = None
    priority: int | None = None
    expiration: str | None = None
    redelivered: bool = False


@value(frozen=True, slots=True)
class Event:
    """One decoded message.

    `data` is a parsed copy for filters and templates: what is delivered and signed is `message.body`. Where it could not
    be had, `data_fault` says why. `parsed` is the whole body of which `data` is a part, `weight` about how many bytes
    whoever makes something of that goes through. `received_at` is in Unix seconds to the millisecond, which is what copies carry:
    every attempt tells the same. `time` is RFC 3339 text as far as the publisher told one. `identity` is who sent
    it, where an inlet verified it.
    """

    id: str
    source: str
    type: str
    format: str
    received_at: float
    message: Message
    data: Any = None
    time: str | None = None
    publisher_id: str | None = None
    identity: str | None = None
    webhook_id: str = ""
    parsed: Any = None
    data_fault: str = ""
    weight: int = 0


@value(frozen=True, slots=True)
class Content:
    """What stands in a message's body: the event's data, all that was parsed, why there are no data, and about how many
    bytes all of it takes.
    """

    data: Any = None
    parsed: Any = None
    fault: str = ""
    weight: int = 0


@value(frozen=True, slots=True)
class Undecodable:
    """A message that cannot be an event; it goes to quarantine whole, with the reason."""

    reason: str
    detail: str


@value(frozen=True, slots=True)
class Refused:
    """One of several in a message that cannot be an event, as the message that it would be alone.

    `position` is its place among them, from 0.
    """

    message: Message
    why: Undecodable
    position: int = 0


@value(frozen=True, slots=True)
class Batch:
    """One message that held several events, in its order; each has its own bytes as `message.body`."""

    events: tuple[Event, ...]
    refused: tuple[Refused, ...] = ()


@value(frozen=True, slots=True)
class Decoded:
    """What a format found in a message; None means the format defines no such thing or it is absent.

    `unread` says why a body of that kind is never read.
    """

    type: str | None = None
    data: Any = None
    time: str | None = None
    publisher_id: str | None = None
    unread: str = ""
