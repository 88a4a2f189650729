"""Bodies in a system's own format, for its receivers, regardless of the event's original format; and CloudEvents.

An event that arrived in the system's format is forwarded unchanged. Sources: each system's documentation and, where it
is open, its code (Splynx hooks, Phlix `src/Webhooks`, Plinqx webhooks, Cockpit v1 webhooks).
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from bridge.bodies.body import (
    JSON,
    Body,
    Build,
    content_type,
    has_data,
    plain_body,
    plain_type,
    raw,
    whole_body,
    why_no_data,
)
from bridge.bodies.exact import php_json, table_text, to_json, unbuildable
from bridge.codings.labels import is_plain
from bridge.core.delivery import Answer
from bridge.core.event import Event
from bridge.formats.cloudevents import attributes_of, is_structured
from bridge.formats.forms import is_form
from bridge.formats.parse import parse

_OPENING = re.compile(rb"\s*\{")
_TYPE_FIRST = re.compile(rb'\s*\{\s*"type"\s*:\s*("[^"\\]*"|null)\s*[,}]')
_EMPTY = frozenset({b'""', b"null"})
_ESCAPED_LETTER = re.compile(rb"\\u00[67]")
_NAMED = {"type": "event"}

Spell = Callable[[Any], bytes | Answer]


def splynx(event: Event) -> Body | Answer:
    """Returns a Splynx envelope as Splynx's webhooks send it, `{"type":"event","data"}` around the data of other
    events.

    In an envelope only an empty `type` is filled in: Splynx's queues leave it empty, its webhooks do not, and its
    receivers reject an empty one. They also compare the content type literally.
    """
    if event.format == "splynx" and _has_one_type(event) and (first := _TYPE_FIRST.match(event.message.body)):
        return Body(_named(first) if first[1] in _EMPTY else event.message.body, JSON)
    envelope = whole_body(event)
    if not is_envelope(envelope, event.format):
        return _wrapped(event, "splynx", php_json, lambda event: {**_NAMED, "data": event.data})
    content = plain_body(event)
    if is_form(event.message.content_type) and parse(content) is None:
        return _json(php_json(with_type(envelope)))
    if not _lacks_type(envelope):
        return Body(content, JSON)
    return _json(_spliced(content, envelope) or php_json(with_type(envelope)))


def splynx_raw(event: Event) -> Body:
    """Returns the message's bytes; JSON gets the one content type that Splynx's receivers accept."""
    sent = raw(event)
    return sent if is_form(sent.content_type) or not has_data(event) else sent._replace(content_type=JSON)


def _has_one_type(event: Event) -> bool:
    """Returns whether the body is JSON with exactly one key `type`, escaped or not.

    Then the bytes show the envelope's type, at a tenth of the cost of parsing them for each attempt.
    """
    message = event.message
    return (
        event.data is not None
        and is_plain(message)
        and not is_form(message.content_type)
        and message.body.count(b'"type"') == 1
        and not _ESCAPED_LETTER.search(message.body)
    )


def is_envelope(whole: Any, form: str) -> bool:
    """Returns whether this is a Splynx envelope: an object of its shape, or with a type in Splynx's format."""
    if not isinstance(whole, dict):
        return False
    if form == "splynx":
        return "type" in whole or "data" in whole
    if whole.get("type", 0) in ("event", "", None):
        return "data" in whole or "call" in whole
    return whole == {"type": "ping"}


def with_type(envelope: dict[str, Any]) -> dict[str, Any]:
    """Returns the envelope with an empty `type` filled in, in its place or else first."""
    if not _lacks_type(envelope):
        return envelope
    return envelope | _NAMED if "type" in envelope else _NAMED | envelope


def _lacks_type(envelope: Mapping[str, Any]) -> bool:
    """Returns whether `type` is missing, or empty in PHP's sense: empty text or null."""
    return envelope.get("type") in ("", None)


def _spliced(content: bytes, envelope: dict[str, Any]) -> bytes | None:
    """Returns the envelope's bytes with `type` filled in, all others unchanged; None if `type` is not first."""
    if "type" not in envelope:
        opening = _OPENING.match(content)
        return opening and opening[0] + b'"type":"event",' + content[opening.end() :]
    first = _TYPE_FIRST.match(content)
    if not first or first[1] not in _EMPTY:
        return None
    spliced = _named(first)
    # The last of duplicate keys counts
    return spliced if parse(spliced)["type"] == "event" else None


def _named(first: re.Match[bytes]) -> bytes:
    start, end = first.span(1)
    return first.string[:start] + b'"event"' + first.string[end:]


def phlix(event: Event) -> Body | Answer:
    """Returns `{"event_type", "payload", "occurred_at"}` in PHP's encoding."""
    return _own(event, "phlix", php_json, _phlix)


def plinqx(event: Event) -> Body | Answer:
    """Returns `{"event", "timestamp", "data", "metadata"}`, compact."""
    return _own(event, "plinqx", to_json, _plinqx)


def standard(event: Event) -> Body | Answer:
    """Returns `{"type", "timestamp", "data"}`, compact, as recommended by Standard Webhooks."""
    return _own(event, "standard", to_json, _standard)


def cockpit(hook: str) -> Build:
    """Returns the builder of `{"event", "hook", "backend", "args"}` in PHP's encoding; `hook` is the hook's name."""

    def fields(event: Event) -> dict[str, Any]:
        args = event.data if isinstance(event.data, list) else [event.data]
        return {"event": event.type, "hook": hook, "backend": 0, "args": args if event.message.body else []}

    return lambda event: _own(event, "cockpit", php_json, fields)


def moment_of(event: Event) -> datetime:
    """Returns the event's time in UTC: the publisher's, else the time of receipt."""
    try:
        moment = datetime.fromisoformat(event.time or "")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(event.received_at, UTC)


def zulu(moment: datetime) -> str:
    """Returns RFC 3339 with `Z`: whole seconds, or milliseconds if there are any."""
    text = moment.isoformat(timespec="milliseconds").removesuffix("+00:00")
    return text.removesuffix(".000") + "Z"


def _own(event: Event, name: str, spell: Spell, fields: Callable[[Event], dict[str, Any]]) -> Body | Answer:
    if event.format == name:
        return raw(event)
    return _wrapped(event, name, spell, fields)


def _wrapped(
    event: Event, name: str, spell: Spell, fields: Callable[[Event], dict[str, Any]]
) -> Body | Answer:
    if event.message.body and not has_data(event):
        return unbuildable(f"{why_no_data(event)}, so profile {name} has no data to wrap; choose `body: raw`")
    return _json(spell(fields(event)))


def _json(content: bytes | Answer) -> Body | Answer:
    return content if isinstance(content, Answer) else Body(content, JSON)


def _phlix(event: Event) -> dict[str, Any]:
    # PHP has one type of array and serializes an empty one as a list
    payload = [] if event.data in (None, {}) else event.data
    at = moment_of(event).isoformat(timespec="seconds")
    return {"event_type": event.type, "payload": payload, "occurred_at": at}


def _standard(event: Event) -> dict[str, Any]:
    return {"type": event.type, "timestamp": zulu(moment_of(event)), "data": event.data}


def _plinqx(event: Event) -> dict[str, Any]:
    data = {} if event.data is None else event.data
    return {"event": event.type, "timestamp": zulu(moment_of(event)), "data": data, "metadata": {}}


# CloudEvents 1.0 over HTTP, structured and binary mode.
# Source: CloudEvents specification, JSON event format, and HTTP protocol binding. An event that arrived as a CloudEvent keeps
# its attributes, extensions included. For other events `id` is the `webhook-id`, the same for all attempts, `source` is
# `/amqp-bridge/` and the name of the bridge's source, and `time` is the publisher's, else the time of receipt.


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
        attributes = _own_attributes(envelope)
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
    return _own_attributes(attributes_of(event.message.headers)) if event.format == "cloudevents" else {}


def _own_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
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
