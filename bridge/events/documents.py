"""Events and quarantined messages of the history, as documents."""

from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from bridge.bodies.body import data_member
from bridge.core.base import StrictModel
from bridge.core.delivery import Status
from bridge.core.event import TEXT_PROPERTIES, Content, Event, Message
from bridge.core.records import EventStatus, KnownDelivery, KnownEvent, KnownQuarantined
from bridge.deliveries.documents import DeliveryInList, NameOf
from bridge.events.inspection import beside_data
from bridge.formats.parse import Bounds
from bridge.formats.registry import content_of
from bridge.formats.text import utc_seconds, utc_text
from bridge.http.documents import ClosedDocument, CountedPageDocument, UtcMoment

# Messages as they were published, and those that could not be handled.


class MessageDocument(ClosedDocument):
    """Where and how a message was published, in the words of `inspect --message`."""

    exchange: str
    """Where it was published; empty: straight to the queue."""
    routing_key: str
    """With this routing key."""
    properties: dict[str, str | int]
    """AMQP properties that it has."""
    headers: dict[str, Any]
    """AMQP headers; bytes as base64, decimals as digits, timestamps as RFC 3339."""
    redelivered: bool
    """The broker had handed it out before."""


def _published(message: Message) -> dict[str, Any]:
    """The members of a MessageDocument."""
    return {
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "properties": _properties(message),
        "headers": message.headers,
        "redelivered": message.redelivered,
    }


class QuarantinedInList(ClosedDocument):
    """A message that could not be handled."""

    id: str
    """A UUIDv7."""
    source: str
    """Where it came from."""
    reason: str
    """Why, as one word."""
    detail: str
    """Why, in words."""
    quarantined_at: UtcMoment
    """Since when."""

    @classmethod
    def of(cls, known: KnownQuarantined, **more: Any) -> Self:
        """The message without what it holds; `more` are further members."""
        return cls.unchecked(
            id=known.id,
            source=known.source,
            reason=known.reason,
            detail=known.detail,
            quarantined_at=utc_seconds(known.at),
            **more,
        )


class QuarantinedAlone(QuarantinedInList, MessageDocument):
    """A message in quarantine, whole."""

    body_base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
    """Its bytes."""
    body_text: str | None
    """The same as text, where it is UTF-8."""

    @classmethod
    def whole(cls, known: KnownQuarantined) -> Self:
        """The message, byte for byte."""
        body = known.message.body
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text = None
        encoded = b64encode(body).decode()
        return cls.of(known, **_published(known.message), body_base64=encoded, body_text=text)


class RequeuedDocument(ClosedDocument):
    """A message that is in its queue again."""

    id: str
    """What it was in quarantine."""
    source: str
    """Name of its source."""
    queue: str
    """The queue's name on the broker."""
    dry_run: bool
    """true: it is in quarantine still."""
    event_types: list[str] | None
    """With `dry_run`: types of the events that the source would make of it."""
    fault: str | None
    """With `dry_run`: why it would come back to quarantine; null: it would not."""


class AskedQuarantine(StrictModel):
    """Which messages in quarantine: those that every given field fits."""

    source: str | None = Field(default=None, min_length=1, max_length=64)
    """Where they came from."""
    reason: str | None = Field(default=None, min_length=1, max_length=64)
    """Why they could not be handled, as one word."""


class RequeuedManyDocument(ClosedDocument):
    """What became of many messages that were to go back."""

    requeued: int
    """How many are in their queues again."""
    kept: int
    """How many cannot go back, and stay."""
    error: str | None
    """Why the first of these cannot."""
    more: bool
    """true: the time was over before they were all seen to; ask again."""


class DroppedManyDocument(ClosedDocument):
    """What became of many messages that were to be dropped."""

    dropped: int
    """How many are deleted."""
    more: bool
    """true: the time was over before they were all deleted; ask again."""


# Events, as receivers and the API get to see them.


EITHER: JsonDict = {"oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}]}


class EventDocument(ClosedDocument):
    """An event, as `body: event` of a webhook and `stdin: event` of a script have it."""

    model_config = ConfigDict(json_schema_extra=EITHER)

    id: str
    """Id of the event, a UUIDv7."""
    type: Annotated[str, Field(min_length=1)]
    """What happened, such as customers.customer.create."""
    source: str
    """Name of the source it came from."""
    time: str | None
    """When it happened, RFC 3339, as far as its publisher told."""
    data: Any = None
    """What the format of the source takes for data."""
    data_base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})] = ""
    """The bytes of a body that is not JSON, in place of `data`."""
    identity: str | None
    """Who sent it, where an inlet verified it."""


class EventInList(ClosedDocument):
    """An event as the history has it, without what it holds."""

    status: Literal["matched", "skipped", "unmatched"]
    """matched: hooks asked for it; skipped: those that did were all disabled, or it is a duplicate; unmatched: none did."""

    id: str
    """A UUIDv7."""
    source: str
    """Name of the source it came from."""
    type: str
    """What happened, such as customers.customer.create."""
    format: str
    """What it was decoded as."""
    publisher_id: str | None
    """The publisher's own id, if it sent one."""
    webhook_id: str
    """The id that receivers see, the same on every attempt."""
    time: str | None
    """When it happened, RFC 3339, as far as its publisher told."""
    received_at: UtcMoment
    """When the bridge took it from its source."""
    identity: str | None
    """Who sent it, where an inlet verified it."""
    counts: dict[Status, Annotated[int, Field(ge=1)]] | None
    """How many of its deliveries have each status, a status that none has left out; null where they are too many."""

    @classmethod
    def of(cls, known: KnownEvent, **more: Any) -> Self:
        """The event without what it holds; `more` are further members."""
        return cls.unchecked(
            status=(known.status or EventStatus.UNMATCHED).value,
            id=known.id,
            source=known.source,
            type=known.type,
            format=known.format,
            publisher_id=known.publisher_id,
            webhook_id=known.webhook_id,
            time=known.time,
            received_at=utc_seconds(known.received_at),
            identity=known.identity,
            counts=None if known.counts is None else dict(known.counts),
            **more,
        )


class SearchedDocument(ClosedDocument):
    """How far an expression was asked of events."""

    events: Annotated[int, Field(ge=0)]
    """How many were looked at for this page."""
    back_to: UtcMoment | None
    """When the last of them was received; null where there was none."""
    unanswered: Annotated[int, Field(ge=0)]
    """Of how many it came to neither true nor false; a key that is missing counts as false."""


class EventPageDocument(CountedPageDocument[EventInList]):
    """A part of a list of events; with `where` it may be short, even empty, and go on all the same."""

    searched: SearchedDocument | None = None
    """Only with `where`."""


class DecisionDocument(ClosedDocument):
    """What comes of one hook for one event."""

    hook: str
    """Id of the hook."""
    hook_name: str
    """Name of the hook."""
    matches: bool
    """Whether it gets the event; a disabled one's delivery is recorded SKIPPED."""
    decision: str
    """match, disabled, other_source, no_pattern, filtered, taken, filter_missing_key or filter_error."""
    reason: str
    """Why, in words."""


class EventAlone(EventInList, MessageDocument):
    """An event with all that belongs to it."""

    model_config = ConfigDict(json_schema_extra=EITHER)

    data: Any = None
    """What the format of the source takes for data."""
    data_base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})] = ""
    """The bytes of a body that is not JSON, in place of `data`."""
    data_fault: str | None = None
    """Why there are no data; null where there are."""
    attributes: dict[str, Any] | None = None
    """Attributes and extensions of a CloudEvent, with `hooks` only."""
    envelope: Any = None
    """All that the publisher said, where it is more than the data; with `hooks` only."""
    deliveries: list[DeliveryInList]
    """All of its deliveries."""
    hooks: list[DecisionDocument] = Field(default_factory=list)
    """What every hook would decide today; on request only."""

    @classmethod
    def whole(
        cls,
        known: KnownEvent,
        event: Event,
        deliveries: Sequence[KnownDelivery],
        name_of: NameOf,
        hooks: list[dict[str, Any]] | None = None,
    ) -> Self:
        """The event; `event` is that of `as_event`, `hooks` are DecisionDocuments where they were asked for."""
        key, content = data_member(event)
        # What filters can name, beside the reasons that may name it; it is nearly the whole body once more.
        decisions = {} if hooks is None else {**beside_data(event), "hooks": hooks}
        return cls.of(
            _counted(known, deliveries),
            **_published(known.message),
            **{key: content},
            data_fault=event.data_fault or None,
            deliveries=[DeliveryInList.of(each, name_of) for each in deliveries],
            **decisions,
        )


def as_event(known: KnownEvent, bounds: Bounds | None) -> Event:
    """The event as it was routed; `bounds`: what of its body is parsed, None: its data are not wanted."""
    return known.as_routed(Content() if bounds is None else content_of(known.message, known.format, bounds))


def _counted(known: KnownEvent, deliveries: Sequence[KnownDelivery]) -> KnownEvent:
    return replace(known, status=_status(deliveries), counts=Counter(each.status for each in deliveries))


def _status(deliveries: Sequence[KnownDelivery]) -> EventStatus:
    if not deliveries:
        return EventStatus.UNMATCHED
    skipped = all(each.status is Status.SKIPPED for each in deliveries)
    return EventStatus.SKIPPED if skipped else EventStatus.MATCHED


def _properties(message: Message) -> dict[str, str | int]:
    texts = ((name, getattr(message, name)) for name in TEXT_PROPERTIES)
    found: dict[str, str | int] = {name: text for name, text in texts if text is not None}
    if message.priority is not None:
        found["priority"] = message.priority
    if message.timestamp is not None and (moment := utc_text(message.timestamp)):
        found["timestamp"] = moment
    return found
