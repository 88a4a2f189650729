"""What a receiver gets: the publisher's bytes untouched, or JSON made of the decoded event."""

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
    """What goes on the wire; `headers` are further ones that the body brings along."""

    content: bytes
    content_type: str
    content_encoding: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


Build = Callable[[Event], Body | Answer]
"""Makes a body; what cannot be built is a lasting Answer with fault CONTENT."""


def raw(event: Event) -> Body:
    """The message's own bytes, with the content type that it came with or one that fits."""
    labels = labels_of(event.message)
    kind = content_type(labels.content_type) or (JSON if has_data(event) else "application/octet-stream")
    return Body(sent_body(event), kind, labels.content_encoding)


def sent_body(event: Event) -> bytes:
    """The message's own bytes; of a value of AMQP 1.0 what its sender gave, and not how the broker's plugin packed it."""
    return event.message.body if event.message.type != SECTION else plain_body(event)


def data(event: Event) -> Body | Answer:
    """The event's data alone, as JSON."""
    if not has_data(event):
        return unbuildable(f"{why_no_data(event)}, so there is no data to send; choose `body: raw`")
    content = to_json(event.data)
    return content if isinstance(content, Answer) else Body(content, JSON)


def whole_event(event: Event) -> Body | Answer:
    """The object of `event_json`."""
    content = event_json(event)
    return content if isinstance(content, Answer) else Body(content, JSON)


def event_json(event: Event) -> bytes | Answer:
    """`{"id", "type", "source", "time", "data", "identity"}` of the event as JSON.

    A body that is not JSON stands as base64 in `data_base64`, as CloudEvents does it, in place of `data`; so do the
    data of a CloudEvent that has it like that.
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
    """`data` or `data_base64`, and what stands there."""
    if _is_encoded(event):
        return "data_base64", event.data
    if has_data(event):
        return "data", event.data
    return "data_base64", b64encode(plain_body(event)).decode()


def has_data(event: Event) -> bool:
    """Whether the event's data is known; `null`, alone or in an envelope, is data too."""
    if event.data is not None:
        return True
    if event.data_fault:
        return False
    if plain_body(event).strip() == b"null":
        return True
    return event.format != "json" and whole_body(event) is not None


def why_no_data(event: Event) -> str:
    """What to say where `has_data` does not hold."""
    return event.data_fault or "the body is not JSON"


def plain_body(event: Event) -> bytes:
    """The message's body without its content coding, as far as that can be undone."""
    plain = plain_of(event.message, MAX_INFLATED).body
    return event.message.body if plain is None else plain


def plain_type(event: Event) -> str:
    """The content type that fits `plain_body`."""
    kind = raw(event).content_type
    return without_charset(kind) if labels_of(event.message).charset else kind


def whole_body(event: Event) -> Any:
    """What the message's body says as JSON, envelope included; None where it is not JSON."""
    if event.parsed is not None:
        return event.parsed
    return read_body(event.message).parsed


def _is_encoded(event: Event) -> bool:
    """Whether the data are the `data_base64` of a structured CloudEvent."""
    if event.format != "cloudevents" or not isinstance(event.data, str):
        return False
    whole = whole_body(event)
    return isinstance(whole, dict) and "data" not in whole and whole.get("data_base64") == event.data


@lru_cache(maxsize=256)
def content_type(value: str | None) -> str | None:
    """The content type of a message where it can stand in a header."""
    return value.strip() if value and _CONTENT_TYPE.fullmatch(value.strip()) else None


# What a script reads from its standard input.


def script_input(kind: str) -> Callable[[Event], bytes | Answer]:
    """The function that makes what a script reads whose setting `stdin` is `kind`.

    `body` is the message's own bytes, `event` one line with the object of `event_json`, `data` one line with
    the event's data. Of a Splynx event that is its inner `data` in the spelling of PHP, which is what Splynx
    hands to its own scripts. What cannot be made is a lasting Answer. Raises ValueError for another kind.
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
