"""What `inspect` prints of its findings for people: a table."""

import re
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.admin.findings import dead_letters, reason
from bridge.admin.inspection import Finding, Keyed
from bridge.cli.showing.columns import Column
from bridge.cli.showing.paper import paper
from bridge.model.event import Event, Undecodable
from bridge.rules.bodies.exact import json_text
from bridge.rules.routing.table import MATCHING, Explanation

_LONGEST_SHOWN = 4000
# A publisher's text must not move the cursor or colour the terminal.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def show(finding: Finding, stream: TextIO, *, configured: bool) -> None:
    """Print what is found for people to read: cut and wrapped on a terminal, whole elsewhere."""
    terminal = stream.isatty()
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    out = paper(stream)
    if finding.place is not None:
        out.line(f"event {finding.place.position} of {finding.place.events}", "bold")
    if isinstance(finding.found, Undecodable):
        out.line(f"quarantined: {_visible(finding.found.reason)}", "bold red")
        out.line(f"  {_visible(finding.found.detail)}")
        return
    rows = [*_rows(finding.found, configured=configured), *_key_rows(finding.keyed)]
    if not terminal:
        out.facts((name, _visible(value)) for name, value in rows)
        if configured:
            out.table(_HOOKS, finding.hooks, "no hooks")
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
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
    yield "data", f"none: {event.data_fault}" if event.data_fault else json_text(event.data)


def _key_rows(keyed: Keyed | None) -> Iterator[tuple[str, str]]:
    if keyed is not None:
        yield (
            "dedupe key",
            keyed.key or f"none: it is never a duplicate{keyed.fault and f' ({keyed.fault})'}",
        )


def _mark(each: Explanation) -> str:
    return "matches" if each.decision in MATCHING else each.decision.value


_HOOKS = (
    Column("hook", lambda each: each.hook.id),
    Column("", _mark),
    Column("why", lambda each: _visible(reason(each))),
)


def _show_hooks(hooks: tuple[Explanation, ...], console: Console) -> None:
    if not hooks:
        console.print("no hooks")
        return
    table = Table("hook", "", box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("why", overflow="fold")
    for each in hooks:
        mark = Text(_mark(each), style="green" if each.decision in MATCHING else "yellow")
        table.add_row(Text(each.hook.id), mark, Text(_cut(_visible(reason(each)))))
    console.print(table)


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _cut(text: str) -> str:
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[:_LONGEST_SHOWN]}… ({len(text)} characters; --json shows all)"
