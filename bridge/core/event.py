"""The broker message as it was received, the event decoded from it, and the source as users configure it."""

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
"""The text properties of a Message."""


@value(frozen=True, slots=True, weakref_slot=True)
class Message:
    """A broker message; `body` holds the publisher's bytes unchanged.

    Header values are the types of AMQP tables: None, bool, int, float, Decimal, str, bytes (long strings that are not
    UTF-8), datetime, lists and nested tables.
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
    """A decoded event.

    `data` is a parsed copy for filters and templates; `message.body` is what is delivered and signed. `data_fault` says
    why `data` could not be parsed. `parsed` is the whole parsed body that contains `data`; `weight` is its approximate
    size in bytes, the cost of traversing it. `received_at` is in Unix seconds with millisecond precision, the precision
    that copies carry, so that all attempts show the same time. `time` is RFC 3339 text as precise as the publisher gave
    it. `identity` is the sender, if an inlet verified it.
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
    """The content of a message body: the event's data, the whole parsed body, the reason if there are no data, and
    the approximate size of the parsed body in bytes.
    """

    data: Any = None
    parsed: Any = None
    fault: str = ""
    weight: int = 0


@value(frozen=True, slots=True)
class Undecodable:
    """A message that cannot be decoded to an event; it goes to quarantine whole, with the reason."""

    reason: str
    detail: str


@value(frozen=True, slots=True)
class Refused:
    """A message that cannot be an event and why, or one part of a batch as the message that it would be alone.

    `position` is its place in the batch, from 0.
    """

    message: Message
    why: Undecodable
    position: int = 0


@value(frozen=True, slots=True)
class Received:
    """What a message held: its events in their order, and the parts that cannot be events.

    A message is either one event, or refused as a whole, or a batch: of a batch each event has its own bytes as
    `message.body`, and parts may be refused alone.
    """

    events: tuple[Event, ...]
    refused: tuple[Refused, ...] = ()
    is_batch: bool = False

    @property
    def event(self) -> Event | None:
        """The event of a message that held one; None for a batch, and for a message that was refused."""
        return self.events[0] if self.events and not self.is_batch else None


def refused_whole(message: Message, why: Undecodable) -> Received:
    """Returns what is received of a message that cannot be an event."""
    return Received((), (Refused(message, why),))


@value(frozen=True, slots=True)
class Decoded:
    """The fields that a format decoded from a message; None if the format does not define the field or it is absent.

    `unread` says why a body of this format is never parsed.
    """

    type: str | None = None
    data: Any = None
    time: str | None = None
    publisher_id: str | None = None
    unread: str = ""


# The source: a named durable queue that the bridge consumes, as users configure it.


OWN_EVENTS = "bridge"
"""The reserved name of the source of meta events (docs/meta-events.md)."""

PUBLISHER_ID = "publisher_id"
"""The value of `dedupe.by` that stands for the publisher's id, in place of an expression."""

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
    """Deduplication: an event that repeats the key of an earlier one is recorded as skipped and not delivered."""

    by: str = Field(default=PUBLISHER_ID, min_length=1, max_length=16_384)
    """The deduplication key: publisher_id, or a CEL expression that returns text, a number, or nothing; an event
    without a key is never a duplicate."""
    window: Seconds = Field(default=3600.0, ge=1, le=30 * 86_400)
    """Deduplication window, from the first event with the key."""


class Stream(StrictModel):
    """Options of a queue of type stream; other queues ignore them."""

    offset: Literal["first", "last", "next"] | AwareDatetime = "first"
    """Where reading starts if no offset is stored: first (all that the stream holds), last (its last messages),
    next (new messages only), or a time with its zone such as 2026-11-30T12:00:00Z. Afterwards reading resumes at
    the stored offset."""


class Source(StrictModel):
    """A named durable queue, declared by its publisher: durable, not exclusive, not auto-delete, no arguments."""

    name: str = Field(pattern=r"^[a-z0-9_-]{1,64}$")
    """Unique name of the source."""
    queue: str = Field(min_length=1)
    """The queue's name on the broker, up to 255 bytes; spaces, slashes and any unicode are fine."""
    format: FormatName = "auto"
    """Format of the messages; auto detects it."""
    type: str | None = Field(default=None, min_length=1, max_length=16_384)
    """CEL expression over event that returns the event's type, such as event.data.event_name; if it returns no
    text, the format's own type is used."""
    id: str | None = Field(default=None, min_length=1, max_length=16_384)
    """CEL expression over event that returns the publisher's id, which identifies redelivered events; if it returns
    no text or whole number, the format's own id is used."""
    timezone: str = "UTC"
    """Time zone of formats with local times without a zone."""
    schema_: str | None = Field(default=None, alias="schema", min_length=1, max_length=4096)
    """Schema that bodies must satisfy: a file with a JSON Schema (2020-12), its path relative to the configuration
    file's folder, or the name of a known envelope, splynx, phlix, plinqx, cockpit, tiki or cloudevents; other
    messages go to quarantine."""
    prefetch: int = Field(default=500, ge=1, le=65_535)
    """Prefetch: the maximum number of unacknowledged messages."""
    dimensions: dict[DimensionName, str] = Field(default_factory=dict, max_length=20)
    """CEL expressions by name whose values statistics are kept over: text, a number, true or false, or nothing.

    Default: none; for format phlix user, media, duration and completed."""
    stream: Stream = Stream()
    """Options for a queue of type stream."""
    dedupe: Dedupe | None = None
    """Deduplication of events that publishers send twice; default: none, every event is delivered."""

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
    """Returns the source of meta events, with the bridge's own queue."""
    return Source(name=OWN_EVENTS, queue=queue, format="json")
