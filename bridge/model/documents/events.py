"""Events, as receivers and the API get to see them."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from bridge.model.delivery import Status
from bridge.model.documents.deliveries import DeliveryInList
from bridge.model.documents.messages import MessageDocument
from bridge.model.documents.shape import Closed, CountedPageDocument, UtcMoment

EITHER: JsonDict = {"oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}]}


class EventDocument(Closed):
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


class EventInList(Closed):
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


class SearchedDocument(Closed):
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


class DecisionDocument(Closed):
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
