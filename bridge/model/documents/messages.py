"""Messages as they were published, and those that could not be handled."""

from typing import Annotated, Any

from pydantic import Field

from bridge.model.documents.shape import Closed, UtcMoment


class MessageDocument(Closed):
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
