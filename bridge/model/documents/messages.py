"""Messages as they were published, and those that could not be handled."""

from typing import Annotated, Any

from pydantic import Field

from bridge.model.documents.shape import Closed, UtcMoment
from bridge.model.strict import Strict


class MessageDocument(Closed):
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


class QuarantinedInList(Closed):
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


class QuarantinedAlone(QuarantinedInList, MessageDocument):
    """A message in quarantine, whole."""

    body_base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
    """Its bytes."""
    body_text: str | None
    """The same as text, where it is UTF-8."""


class RequeuedDocument(Closed):
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


class AskedQuarantine(Strict):
    """Which messages in quarantine: those that every given field fits."""

    source: str | None = Field(default=None, min_length=1, max_length=64)
    """Where they came from."""
    reason: str | None = Field(default=None, min_length=1, max_length=64)
    """Why they could not be handled, as one word."""


class RequeuedManyDocument(Closed):
    """What became of many messages that were to go back."""

    requeued: int
    """How many are in their queues again."""
    kept: int
    """How many cannot go back, and stay."""
    error: str | None
    """Why the first of these cannot."""
    more: bool
    """true: the time was over before they were all seen to; ask again."""


class DroppedManyDocument(Closed):
    """What became of many messages that were to be dropped."""

    dropped: int
    """How many are deleted."""
    more: bool
    """true: the time was over before they were all deleted; ask again."""
