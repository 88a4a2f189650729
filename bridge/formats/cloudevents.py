"""CloudEvents 1.0: structured, a batch of those, or binary with the attributes in headers.

Source: CloudEvents JSON format and AMQP protocol binding. The binding is written for AMQP 1.0, where attributes
are `cloudEvents:id` or `cloudEvents_id`; with HTTP in between they arrive as `ce-id`, by other senders as `ce_id`.
The source and the id together name an event.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.parse import singles
from bridge.formats.text import from_value, text_of

CONTENT_TYPE = "application/cloudevents"
"""How the content types of the structured form and of batches begin."""
_PREFIXES = ("cloudevents:", "cloudevents_", "ce-", "ce_")
CLOUDEVENTS_HEADERS = frozenset(prefix + "specversion" for prefix in _PREFIXES)
CLOUDEVENTS_KEYS = frozenset({"specversion"})
_NEEDED = ("specversion", "type", "source", "id")
_DATA = frozenset({"data", "data_base64"})
_BATCH = re.compile(re.escape(CONTENT_TYPE) + "-batch", re.IGNORECASE)


def has_cloudevents_headers(_data: Any, _message: Message) -> bool:
    """Always: the header that names the version is enough."""
    return True


def is_cloudevents_body(data: Any) -> bool:
    """Whether all that a CloudEvent must have is there as text, in the body or in each one of a list."""
    if isinstance(data, list):
        return bool(data) and all(_is_event(item) for item in data)
    return _is_event(data)


def _is_event(data: Any) -> bool:
    return isinstance(data, dict) and all(isinstance(data.get(name), str) for name in _NEEDED)


def read_cloudevents(data: Any, message: Message, timezone: ZoneInfo) -> Decoded:
    """Type, id, time and data; data in base64 stay that text, those of the binary form are the whole body."""
    if isinstance(data, dict) and is_structured(data, message):
        return _structured(data, timezone)
    return _decoded(attributes_of(message.headers), data, timezone)


def split(data: Any, message: Message) -> Sequence[Message] | None:
    """The events of a batch; one that is empty is a single message."""
    if not isinstance(data, list) or not data:
        return None
    declared = (message.content_type or "").strip()
    if _BATCH.match(declared):
        return singles(message, _BATCH.sub(CONTENT_TYPE, declared, count=1))
    return singles(message, f"{CONTENT_TYPE}+json") if is_cloudevents_body(data) else None


def is_structured(data: Mapping[str, Any], message: Message) -> bool:
    """Whether the object that a CloudEvent's body is holds the attributes, and not only the data."""
    if (message.content_type or "").strip().lower().startswith(CONTENT_TYPE):
        return True
    return "specversion" in data and "specversion" not in attributes_of(message.headers)


def attributes_of(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a binary CloudEvent under their own names, in lower case, by the alphabet of the headers.

    The tables of AMQP have no order, and those of copies are sorted: every attempt is to tell the same.
    """
    found: dict[str, Any] = {}
    for name, value in sorted(headers.items()):
        lower = name.lower()
        for prefix in _PREFIXES:
            if lower.startswith(prefix):
                found[lower.removeprefix(prefix)] = value
    return found


def all_attributes(data: Any, message: Message) -> dict[str, Any]:
    """All attributes, extensions among them, of a CloudEvent in either form."""
    if isinstance(data, dict) and is_structured(data, message):
        return {name: value for name, value in data.items() if name not in _DATA}
    found = attributes_of(message.headers)
    if message.content_type and "datacontenttype" not in found:
        found["datacontenttype"] = message.content_type
    return found


def envelope(data: Any, message: Message) -> Any:
    """The event in the structured form, whichever it came in."""
    if isinstance(data, dict) and is_structured(data, message):
        return data
    return all_attributes(data, message) | {"data": data}


def _structured(data: dict[str, Any], timezone: ZoneInfo) -> Decoded:
    return _decoded(data, data["data"] if "data" in data else data.get("data_base64"), timezone)


def _decoded(attributes: Mapping[str, Any], data: Any, timezone: ZoneInfo) -> Decoded:
    own_id = text_of(attributes.get("id"))
    return Decoded(
        type=text_of(attributes.get("type")),
        data=data,
        time=from_value(attributes.get("time"), timezone),
        publisher_id=(text_of(attributes.get("source")) or "") + own_id if own_id else None,
    )
