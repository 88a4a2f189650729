"""What `inspect` prints of its findings: JSON lines for programs, a table for people."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.admin.inspection import Finding
from bridge.cli.exact import json_text
from bridge.model.event import Event, Message, Undecodable
from bridge.rules.formats.text import utc_text
from bridge.rules.routing.table import Decision, Explanation

MATCHING = frozenset({Decision.MATCH, Decision.DISABLED})
_LONGEST_SHOWN = 4000
# A publisher's text must not move the cursor or colour the terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


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
    if deaths := dead_letters(event.message):
        seen["dead_letters"] = deaths
    if configured:
        seen["hooks"] = [_as_hook(each) for each in finding.hooks]
    return seen


def _as_hook(explanation: Explanation) -> dict[str, Any]:
    return {
        "hook": explanation.hook.id,
        "matches": explanation.decision in MATCHING,
        "decision": explanation.decision.value,
        "reason": _reason(explanation),
    }


def _reason(explanation: Explanation) -> str:
    if explanation.decision is Decision.DISABLED:
        return f"{explanation.detail}, but the hook is disabled: the delivery is recorded SKIPPED"
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


# ---- for people ------------------------------------------------------------------------------------------


def show(finding: Finding, console: Console, *, configured: bool) -> None:
    """Print what is found for people to read."""
    if finding.place is not None:
        console.print(f"event {finding.place.position} of {finding.place.events}", style="bold")
    if isinstance(finding.found, Undecodable):
        console.print(Text(f"quarantined: {_visible(finding.found.reason)}", style="bold red"))
        console.print(Text(f"  {_visible(finding.found.detail)}"))
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _rows(finding.found, configured=configured):
        grid.add_row(Text(name, style="dim"), Text(_cut(_visible(value))))
    console.print(grid)
    if configured:
        _show_hooks(finding.hooks, console)


def _rows(event: Event, *, configured: bool) -> Iterator[tuple[str, str]]:
    yield "format", event.format
    yield "type", event.type
    yield "publisher id", event.publisher_id or "none"
    yield "time", event.time or "none"
    if configured:
        yield "source", event.source
    if event.identity:
        yield "identity", event.identity
    if event.message.headers:
        yield "headers", json_text(event.message.headers)
    for death in dead_letters(event.message):
        yield "dead letter", json_text(death)
    yield "body", f"{len(event.message.body)} bytes, {event.message.content_type or 'no content type'}"
    yield "data", json_text(event.data)


def _show_hooks(hooks: tuple[Explanation, ...], console: Console) -> None:
    if not hooks:
        console.print("no hooks")
        return
    table = Table("hook", "", box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("why", overflow="fold")
    for each in hooks:
        matches = each.decision in MATCHING
        mark = Text("matches", style="green") if matches else Text(each.decision.value, style="yellow")
        table.add_row(Text(each.hook.id), mark, Text(_cut(_visible(_reason(each)))))
    console.print(table)


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _cut(text: str) -> str:
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters; --json shows all)"
