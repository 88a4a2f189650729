"""What a receiver gets: the publisher's bytes untouched, or JSON made of the decoded event."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from bridge.model.delivery import Answer, Fault
from bridge.model.event import Event

_CONTENT_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[\x20-\x7e]+")
_CODINGS = frozenset({"br", "compress", "deflate", "gzip", "zstd"})
_SPLYNX_EMPTY_TYPE = re.compile(rb'(\s*\{\s*"type"\s*:\s*)""')
_JSON = "application/json"


class Body(NamedTuple):
    """What goes on the wire."""

    content: bytes
    content_type: str
    content_encoding: str | None = None


Build = Callable[[Event], Body | Answer]
"""Makes a body; what cannot be built is a lasting Answer with fault CONTENT."""


def builder(kind: str, profile: str = "none") -> Build:
    """The function that makes the bodies of a webhook whose setting `body` is `kind`.

    `raw` is the message's own bytes; with profile `splynx` an empty `type` becomes `event`, as Splynx's
    own webhooks have it. `data` is the parsed body, `event` the object of `event_json`.
    """
    match kind:
        case "raw":
            return _splynx if profile == "splynx" else _raw
        case "data":
            return _data
        case "event":
            return _event
    raise ValueError(f"{kind!r} is no kind of body")


def script_input(kind: str) -> Callable[[Event], bytes | Answer]:
    """The function that makes what a script reads whose setting `stdin` is `kind`.

    `body` is the message's own bytes, `event` one line with the object of `event_json`, `data` one line with
    the parsed body. Of a Splynx event that is its inner `data` in the spelling of PHP, which is what Splynx
    hands to its own scripts.
    """
    match kind:
        case "body":
            return lambda event: event.message.body
        case "event":
            return lambda event: _line(event_json(event))
        case "data":
            return lambda event: _line(_script_data(event))
    raise ValueError(f"{kind!r} is no kind of input")


def event_json(event: Event) -> bytes | Answer:
    """`{"id", "type", "source", "time", "data", "identity"}` of the event as JSON.

    A body that is not JSON stands as base64 in `data_base64`, as CloudEvents does it, in place of `data`.
    """
    fields: dict[str, Any] = {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "time": event.time,
    }
    if is_json(event):
        fields["data"] = event.data
    else:
        fields["data_base64"] = b64encode(event.message.body).decode()
    fields["identity"] = event.identity
    return to_json(fields)


def is_json(event: Event) -> bool:
    """Whether the body was parsed; `null` is JSON too."""
    return event.data is not None or event.message.body.strip() == b"null"


def to_json(value: Any) -> bytes | Answer:
    r"""Compact JSON; integers of any size and lone surrogates (as `\ud800`) keep their value."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # orjson refuses integers over 64 bits, lone surrogates and more than 254 levels.
        return _spelled_out(value)


def php_json(value: Any) -> bytes | Answer:
    r"""JSON as PHP's `json_encode` writes it: compact, `\/`, `\uXXXX`."""
    text = _spelled_out(value)
    return text.replace(b"/", b"\\/") if isinstance(text, bytes) else text


def _spelled_out(value: Any) -> bytes | Answer:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return _unbuildable(f"the event cannot be written as JSON: {error}")


def _unbuildable(error: str) -> Answer:
    return Answer(fault=Fault.CONTENT, error=error, lasting=True)


def _raw(event: Event) -> Body:
    message = event.message
    coding = message.content_encoding
    return Body(
        message.body,
        _content_type(message.content_type) or (_JSON if is_json(event) else "application/octet-stream"),
        # Many publishers put a character set here; only a real coding tells the receiver something.
        coding if coding in _CODINGS else None,
    )


@lru_cache(maxsize=256)
def _content_type(value: str | None) -> str | None:
    return value.strip() if value and _CONTENT_TYPE.fullmatch(value.strip()) else None


def _splynx(event: Event) -> Body | Answer:
    raw = _raw(event)
    data = event.data
    if not isinstance(data, dict) or data.get("type") != "" or raw.content_encoding:
        return raw
    content: bytes | Answer
    # Splynx writes `type` first: then one value is exchanged and every other byte stays.
    if opening := _SPLYNX_EMPTY_TYPE.match(raw.content):
        content = opening[1] + b'"event"' + raw.content[opening.end() :]
    else:
        content = php_json(data | {"type": "event"})
    if isinstance(content, Answer):
        return content
    return raw._replace(content=content)


def _data(event: Event) -> Body | Answer:
    if not is_json(event):
        return _unbuildable("the body is not JSON, so there is no data to send; choose `body: raw`")
    content = to_json(event.data)
    return content if isinstance(content, Answer) else Body(content, _JSON)


def _event(event: Event) -> Body | Answer:
    content = event_json(event)
    return content if isinstance(content, Answer) else Body(content, _JSON)


def _script_data(event: Event) -> bytes | Answer:
    if not is_json(event):
        return _unbuildable("the body is not JSON, so there is no data to hand over; choose `stdin: body`")
    if event.format != "splynx":
        return to_json(event.data)
    data = event.data
    return php_json(data["data"] if isinstance(data, dict) and "data" in data else data)


def _line(text: bytes | Answer) -> bytes | Answer:
    return text if isinstance(text, Answer) else text + b"\n"
