"""Bodies in a system's own shape, for its receivers: whatever the event came in as.

An event that came in the system's own format goes on as it is, byte for byte. Sources: each system's documentation
and, where it is open, its code (Splynx hooks, Phlix `src/Webhooks`, Plinqx webhooks, Cockpit v1 webhooks).
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.bodies.body import JSON, Body, Build, has_data, plain_body, raw, whole_body, why_no_data
from bridge.bodies.exact import php_json, to_json, unbuildable
from bridge.codings.inflating import is_plain
from bridge.core.delivery import Answer
from bridge.core.event import Event
from bridge.formats.forms import is_form
from bridge.formats.parse import parse

_OPENING = re.compile(rb"\s*\{")
_TYPE_FIRST = re.compile(rb'\s*\{\s*"type"\s*:\s*("[^"\\]*"|null)\s*[,}]')
_EMPTY = frozenset({b'""', b"null"})
_ESCAPED_LETTER = re.compile(rb"\\u00[67]")
_NAMED = {"type": "event"}

Spell = Callable[[Any], bytes | Answer]


def splynx(event: Event) -> Body | Answer:
    """A Splynx envelope as Splynx's webhooks send it, `{"type":"event","data"}` around any other event's data.

    Of an envelope only an empty `type` is named: Splynx's queues leave it so, its webhooks do not, and its receivers
    refuse what has none. They also compare the content type letter for letter.
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
    """The message's own bytes, told as JSON where they are, in the one spelling that Splynx's receivers know."""
    sent = raw(event)
    return sent if is_form(sent.content_type) or not has_data(event) else sent._replace(content_type=JSON)


def _has_one_type(event: Event) -> bool:
    """Whether the body is JSON in which the name `type` stands but once, however names may be escaped.

    Then the bytes tell what the envelope's type is, at a tenth of what it costs to parse them on every attempt.
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
    """Whether this is what Splynx sends: any object with a type of Splynx's format, or what looks like its own."""
    if not isinstance(whole, dict):
        return False
    if form == "splynx":
        return "type" in whole or "data" in whole
    if whole.get("type", 0) in ("event", "", None):
        return "data" in whole or "call" in whole
    return whole == {"type": "ping"}


def with_type(envelope: dict[str, Any]) -> dict[str, Any]:
    """The envelope with `type` named where it is empty, in its place or else first."""
    if not _lacks_type(envelope):
        return envelope
    return envelope | _NAMED if "type" in envelope else _NAMED | envelope


def _lacks_type(envelope: Mapping[str, Any]) -> bool:
    """Whether `type` is missing, or empty as PHP understands it: empty text or null."""
    return envelope.get("type") in ("", None)


def _spliced(content: bytes, envelope: dict[str, Any]) -> bytes | None:
    """The envelope's bytes with `type` named and every other byte as it was, where Splynx wrote them: it writes
    `type` first.
    """
    if "type" not in envelope:
        opening = _OPENING.match(content)
        return opening and opening[0] + b'"type":"event",' + content[opening.end() :]
    first = _TYPE_FIRST.match(content)
    if not first or first[1] not in _EMPTY:
        return None
    spliced = _named(first)
    # Of two keys of one name the last counts
    return spliced if parse(spliced)["type"] == "event" else None


def _named(first: re.Match[bytes]) -> bytes:
    start, end = first.span(1)
    return first.string[:start] + b'"event"' + first.string[end:]


def phlix(event: Event) -> Body | Answer:
    """`{"event_type", "payload", "occurred_at"}` in the spelling of PHP."""
    return _own(event, "phlix", php_json, _phlix)


def plinqx(event: Event) -> Body | Answer:
    """`{"event", "timestamp", "data", "metadata"}`, compact."""
    return _own(event, "plinqx", to_json, _plinqx)


def standard(event: Event) -> Body | Answer:
    """`{"type", "timestamp", "data"}`, compact, as Standard Webhooks recommends it."""
    return _own(event, "standard", to_json, _standard)


def cockpit(hook: str) -> Build:
    """The maker of `{"event", "hook", "backend", "args"}` in the spelling of PHP; `hook` is the hook's name."""

    def fields(event: Event) -> dict[str, Any]:
        args = event.data if isinstance(event.data, list) else [event.data]
        return {"event": event.type, "hook": hook, "backend": 0, "args": args if event.message.body else []}

    return lambda event: _own(event, "cockpit", php_json, fields)


def moment_of(event: Event) -> datetime:
    """When it happened, in UTC: as the publisher told, else when the bridge received it."""
    try:
        moment = datetime.fromisoformat(event.time or "")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(event.received_at, UTC)


def zulu(moment: datetime) -> str:
    """RFC 3339 with `Z`: whole seconds, or milliseconds where there are any."""
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
    # PHP has one kind of array, and writes an empty one as a list
    payload = [] if event.data in (None, {}) else event.data
    at = moment_of(event).isoformat(timespec="seconds")
    return {"event_type": event.type, "payload": payload, "occurred_at": at}


def _standard(event: Event) -> dict[str, Any]:
    return {"type": event.type, "timestamp": zulu(moment_of(event)), "data": event.data}


def _plinqx(event: Event) -> dict[str, Any]:
    data = {} if event.data is None else event.data
    return {"event": event.type, "timestamp": zulu(moment_of(event)), "data": data, "metadata": {}}
