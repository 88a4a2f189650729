"""Bodies in a system's own shape, for its receivers: whatever the event came in as.

An event that came in the system's own format goes on as it is, byte for byte. Sources: each system's documentation
and, where it is open, its code (Splynx hooks, Phlix `src/Webhooks`, Plinqx webhooks, Cockpit v1 webhooks).
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bridge.model.delivery import Answer
from bridge.model.event import Event
from bridge.rules.bodies.body import JSON, Body, Build, has_data, plain_body, raw, whole_body, why_no_data
from bridge.rules.bodies.spelling import php_json, to_json, unbuildable
from bridge.rules.codings.plain import is_plain
from bridge.rules.formats.forms import is_form
from bridge.rules.formats.parse import parse

_OPENING = re.compile(rb"\s*\{")
_TYPE_FIRST = re.compile(rb'\s*\{\s*"type"\s*:\s*("[^"\\]*"|null)\s*[,}]')
_EMPTY = frozenset({b'""', b"null"})
_ESCAPED_LETTER = re.compile(rb"\\u00[67]")
_NAMED = {"type": "event"}

Spell = Callable[[Any], bytes | Answer]


def splynx(event: Event) -> Body | Answer:
    """The message's own bytes, with `type` named where it is empty: Splynx's queues leave it so, its webhooks do
    not, and its receivers refuse what has none.
    """
    sent = raw(event)
    if _has_one_type(event) and (first := _TYPE_FIRST.match(event.message.body)):
        return sent._replace(content=_named(first)) if first[1] in _EMPTY else sent
    if is_form(event.message.content_type) and parse(plain_body(event)) is None:
        return sent
    envelope = whole_body(event)
    if not lacks_type(envelope, event.format):
        return sent
    content = _spliced(plain_body(event), envelope) or php_json(with_type(envelope, event.format))
    return content if isinstance(content, Answer) else Body(content, sent.content_type)


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


def lacks_type(envelope: Any, form: str) -> bool:
    """Whether `type` is empty as PHP understands it: empty text or null, or missing in an envelope of Splynx's."""
    if not isinstance(envelope, dict):
        return False
    return envelope.get("type") in ("", None) and (
        "type" in envelope or (form == "splynx" and "data" in envelope)
    )


def with_type(envelope: Any, form: str) -> Any:
    """The envelope with `type` named where it is empty, in its place or else first."""
    if not lacks_type(envelope, form):
        return envelope
    return envelope | _NAMED if "type" in envelope else _NAMED | envelope


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
    if event.message.body and not has_data(event):
        return unbuildable(f"{why_no_data(event)}, so profile {name} has no data to wrap; choose `body: raw`")
    content = spell(fields(event))
    return content if isinstance(content, Answer) else Body(content, JSON)


def _phlix(event: Event) -> dict[str, Any]:
    # PHP has one kind of array, and writes an empty one as a list
    payload = [] if event.data in (None, {}) else event.data
    at = moment_of(event).isoformat(timespec="seconds")
    return {"event_type": event.type, "payload": payload, "occurred_at": at}


def _plinqx(event: Event) -> dict[str, Any]:
    data = {} if event.data is None else event.data
    return {"event": event.type, "timestamp": zulu(moment_of(event)), "data": data, "metadata": {}}
