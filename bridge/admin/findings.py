"""What is found of a message, as objects for JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bridge.admin.inspection import Finding
from bridge.model.event import Event, Message, Undecodable
from bridge.rules.formats.envelope import attributes_of, envelope_of
from bridge.rules.formats.text import utc_text
from bridge.rules.routing.table import MATCHING, Decision, Explanation


def as_object(finding: Finding, *, configured: bool) -> dict[str, Any]:
    """What is found as a JSON object; `configured`: source and hooks are those of a configuration."""
    place = (
        {} if finding.place is None else {"position": finding.place.position, "events": finding.place.events}
    )
    if isinstance(finding.found, Undecodable):
        return {"quarantined": finding.found.reason, "detail": finding.found.detail, **place}
    event = finding.found
    seen: dict[str, Any] = {
        "format": event.format,
        "type": event.type,
        "publisher_id": event.publisher_id,
        "time": event.time,
        "data": event.data,
        "source": event.source if configured else None,
        "webhook_id": event.webhook_id if configured and event.publisher_id else None,
        "identity": event.identity,
        "headers": event.message.headers,
        "content_type": event.message.content_type,
        **place,
    }
    seen |= beside_data(event)
    if event.data_fault:
        seen["data_fault"] = event.data_fault
    if deaths := dead_letters(event.message):
        seen["dead_letters"] = deaths
    if finding.keyed is not None:
        seen["dedupe_key"] = finding.keyed.key
        if finding.keyed.fault:
            seen["dedupe_fault"] = finding.keyed.fault
    if configured:
        seen["hooks"] = [decision(each) for each in finding.hooks]
    return seen


def beside_data(event: Event) -> dict[str, Any]:
    """`attributes` of a CloudEvent, and `envelope` where it is more than the data."""
    attributes, envelope = attributes_of(event), envelope_of(event)
    found: dict[str, Any] = {"attributes": attributes} if attributes else {}
    return found if envelope is event.data else found | {"envelope": envelope}


def decision(explanation: Explanation) -> dict[str, Any]:
    """What comes of one hook."""
    return {
        "hook": explanation.hook.id,
        "matches": explanation.decision in MATCHING,
        "decision": explanation.decision.value,
        "reason": reason(explanation),
    }


def reason(explanation: Explanation) -> str:
    """Why, in words."""
    if explanation.decision is Decision.DISABLED:
        return f"{explanation.detail}, but the hook is disabled: the delivery is recorded SKIPPED"
    if explanation.decision is Decision.MATCH and explanation.hook.fault is not None:
        return f"{explanation.detail}; the hook is broken: the delivery waits in its lane until it is mended"
    if explanation.decision is Decision.MATCH and explanation.hook.paused:
        return f"{explanation.detail}; the hook is paused: the delivery waits in its lane"
    return explanation.detail


def dead_letters(message: Message) -> list[dict[str, Any]]:
    """Where the broker dead-lettered the message before, the last time first, as its headers tell."""
    deaths = message.headers.get("x-death")
    if isinstance(deaths, list) and deaths:
        return [_as_death(each) for each in deaths if isinstance(each, Mapping)]
    first = {
        key: message.headers.get(f"x-first-death-{key}")
        for key in ("queue", "reason", "exchange")
        if f"x-first-death-{key}" in message.headers
    }
    return [first] if first else []


def _as_death(death: Mapping[str, Any]) -> dict[str, Any]:
    known = {"queue", "reason", "count", "exchange", "routing-keys", "time"}
    return {name.replace("-", "_"): death[name] for name in death if name in known} | {
        "time": _death_time(death.get("time"))
    }


def _death_time(value: Any) -> str | None:
    """As text: a timestamp of AMQP, or its Unix seconds where the message was written as JSON."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            value = datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    return utc_text(value) if isinstance(value, datetime) else value if isinstance(value, str) else None
