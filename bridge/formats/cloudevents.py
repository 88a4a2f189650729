"""CloudEvents 1.0: structured mode, batches, or binary mode with the attributes in headers.

Source: CloudEvents JSON format and AMQP protocol binding. The binding is specified for AMQP 1.0, with attributes
`cloudEvents:id` or `cloudEvents_id`; over HTTP they arrive as `ce-id`, from other senders as `ce_id`. Source and id
together identify an event.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.parse import singles
from bridge.formats.text import from_value, text_of

CONTENT_TYPE = "application/cloudevents"
"""The prefix of the content types of structured mode and of batches."""
_PREFIXES = ("cloudevents:", "cloudevents_", "ce-", "ce_")
CLOUDEVENTS_HEADERS = frozenset(prefix + "specversion" for prefix in _PREFIXES)
CLOUDEVENTS_KEYS = frozenset({"specversion"})
_NEEDED = ("specversion", "type", "source", "id")
_DATA = frozenset({"data", "data_base64"})
_BATCH = re.compile(re.escape(CONTENT_TYPE) + "-batch", re.IGNORECASE)


def is_cloudevents_body(data: Any) -> bool:
    """Returns whether all required attributes are present as text, in the body or in each element of a list."""
    if isinstance(data, list):
        return bool(data) and all(_is_event(item) for item in data)
    return _is_event(data)


def _is_event(data: Any) -> bool:
    return isinstance(data, dict) and all(isinstance(data.get(name), str) for name in _NEEDED)


def read_cloudevents(data: Any, message: Message, timezone: ZoneInfo) -> Decoded:
    """Returns type, id, time and data; data in base64 stay encoded; in binary mode the data are the whole body."""
    if isinstance(data, dict) and is_structured(data, message):
        return _decoded(data, data["data"] if "data" in data else data.get("data_base64"), timezone)
    return _decoded(attributes_of(message.headers), data, timezone)


def split(data: Any, message: Message) -> Sequence[Message] | None:
    """Returns the messages of a batch; None for an empty batch, which is a single message."""
    if not isinstance(data, list) or not data:
        return None
    declared = (message.content_type or "").strip()
    if _BATCH.match(declared):
        return singles(message, _BATCH.sub(CONTENT_TYPE, declared, count=1))
    return singles(message, f"{CONTENT_TYPE}+json") if is_cloudevents_body(data) else None


def is_structured(data: Mapping[str, Any], message: Message) -> bool:
    """Returns whether the body holds the attributes, and not only the data."""
    if (message.content_type or "").strip().lower().startswith(CONTENT_TYPE):
        return True
    return "specversion" in data and "specversion" not in attributes_of(message.headers)


def attributes_of(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the attributes of binary mode by their lower-case names, sorted.

    AMQP tables are unordered, and those of copies are sorted: all attempts must send the same order.
    """
    found: dict[str, Any] = {}
    for name, value in sorted(headers.items()):
        lower = name.lower()
        for prefix in _PREFIXES:
            if lower.startswith(prefix):
                found[lower.removeprefix(prefix)] = value
    return found


def all_attributes(data: Any, message: Message) -> dict[str, Any]:
    """Returns all attributes, extensions included, of a CloudEvent in either mode."""
    if isinstance(data, dict) and is_structured(data, message):
        return {name: value for name, value in data.items() if name not in _DATA}
    found = attributes_of(message.headers)
    if message.content_type and "datacontenttype" not in found:
        found["datacontenttype"] = message.content_type
    return found


def envelope(data: Any, message: Message) -> Any:
    """Returns the event in structured mode."""
    if isinstance(data, dict) and is_structured(data, message):
        return data
    return all_attributes(data, message) | {"data": data}


def _decoded(attributes: Mapping[str, Any], data: Any, timezone: ZoneInfo) -> Decoded:
    own_id = text_of(attributes.get("id"))
    return Decoded(
        type=text_of(attributes.get("type")),
        data=data,
        time=from_value(attributes.get("time"), timezone),
        publisher_id=(text_of(attributes.get("source")) or "") + own_id if own_id else None,
    )
