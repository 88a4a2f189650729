"""Events, deliveries and all else that other programs get to see, as JSON Schema can say it."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from bridge.model.delivery import Status

UtcMoment = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$")
]
"""RFC 3339 in UTC."""


class _Closed(BaseModel):
    """No further keys."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


_EITHER: JsonDict = {"oneOf": [{"required": ["data"]}, {"required": ["data_base64"]}]}


class EventDocument(_Closed):
    """An event, as `body: event` of a webhook and `stdin: event` of a script have it."""

    model_config = ConfigDict(json_schema_extra=_EITHER)

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


class AttemptDocument(_Closed):
    """One try of a delivery."""

    number: Annotated[int, Field(ge=1)]
    """1 for the first."""
    started_at: UtcMoment
    """When it began."""
    duration_ms: Annotated[float, Field(ge=0)]
    """How long it took, in milliseconds."""
    outcome: str
    """delivered, or the kind of its fault."""
    status_code: int | None
    """HTTP status or exit code."""
    response: str | None
    """Beginning of the answer, or end of a script's output."""
    error: str | None
    """What went wrong."""


class _DeliveryDocument(_Closed):
    id: str
    """Id of the delivery, a UUIDv7."""
    event_id: str
    """Id of its event."""
    event_type: str
    """Type of its event."""
    hook: str
    """Id of its hook."""
    status: Status
    """Where it stands; the last three are final."""
    reason: str | None
    """Why it stands there, where there is something to say."""
    created_at: UtcMoment
    """When it was first recorded."""
    updated_at: UtcMoment
    """When it last changed."""
    next_attempt_at: UtcMoment | None
    """When it is tried again."""


class DeliveryInList(_DeliveryDocument):
    """A delivery in a list."""

    attempts: Annotated[int, Field(ge=0)]
    """How often it was tried."""


class DeliveryAlone(_DeliveryDocument):
    """A delivery with all its attempts."""

    attempts: list[AttemptDocument]
    """Every try, in order."""


DeliveryDocument = DeliveryInList | DeliveryAlone

# ---- what the admin API shows besides -----------------------------------------------------------------

T = TypeVar("T")


class PageDocument(_Closed, Generic[T]):
    """A part of a list."""

    items: list[T]
    """Those of this page."""
    next: str | None
    """Cursor of the following page; null at the end."""


class EventInList(_Closed):
    """An event as the history has it, without what it holds."""

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


class _MessageDocument(_Closed):
    """Where and how a message was published, in the words of `inspect --message`."""

    exchange: str
    """Where it was published; empty: straight to the queue."""
    routing_key: str
    """With this routing key."""
    properties: dict[str, str]
    """AMQP properties that it has."""
    headers: dict[str, Any]
    """AMQP headers; bytes as base64, decimals as digits, timestamps as RFC 3339."""
    redelivered: bool
    """The broker had handed it out before."""


class DecisionDocument(_Closed):
    """What comes of one hook for one event."""

    hook: str
    """Id of the hook."""
    matches: bool
    """Whether it gets the event; a disabled one's delivery is recorded SKIPPED."""
    decision: str
    """match, disabled, other_source, no_pattern, filtered, filter_missing_key or filter_error."""
    reason: str
    """Why, in words."""


class EventAlone(EventInList, _MessageDocument):
    """An event with all that belongs to it."""

    model_config = ConfigDict(json_schema_extra=_EITHER)

    data: Any = None
    """What the format of the source takes for data."""
    data_base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})] = ""
    """The bytes of a body that is not JSON, in place of `data`."""
    deliveries: list[DeliveryInList]
    """All of its deliveries."""
    hooks: list[DecisionDocument] = Field(default_factory=list)
    """What every hook would decide today; on request only."""


class QuarantinedInList(_Closed):
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


class QuarantinedAlone(QuarantinedInList, _MessageDocument):
    """A message in quarantine, whole."""

    body_base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
    """Its bytes."""
    body_text: str | None
    """The same as text, where it is UTF-8."""


class SourceDocument(_Closed):
    """A source now. Figures of the broker are null where it does not answer, or has no such queue."""

    name: str
    """Its name."""
    queue: str
    """The queue's name on the broker."""
    format: str
    """How messages are decoded."""
    state: Literal["consuming", "connecting", "left"]
    """left: not consumed, while broker or database are away or the bridge stops."""
    depth: int | None
    """Messages ready in the queue."""
    consumers: int | None
    """Consumers of the queue, ours included."""
    held: int
    """Messages that this process holds, not yet settled."""
    prefetch: int
    """How many it holds at most."""


class HookStateDocument(_Closed):
    """What goes for a hook now, beside its configuration; as this process sees it."""

    paused: bool
    """By configuration, or by what was said since."""
    reason: str | None
    """Why it is paused; null where the configuration alone says so."""
    breaker: Literal["closed", "open", "half_open"]
    """open: the endpoint is down and looked at now and then; half_open: a probe is under way."""
    held_until: UtcMoment | None
    """The receiver asked to be left alone until then (Retry-After)."""
    lane_depth: int
    """Messages that wait in its lane."""
    in_flight: int
    """Attempts under way in this process."""
    served: bool
    """Whether this process serves targets of its kind."""


class HookDocument(_Closed):
    """A hook as it is written, without its secrets, and how it is doing."""

    id: str
    """Its id, which never changes."""
    name: str
    """Its name, unique."""
    sources: list[str] | None
    """Names of the sources it listens to; null: every source."""
    events: list[str]
    """AMQP topic patterns on the event type."""
    filter: str | None
    """A CEL expression over `event` that must be true."""
    enabled: bool
    """false: matching events are recorded SKIPPED."""
    paused: bool
    """As configured; whether it is paused now stands in `state`."""
    concurrency: int
    """Attempts at once, per process."""
    rate: float | None
    """Attempts per second, per process."""
    retry: dict[str, Any]
    """When failed attempts are tried again."""
    target: dict[str, Any]
    """Where its deliveries go. Secrets, values of `auth` and `urls` of a notify target are left out."""
    managed_by: Literal["api", "file"]
    """file: read-only here."""
    created_at: UtcMoment | None
    """When it was made; null for a hook from the file."""
    updated_at: UtcMoment | None
    """When it was last changed; null for a hook from the file."""
    state: HookStateDocument
    """How it is doing."""


class InvalidParameter(_Closed):
    """One thing that is wrong with a request."""

    name: str
    """Parameter, or path in the body."""
    reason: str
    """What is wrong with it."""


class ProblemDocument(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    type: str
    """about:blank: the status says it."""
    title: str
    """The status in words."""
    status: int
    """HTTP status."""
    detail: str = ""
    """What is wrong with this request."""
    request_id: str
    """Id of the request, as in `X-Request-Id` and in the log."""
    invalid_params: Annotated[list[InvalidParameter], Field(alias="invalid-params")] = []
    """All that is wrong, where it is about parameters."""
