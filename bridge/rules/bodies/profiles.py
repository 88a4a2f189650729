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
from bridge.rules.bodies.body import JSON, Body, Build, has_data, raw, whole_body
from bridge.rules.bodies.spelling import php_json, to_json, unbuildable

_EMPTY_TYPE_FIRST = re.compile(rb'(\s*\{\s*"type"\s*:\s*)""')

Spell = Callable[[Any], bytes | Answer]


def splynx(event: Event) -> Body | Answer:
    """The message's own bytes, an empty `type` named `event`: Splynx's queues leave it empty, its webhooks do
    not, and its receivers refuse what has none.
    """
    sent = raw(event)
    if not lacks_type(envelope := whole_body(event)):
        return sent
    # Splynx writes `type` first: then one value is exchanged and every other byte stays.
    if (opening := _EMPTY_TYPE_FIRST.match(sent.content)) and sent.content.count(b'"type"') == 1:
        return sent._replace(content=opening[1] + b'"event"' + sent.content[opening.end() :])
    content = php_json(with_type(envelope))
    return content if isinstance(content, Answer) else Body(content, sent.content_type)


def lacks_type(envelope: Any) -> bool:
    """Whether `type` is there and empty, as PHP understands it of text and null."""
    return isinstance(envelope, dict) and "type" in envelope and envelope["type"] in ("", None)


def with_type(envelope: Any) -> Any:
    """The envelope with `type` named where it is empty, in its place."""
    return envelope | {"type": "event"} if lacks_type(envelope) else envelope


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
        # A copy carries milliseconds, and every attempt is to tell the same
        return datetime.fromtimestamp(round(event.received_at, 3), UTC)


def zulu(moment: datetime) -> str:
    """RFC 3339 with `Z`: whole seconds, or milliseconds where there are any."""
    text = moment.isoformat(timespec="milliseconds").removesuffix("+00:00")
    return text.removesuffix(".000") + "Z"


def _own(event: Event, name: str, spell: Spell, fields: Callable[[Event], dict[str, Any]]) -> Body | Answer:
    if event.format == name:
        return raw(event)
    if event.message.body and not has_data(event):
        return unbuildable(f"the body is not JSON, so profile {name} has no data to wrap; choose `body: raw`")
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
