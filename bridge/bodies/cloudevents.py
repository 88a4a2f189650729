"""CloudEvents 1.0 over HTTP, structured and binary mode.

Source: CloudEvents specification, JSON event format, and HTTP protocol binding. An event that arrived as a CloudEvent
keeps its attributes, extensions included. For other events `id` is the `webhook-id`, the same for all attempts,
`source` is `/amqp-bridge/` and the name of the bridge's source, and `time` is the publisher's, else the time of
receipt.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from bridge.bodies.body import JSON, Body, content_type, has_data, plain_body, plain_type, raw, whole_body
from bridge.bodies.exact import table_text, to_json, unbuildable
from bridge.bodies.profiles import moment_of, zulu
from bridge.core.delivery import Answer
from bridge.core.event import Event
from bridge.formats.cloudevents import attributes_of, is_structured

STRUCTURED = "application/cloudevents+json"

_BYTES = "application/octet-stream"
_NOT_ATTRIBUTES = frozenset({"data", "data_base64", "datacontenttype"})
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
# All visible characters but the quote and the percent sign
_SAFE = "!#$&'()*+,/:;<=>?@[\\]^`{|}"


def structured(event: Event) -> Body | Answer:
    """Returns the event as one JSON object; an event that arrived in structured mode is unchanged, byte for byte."""
    if _envelope(event) is not None:
        sent = raw(event)
        own = sent.content_type.lower().startswith(STRUCTURED)
        return sent if own else sent._replace(content_type=STRUCTURED)
    attributes, kind = _attributes(event), plain_type(event)
    fields = _known(event) | {name: _json_value(value) for name, value in attributes.items()}
    is_json = has_data(event) and (event.format != "cloudevents" or _is_json(kind))
    # In other formats the data are a part of the body, and always JSON
    fields["datacontenttype"] = JSON if is_json and event.format != "cloudevents" else kind
    if is_json:
        fields["data"] = event.data
    elif content := plain_body(event):
        fields["data_base64"] = b64encode(content).decode()
    made = to_json(fields)
    return made if isinstance(made, Answer) else Body(made, STRUCTURED)


def binary(event: Event) -> Body | Answer:
    """Returns the data as body, with their content type, and the attributes in headers `ce-*`."""
    if (envelope := _envelope(event)) is not None:
        attributes = _own(envelope)
        body = _data_of(envelope)
    else:
        attributes = _attributes(event)
        # Data that are a part of the body have no bytes of their own
        body = (
            raw(event)
            if event.format in ("cloudevents", "json") or not has_data(event)
            else _serialised(event.data)
        )
    if isinstance(body, Answer):
        return body
    return body._replace(headers=_headers(_known(event) | attributes))


def header_value(text: str) -> str:
    """Returns the attribute as a header value: all but visible ASCII, `"` and `%` are percent-encoded."""
    return quote(text.encode("utf-8", "backslashreplace"), safe=_SAFE)


def _envelope(event: Event) -> dict[str, Any] | None:
    """Returns the message's structured CloudEvent, if it is one."""
    if event.format != "cloudevents":
        return None
    whole = whole_body(event)
    return whole if isinstance(whole, dict) and is_structured(whole, event.message) else None


def _attributes(event: Event) -> dict[str, Any]:
    return _own(attributes_of(event.message.headers)) if event.format == "cloudevents" else {}


def _own(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in attributes.items() if name not in _NOT_ATTRIBUTES and value is not None
    }


def _known(event: Event) -> dict[str, Any]:
    """Returns the required attributes, and a time, unless the event arrived as a CloudEvent without one."""
    fields = {
        "specversion": "1.0",
        "id": event.webhook_id or event.id,
        "source": f"/amqp-bridge/{event.source}",
        "type": event.type,
    }
    if event.format != "cloudevents":
        told = event.time is not None and _TIME.fullmatch(event.time)
        fields["time"] = event.time if event.time and told else zulu(moment_of(event))
    return fields


def _data_of(envelope: Mapping[str, Any]) -> Body | Answer:
    kind = envelope.get("datacontenttype")
    declared = content_type(kind) if isinstance(kind, str) else None
    if "data" not in envelope:
        encoded = envelope.get("data_base64")
        if encoded is None:
            return Body(b"", declared or JSON)
        try:
            return Body(b64decode(encoded, validate=True), declared or _BYTES)
        except (TypeError, ValueError, binascii.Error):
            return unbuildable("`data_base64` of the CloudEvent is no base64; choose `body: raw`")
    data = envelope["data"]
    if isinstance(data, str) and not _is_json(declared):
        return Body(data.encode("utf-8", "backslashreplace"), declared or JSON)
    return _serialised(data, declared or JSON)


def _serialised(data: Any, kind: str = JSON) -> Body | Answer:
    content = to_json(data)
    return content if isinstance(content, Answer) else Body(content, kind)


def _headers(attributes: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"ce-{name.lower()}", header_value(_text(value)))
        for name, value in attributes.items()
        if _NAME.fullmatch(name) and value is not None
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray, datetime)):
        return table_text(value) or ""
    made = to_json(value)
    return "" if isinstance(made, Answer) else made.decode()


def _json_value(value: Any) -> Any:
    """Returns the JSON value of an attribute: whole numbers and booleans as such, everything else as text."""
    return value if isinstance(value, (bool, int)) else _text(value)


def _is_json(kind: str | None) -> bool:
    media = (kind or JSON).partition(";")[0].strip().lower()
    return media.endswith(("/json", "+json"))
