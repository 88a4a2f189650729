"""The documents of Phlix's admin API: webhooks, deliveries and test results."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Moment = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$")]
"""A time in MySQL's format, UTC."""
_Offset = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+00:00$")]
"""A time in PHP's format (DATE_ATOM), UTC."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class NewWebhook(BaseModel):
    """A webhook to register; unknown keys are ignored, as in Phlix."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=1000)]
    """Name, for people; not unique."""
    url: Annotated[str, Field(min_length=1)]
    """URL, http:// or https://."""
    secret: Annotated[str, Field(min_length=1)]
    """Secret that signs its requests; never returned."""
    events: Annotated[list[str], Field(min_length=1)]
    """Event types, such as playback.started; AMQP topic patterns are accepted too."""


class ChangedWebhook(BaseModel):
    """The changes of a webhook; absent or null fields are left unchanged."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: Annotated[str, Field(max_length=1000)] | None = None
    """Name, for people."""
    url: str | None = None
    """URL."""
    secret: str | None = None
    """A new secret; an empty one keeps the old secret."""
    events: list[str] | None = None
    """Event types."""


class RegisteredWebhook(_Shape):
    """A registered webhook."""

    id: str
    """A UUID that never changes."""
    name: str
    """Name, for people."""
    url: str
    """URL, with passwords hidden."""
    events: list[str]
    """Event types."""


class WebhookRow(RegisteredWebhook):
    """A webhook in the list."""

    is_active: bool
    """false: disabled or paused."""
    created_at: _Moment | None
    """Time of registration, UTC; null for a hook of the file."""
    last_triggered_at: _Moment | None
    """Time of the last success, UTC."""
    failure_count: Annotated[int, Field(ge=0)]
    """Deliveries that failed permanently since the last success."""


class Registered(_Shape):
    """The response to registering a webhook."""

    webhook: RegisteredWebhook


class Shown(_Shape):
    """The response to changing a webhook."""

    webhook: WebhookRow


class Webhooks(_Shape):
    """All webhooks with Phlix's profile."""

    webhooks: list[WebhookRow]


class DispatchFailure(_Shape):
    """The failure of a test."""

    webhook_id: str
    url: str
    error: str


class DispatchResult(_Shape):
    """The result of a test."""

    success: bool
    success_count: int
    failure_count: int
    failures: list[DispatchFailure]


class DispatchRow(_Shape):
    """A delivery to a webhook, in the form of Phlix's log; code, body and error are those of the last attempt."""

    id: str
    """Id of the delivery."""
    webhook_id: str
    """Id of the webhook."""
    webhook_url: str
    """URL, with passwords hidden."""
    event_id: str
    """Id of the event."""
    event_type: str
    """Type of the event."""
    attempt: Annotated[int, Field(ge=0)]
    """Number of attempts."""
    status: Literal["pending", "delivered", "failed"]
    """pending: it will be retried."""
    response_code: int | None
    """HTTP status."""
    response_body: str | None
    """Beginning of the response."""
    error_message: str | None
    """Error message."""
    triggered_at: _Moment
    """Time of the last attempt, UTC."""
    next_retry_at: _Offset | None
    """Time of the next attempt."""
    created_at: _Offset
    """Time of the first record."""
    delivered_at: _Offset | None
    """Time of the success."""


class Dispatches(_Shape):
    """A part of the log, newest first."""

    deliveries: list[DispatchRow]
