"""Webhooks, deliveries and outcomes in the shapes of Phlix's own admin API."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Moment = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$")]
"""As MySQL writes it, in UTC."""
_Offset = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\+00:00$")]
"""As PHP writes it (DATE_ATOM), in UTC."""


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class NewWebhook(BaseModel):
    """A webhook to be registered; further keys are passed over, as Phlix does."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: Annotated[str, Field(min_length=1, max_length=1000)]
    """For people; several may have the same."""
    url: Annotated[str, Field(min_length=1)]
    """Where it goes, http:// or https://."""
    secret: Annotated[str, Field(min_length=1)]
    """What its requests are signed with; never shown again."""
    events: Annotated[list[str], Field(min_length=1)]
    """Event types, such as playback.started; AMQP topic patterns are taken too."""


class ChangedWebhook(BaseModel):
    """What is to be changed of a webhook; what is absent or null stays."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    name: Annotated[str, Field(max_length=1000)] | None = None
    """For people."""
    url: str | None = None
    """Where it goes."""
    secret: str | None = None
    """A new secret; a blank one keeps the old."""
    events: list[str] | None = None
    """Event types."""


class RegisteredWebhook(_Shape):
    """A webhook as it was registered."""

    id: str
    """A UUID, the same for ever."""
    name: str
    """For people."""
    url: str
    """Where it goes, passwords in it hidden."""
    events: list[str]
    """Event types."""


class WebhookRow(RegisteredWebhook):
    """A webhook in the list."""

    is_active: bool
    """false: disabled or paused."""
    created_at: _Moment | None
    """When it was registered, UTC; null for one of the file."""
    last_triggered_at: _Moment | None
    """When it last succeeded, UTC."""
    failure_count: Annotated[int, Field(ge=0)]
    """Deliveries that failed for good since the last success."""


class Registered(_Shape):
    """What registering answers."""

    webhook: RegisteredWebhook


class Shown(_Shape):
    """What changing answers."""

    webhook: WebhookRow


class Webhooks(_Shape):
    """All webhooks with Phlix's profile."""

    webhooks: list[WebhookRow]


class DispatchFailure(_Shape):
    """Why a test failed."""

    webhook_id: str
    url: str
    error: str


class DispatchResult(_Shape):
    """The true outcome of a test."""

    success: bool
    success_count: int
    failure_count: int
    failures: list[DispatchFailure]


class DispatchRow(_Shape):
    """An event for a webhook, as Phlix's log shows it; code, body and error are those of the last attempt."""

    id: str
    """Id of the delivery."""
    webhook_id: str
    """Id of the webhook."""
    webhook_url: str
    """Where it goes, passwords in it hidden."""
    event_id: str
    """Id of the event."""
    event_type: str
    """Type of the event."""
    attempt: Annotated[int, Field(ge=0)]
    """How often it was tried."""
    status: Literal["pending", "delivered", "failed"]
    """pending: it is tried again."""
    response_code: int | None
    """HTTP status."""
    response_body: str | None
    """Beginning of the answer."""
    error_message: str | None
    """What went wrong."""
    triggered_at: _Moment
    """When it was last tried, UTC."""
    next_retry_at: _Offset | None
    """When it is tried again."""
    created_at: _Offset
    """When it was first recorded."""
    delivered_at: _Offset | None
    """When it succeeded."""


class Dispatches(_Shape):
    """A part of the log, the newest first."""

    deliveries: list[DispatchRow]
