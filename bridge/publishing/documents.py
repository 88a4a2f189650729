"""Messages that are published through the API."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints

from bridge.http.documents import ClosedDocument

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=255)]
"""What AMQP's short strings hold, 255 bytes."""


class PropertiesBody(ClosedDocument):
    """AMQP properties; what re-routes a message or makes it vanish cannot be given."""

    content_type: ShortText | None = None
    """Default: application/json with `data`, else none."""
    content_encoding: ShortText | None = None
    """Such as gzip."""
    correlation_id: ShortText | None = None
    """As the publisher likes."""
    message_id: ShortText | None = None
    """The publisher's own id; default: one is made."""
    app_id: ShortText | None = None
    """As the publisher likes."""
    type: ShortText | None = None
    """The event type, where the source's format does not find one in the body."""
    reply_to: ShortText | None = None
    """Queue that whoever handles the message answers to; a queue target passes it on."""
    priority: Annotated[int, Field(ge=0, le=255)] | None = None
    """As the publisher likes; a queue target passes it on."""
    timestamp: AwareDatetime | None = None
    """When it was published; default: now."""


class WithBody(ClosedDocument):
    """What may tell the body of a message."""

    data: Any = None
    """The body, any JSON."""
    body: str | None = None
    """The body as text."""
    body_base64: Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})] | None = None
    """The body's bytes."""

    def given(self) -> list[str]:
        """Which of the three ways to say the body there are."""
        return [name for name in ("data", "body", "body_base64") if name in self.model_fields_set]


class PublishBody(WithBody):
    """A message for a source, with `data`, `body` or `body_base64`."""

    source: str | None = None
    """Name of the source; may be missing where there is only one."""
    type: ShortText | None = None
    """The property `type`."""
    content_type: ShortText | None = None
    """The property `content_type`."""
    message_id: ShortText | None = None
    """The property `message_id`."""
    headers: dict[str, Any] = Field(default_factory=dict, max_length=1000)
    """AMQP headers; names of the broker and of the bridge (x-death, x-bridge-..., CC, BCC) are refused."""
    properties: PropertiesBody = PropertiesBody()
    """Further properties."""

    @property
    def published_at(self) -> datetime | None:
        """The moment that was given."""
        return self.properties.timestamp


class RequeueBody(WithBody):
    """What is corrected of a message before it goes back, and nothing where it goes back as it came."""

    type: ShortText | None = None
    """The property `type`: what the event is, where the source's format does not find it in the body."""
    content_type: ShortText | None = None
    """The property `content_type`."""
    content_encoding: ShortText | None = None
    """The property `content_encoding`; where the body is given and this is not, there is none."""
    headers: dict[str, Any] = Field(default_factory=dict, max_length=1000)
    """Headers that are added or replaced; null takes one away. The others stay."""
    dry_run: bool = False
    """true: tell what the source would make of it, and change nothing."""


class PublishedDocument(ClosedDocument):
    """What the broker confirmed."""

    source: str
    """Name of the source."""
    queue: str
    """The queue that holds the message."""
    message_id: str
    """Its id; the event's `publisher_id`."""
