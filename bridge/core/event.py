"""What comes in: the broker's message as it stood on the wire, and the event decoded from it."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, Field, field_validator

from bridge.core.base import Seconds, StrictModel, value

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


# A source as people write it: a named durable queue that the bridge consumes.


OWN_EVENTS = "bridge"
"""The source of what the bridge tells of itself (docs/meta-events.md); no other may have this name."""

PUBLISHER_ID = "publisher_id"
"""In place of an expression: the id that the publisher gave."""

FormatName = Literal[
    "auto",
    "splynx",
    "phlix",
    "plinqx",
    "cockpit",
    "cloudevents",
    "celery",
    "masstransit",
    "nservicebus",
    "spring",
    "laravel",
    "keycloak",
    "oslo",
    "debezium",
    "gitlab",
    "nestjs",
    "symfony",
    "dramatiq",
    "standard",
    "json",
]


def _not_taken(name: str) -> str:
    if name == "events":
        raise ValueError("`events` is how many there were; choose another name")
    return name


DimensionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$"), AfterValidator(_not_taken)]


class Dedupe(StrictModel):
    """When an event is taken for one that came before: it is recorded as skipped, and not delivered again."""

    by: str = Field(default=PUBLISHER_ID, min_length=1, max_length=16_384)
    """Those have the same: publisher_id, or a CEL expression that gives text, a number, or nothing; an event without
    is no duplicate."""
    window: Seconds = Field(default=3600.0, ge=1, le=30 * 86_400)
    """How long after the first one."""


class Stream(StrictModel):
    """How a queue of type stream is read; other queues have no use for it."""

    offset: Literal["first", "last", "next"] | AwareDatetime = "first"
    """Where the first reading begins, at which nothing is stored yet: first (all that the stream holds), last (its last
    messages), next (what comes from then on), or a time with its zone such as 2026-11-30T12:00:00Z. After that reading goes on where it ended."""


class Source(StrictModel):
    """A named durable queue, declared by its publisher: durable, not exclusive, not auto-delete, no arguments."""

    name: str = Field(pattern=r"^[a-z0-9_-]{1,64}$")
    """Its name, unique."""
    queue: str = Field(min_length=1)
    """The queue's name on the broker, up to 255 bytes; spaces, slashes and any unicode are fine."""
    format: FormatName = "auto"
    """How messages are decoded; auto finds out."""
    type: str | None = Field(default=None, min_length=1, max_length=16_384)
    """CEL over event for the event's type, such as event.data.event_name; where it gives no text, the format tells."""
    id: str | None = Field(default=None, min_length=1, max_length=16_384)
    """CEL over event for the publisher's id, by which an event that comes again is known; where it gives no text or
    whole number, the format tells."""
    timezone: str = "UTC"
    """For formats that tell local times without a zone."""
    schema_: str | None = Field(default=None, alias="schema", min_length=1, max_length=4096)
    """What bodies must fit: a file with a JSON Schema (2020-12), its path from the configuration file's folder, or
    the name of a known envelope, splynx, phlix, plinqx, cockpit, tiki or cloudevents; the rest goes to quarantine."""
    prefetch: int = Field(default=500, ge=1, le=65_535)
    """Messages held at once, not yet settled."""
    dimensions: dict[DimensionName, str] = Field(default_factory=dict, max_length=20)
    """Named CEL expressions that statistics are kept over: each gives text, a number, true or false, or nothing.

    Default: none; for format phlix user, media, duration and completed."""
    stream: Stream = Stream()
    """How it is read where the queue is a stream."""
    dedupe: Dedupe | None = None
    """Whether its publishers may send an event twice; default: whatever they send is delivered."""

    @field_validator("queue")
    @classmethod
    def _fits_in_a_short_string(cls, value: str) -> str:
        if len(value.encode()) > 255:
            raise ValueError("a queue name has at most 255 bytes in UTF-8")
        return value

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{value!r} is no time zone name such as Europe/Prague") from None
        return value


def own_events(queue: str) -> Source:
    """The source of what the bridge tells of itself."""
    return Source(name=OWN_EVENTS, queue=queue, format="json")
