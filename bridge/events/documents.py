"""The documents of events and quarantined messages."""

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
from bridge.formats.text import utc_text
from bridge.http.documents import ClosedDocument, CountedPageDocument, UtcMoment

# The documents of messages as they were published, and of quarantined ones.


class MessageDocument(ClosedDocument):
    """A message as it was published, with the members of `inspect --message`."""

    exchange: str
    """Exchange that it was published to; empty: the default exchange."""
    routing_key: str
    """Routing key that it was published with."""
    properties: dict[str, str | int]
    """AMQP properties that are set."""
    headers: dict[str, Any]
    """AMQP headers; bytes as base64, decimals as digits, timestamps as RFC 3339."""
    redelivered: bool
    """true: the broker had delivered it before."""


def _published(message: Message) -> dict[str, Any]:
    return {
        "exchange": message.exchange,
        "routing_key": message.routing_key,
        "properties": _properties(message),
        "headers": message.headers,
        "redelivered": message.redelivered,
    }


class QuarantinedInList(ClosedDocument):
    """A quarantined message."""

    id: str
    """A UUIDv7."""
    source: str
    """Name of its source."""
    reason: str
    """Reason, as one word."""
    detail: str
    """Description of the reason."""
    quarantined_at: UtcMoment
    """When it was quarantined."""

    @classmethod
    def of(cls, known: KnownQuarantined, **more: Any) -> Self:
        """Returns the document without body; `more` are further members."""
        return cls.unchecked(known, quarantined_at=known.at, **more)


class QuarantinedAlone(QuarantinedInList, MessageDocument):
    """A quarantined message with body."""

    body_base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
    """The body."""
    body_text: str | None
    """The body as text, if it is UTF-8."""

    @classmethod
    def whole(cls, known: KnownQuarantined) -> Self:
        """Returns the document with properties, headers and body."""
        body = known.message.body
        try:
            text = body.decode()
        except UnicodeDecodeError:
            text = None
        encoded = b64encode(body).decode()
        return cls.of(known, **_published(known.message), body_base64=encoded, body_text=text)


class RequeuedDocument(ClosedDocument):
    """A message that was requeued."""

    id: str
    """Id that it had in quarantine."""
    source: str
    """Name of its source."""
    queue: str
    """The queue's name on the broker."""
    dry_run: bool
    """true: nothing was changed, it is still in quarantine."""
    event_types: list[str] | None
    """With `dry_run`: types of the events that the source would decode from it."""
    fault: str | None
    """With `dry_run`: why it would be quarantined again; null: it would not."""


class AskedQuarantine(StrictModel):
    """A filter of quarantined messages, which have to match every given field."""

    source: str | None = Field(default=None, min_length=1, max_length=64)
    """Name of their source."""
    reason: str | None = Field(default=None, min_length=1, max_length=64)
    """Reason of the quarantine, as one word."""
    from_: str | None = Field(default=None, alias="from", min_length=1, max_length=64)
    """Only messages quarantined from then on: RFC 3339, a date, or a time before now, such as -24h."""
    to: str | None = Field(default=None, min_length=1, max_length=64)
    """Only messages quarantined before that."""


class RequeuedManyDocument(ClosedDocument):
    """The result of requeueing many messages."""

    requeued: int
    """Number of messages that were requeued."""
    kept: int
    """Number of messages that cannot be requeued, and stay."""
    error: str | None
    """Why the first of these cannot be requeued."""
    more: bool
    """true: the time limit was reached before all were processed; repeat the request."""


class DroppedManyDocument(ClosedDocument):
    """The result of dropping many messages."""

    dropped: int
    """Number of messages that were deleted."""
    more: bool
    """true: the time limit was reached before all were deleted; repeat the request."""


# The documents of events for receivers and the API.


EITHER: JsonDict = {"oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}]}


class EventDocument(ClosedDocument):
    """An event as in `body: event` of a webhook and `stdin: event` of a script."""

    model_config = ConfigDict(json_schema_extra=EITHER)

    id: str
    """Id of the event, a UUIDv7."""
    type: Annotated[str, Field(min_length=1)]
    """Event type, such as customers.customer.create."""
    source: str
    """Name of its source."""
    time: str | None
    """When it occurred, RFC 3339; null if its publisher does not tell."""
    data: Any = None
    """The data, as the format of the source defines them."""
    data_base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})] = ""
    """The bytes of a body that is not JSON, in place of `data`."""
    identity: str | None
    """Sender, if an inlet verified it."""


class EventInList(ClosedDocument):
    """An event in a list, without its data."""

    status: Literal["matched", "skipped", "unmatched"]
    """matched: hooks asked for it; skipped: all hooks that asked for it are disabled, or it is a duplicate; unmatched: no hook
    asked for it.
    """

    id: str
    """A UUIDv7."""
    source: str
    """Name of its source."""
    type: str
    """Event type, such as customers.customer.create."""
    format: str
    """Format that it was decoded with."""
    publisher_id: str | None
    """The publisher's own id, if it sent one."""
    webhook_id: str
    """The id that receivers see, the same on every attempt."""
    time: str | None
    """When it occurred, RFC 3339; null if its publisher does not tell."""
    received_at: UtcMoment
    """When the bridge received it from its source."""
    identity: str | None
    """Sender, if an inlet verified it."""
    counts: dict[Status, Annotated[int, Field(ge=1)]] | None
    """Number of its deliveries by status, without statuses that none has; null if they are too many to count."""

    @classmethod
    def of(cls, known: KnownEvent, **more: Any) -> Self:
        """Returns the document without data; `more` are further members."""
        return cls.unchecked(
            known,
            status=(known.status or EventStatus.UNMATCHED).value,
            counts=None if known.counts is None else dict(known.counts),
            **more,
        )


class SearchedDocument(ClosedDocument):
    """The extent of a search by expression."""

    events: Annotated[int, Field(ge=0)]
    """Number of events that were evaluated for this page."""
    back_to: UtcMoment | None
    """When the last of them was received; null if there was none."""
    unanswered: Annotated[int, Field(ge=0)]
    """Number of events for which the expression was neither true nor false; a missing key counts as false."""


class EventPageDocument(CountedPageDocument[EventInList]):
    """A page of a list of events; with `where` it may be short, even empty, before the end of the list."""

    searched: SearchedDocument | None = None
    """Extent of the search; only with `where`."""


class DecisionDocument(ClosedDocument):
    """The decision of one hook about one event."""

    hook: str
    """Id of the hook."""
    hook_name: str
    """Name of the hook."""
    matches: bool
    """Whether the hook gets the event; if it is disabled, the delivery is recorded SKIPPED."""
    decision: str
    """match, disabled, other_source, no_pattern, filtered, taken, filter_missing_key or filter_error."""
    reason: str
    """Description of the decision."""


class EventAlone(EventInList, MessageDocument):
    """An event with data, headers and deliveries."""

    model_config = ConfigDict(json_schema_extra=EITHER)

    data: Any = None
    """The data, as the format of the source defines them."""
    data_base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})] = ""
    """The bytes of a body that is not JSON, in place of `data`."""
    data_fault: str | None = None
    """Why there are no data; null if there are."""
    attributes: dict[str, Any] | None = None
    """Attributes and extensions of a CloudEvent, with `hooks` only."""
    envelope: Any = None
    """The whole parsed message, if it is more than the data; with `hooks` only."""
    deliveries: list[DeliveryInList]
    """Its deliveries."""
    hooks: list[DecisionDocument] = Field(default_factory=list)
    """Decision of every hook at present; with `hooks` only."""

    @classmethod
    def whole(
        cls,
        known: KnownEvent,
        event: Event,
        deliveries: Sequence[KnownDelivery],
        name_of: NameOf,
        hooks: list[dict[str, Any]] | None = None,
    ) -> Self:
        """Returns the document; `event` is the result of `as_event`, `hooks` are DecisionDocuments if requested."""
        key, content = data_member(event)
        # The fields that filters use, beside the decisions that may mention them; this is nearly the whole body once more.
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
    """Returns the event as it was routed; `bounds` limit the parsing of its body, None: without data."""
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
