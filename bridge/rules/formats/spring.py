"""Spring AMQP with JSON, which names the Java class in a header, and Spring Cloud Stream, which names nothing.

Source: Spring AMQP reference, "Message converters"; Spring Cloud Stream adds the headers `contentType`, `id` and
`timestamp` (milliseconds). Java's serialised objects are never read.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.headers import by_lower_name
from bridge.rules.formats.moments import from_milliseconds, from_value
from bridge.rules.formats.text import text_of

SERIALISED = "application/x-java-serialized-object"
"""The content type of what Java serialised."""
HEADERS = frozenset({"__typeid__", "contenttype"})


def in_headers(_data: Any, message: Message) -> bool:
    """Whether the class or, spelled as Spring spells it, the content type is told."""
    return "contentType" in message.headers or text_of(message.headers.get("__TypeId__")) is not None


def read(data: Any, message: Message, timezone: ZoneInfo) -> Decoded:
    """The class as type, a time where Spring Cloud Stream tells one, the whole body as data."""
    headers = by_lower_name(message.headers)
    told = headers.get("timestamp")
    unread = "what Java serialised is never read" if _is_serialised(message.content_type) else ""
    return Decoded(
        type=text_of(headers.get("__typeid__")),
        data=None if unread else data,
        time=from_milliseconds(told) if isinstance(told, (int, float)) else from_value(told, timezone),
        unread=unread,
    )


def _is_serialised(content_type: str | None) -> bool:
    return content_type is not None and content_type.strip().lower().startswith(SERIALISED)
