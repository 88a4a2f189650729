"""Request bodies: the publisher's bytes unchanged, or JSON built from the decoded event."""

import re
from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from bridge.bodies.exact import php_json, to_json, unbuildable
from bridge.codings.amqp10 import SECTION
from bridge.codings.inflating import plain_of
from bridge.codings.labels import labels_of, without_charset
from bridge.core.delivery import Answer
from bridge.core.event import Event
from bridge.formats.parse import MAX_INFLATED
from bridge.formats.registry import read_body

JSON = "application/json"

_CONTENT_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[\x20-\x7e]+")


class Body(NamedTuple):
    """The body of a request; `headers` are additional headers that belong to it."""

    content: bytes
    content_type: str
    content_encoding: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


Build = Callable[[Event], Body | Answer]
"""The function that builds a body, or returns a permanent Answer with fault CONTENT."""


def raw(event: Event) -> Body:
    """Returns the message's bytes, with its content type or a suitable one."""
    labels = labels_of(event.message)
    kind = content_type(labels.content_type) or (JSON if has_data(event) else "application/octet-stream")
    return Body(sent_body(event), kind, labels.content_encoding)


def sent_body(event: Event) -> bytes:
    """Returns the message's bytes; of an AMQP 1.0 value the sender's value, without the broker plugin's encoding."""
    return event.message.body if event.message.type != SECTION else plain_body(event)


def data(event: Event) -> Body | Answer:
    """Returns the event's data alone, as JSON."""
    if not has_data(event):
        return unbuildable(f"{why_no_data(event)}, so there is no data to send; choose `body: raw`")
    content = to_json(event.data)
    return content if isinstance(content, Answer) else Body(content, JSON)


def whole_event(event: Event) -> Body | Answer:
    """Returns the JSON object of `event_json`."""
    content = event_json(event)
    return content if isinstance(content, Answer) else Body(content, JSON)


def event_json(event: Event) -> bytes | Answer:
    """Returns `{"id", "type", "source", "time", "data", "identity"}` of the event as JSON.

    A body that is not JSON is in `data_base64`, as in CloudEvents, in place of `data`; so are the data of a CloudEvent
    that arrived with `data_base64`.
    """
    fields: dict[str, Any] = {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "time": event.time,
    }
    key, content = data_member(event)
    fields[key] = content
    fields["identity"] = event.identity
    return to_json(fields)


def data_member(event: Event) -> tuple[str, Any]:
    """Returns the key, `data` or `data_base64`, and its value."""
    if _is_encoded(event):
        return "data_base64", event.data
    if has_data(event):
        return "data", event.data
    return "data_base64", b64encode(plain_body(event)).decode()


def has_data(event: Event) -> bool:
    """Returns whether the event's data are known; `null`, alone or in an envelope, is data too."""
    if event.data is not None:
        return True
    if event.data_fault:
        return False
    if plain_body(event).strip() == b"null":
        return True
    return event.format != "json" and whole_body(event) is not None


def why_no_data(event: Event) -> str:
    """Returns why the event has no data."""
    return event.data_fault or "the body is not JSON"


def plain_body(event: Event) -> bytes:
    """Returns the message's body decompressed, if possible."""
    plain = plain_of(event.message, MAX_INFLATED).body
    return event.message.body if plain is None else plain


def plain_type(event: Event) -> str:
    """Returns the content type of `plain_body`."""
    kind = raw(event).content_type
    return without_charset(kind) if labels_of(event.message).charset else kind


def whole_body(event: Event) -> Any:
    """Returns the message's body as JSON value, envelope included; None if it is not JSON."""
    if event.parsed is not None:
        return event.parsed
    return read_body(event.message).parsed


def _is_encoded(event: Event) -> bool:
    """Returns whether the data are the `data_base64` of a structured CloudEvent."""
    if event.format != "cloudevents" or not isinstance(event.data, str):
        return False
    whole = whole_body(event)
    return isinstance(whole, dict) and "data" not in whole and whole.get("data_base64") == event.data


@lru_cache(maxsize=256)
def content_type(value: str | None) -> str | None:
    """Returns the content type of a message, if it is valid in a header."""
    return value.strip() if value and _CONTENT_TYPE.fullmatch(value.strip()) else None


# The standard input of scripts.


def script_input(kind: str) -> Callable[[Event], bytes | Answer]:
    """Returns the function that builds the input of a script with this setting `stdin`.

    `body` is the message's bytes, `event` one line with the object of `event_json`, `data` one line with the event's
    data. For a Splynx event that is its inner `data` in PHP's JSON encoding, as Splynx passes to its own scripts. Data
    that cannot be serialized give a permanent Answer. Raises ValueError for another kind.
    """
    match kind:
        case "body":
            return sent_body
        case "event":
            return lambda event: _line(event_json(event))
        case "data":
            return lambda event: _line(_data(event))
    raise ValueError(f"{kind!r} is no kind of input")


def _data(event: Event) -> bytes | Answer:
    if not has_data(event):
        return unbuildable(f"{why_no_data(event)}, so there is no data to hand over; choose `stdin: body`")
    return php_json(event.data) if event.format == "splynx" else to_json(event.data)


def _line(text: bytes | Answer) -> bytes | Answer:
    return text if isinstance(text, Answer) else text + b"\n"
