"""Events and what hooks decide, as people see them."""

from typing import Any

from bridge.cli.operating.delivery_views import COLUMNS as DELIVERIES
from bridge.cli.showing.columns import Column, identity, member
from bridge.cli.showing.paper import Paper
from bridge.cli.showing.words import count, moment, text, visible
from bridge.rules.bodies.exact import json_text

_LONGEST = 4000

COLUMNS = (
    identity("id"),
    member("type", least=16),
    member("source", least=8, drop=2),
    Column("status", lambda row: _counts(row) or text(row["status"]), least=10, drop=1),
    Column("received", lambda row: moment(row["received_at"])),
    member("publisher_id", "publisher id", least=8, drop=4),
    member("identity", least=8, drop=5),
)
DECISIONS = (
    Column("hook", lambda row: text(row.get("hook_name") or row["hook"]), least=10),
    Column("", lambda row: "matches" if row["matches"] else text(row["decision"]), style=lambda each: "green" if each == "matches" else "yellow"),
    Column("why", lambda row: text(row["reason"]), least=20, drop=1),
)  # fmt: skip


def show_events(paper: Paper, answer: Any) -> None:
    """A list of events, and how far an expression was asked of them."""
    paper.table(COLUMNS, answer["items"], "no events")
    if searched := answer.get("searched"):
        back_to = f" back to {moment(searched['back_to'])}" if searched["back_to"] else ""
        paper.line(f"looked at {count(searched['events'], 'event')}{back_to}")
        if searched["unanswered"]:
            paper.line(f"of {searched['unanswered']} it came to neither true nor false")
        if answer["next"]:
            paper.line(f"there are more to look at: --cursor {answer['next']}")


def _counts(row: Any) -> str:
    """How many of its deliveries have which status."""
    return ", ".join(f"{number} {status}" for status, number in (row.get("counts") or {}).items())


def show_event(paper: Paper, event: Any) -> None:
    """One event with its deliveries."""
    paper.line(f"{text(event['type'])} from {text(event['source'])}", "bold")
    names = (
        "id",
        "format",
        "publisher_id",
        "webhook_id",
        "time",
        "received_at",
        "identity",
        "exchange",
        "routing_key",
    )
    paper.facts([(name.replace("_", " "), text(event.get(name))) for name in names])
    paper.facts([(name, _json(event.get(name))) for name in ("properties", "headers") if event.get(name)])
    paper.facts([("data", _json(event["data"]) if "data" in event else text(event.get("data_base64")))])
    if event.get("data_fault"):
        paper.facts([("no data", text(event["data_fault"]))])
    _beside_data(paper, event)
    paper.line()
    paper.table(DELIVERIES, event.get("deliveries", []), "no deliveries")
    if "hooks" in event:
        paper.line()
        show_decisions(paper, event["hooks"])


def _beside_data(paper: Paper, event: Any) -> None:
    paper.facts([(name, _json(event[name])) for name in ("attributes", "envelope") if name in event])


def show_decisions(paper: Paper, hooks: list[Any]) -> None:
    """What each hook decides, and why."""
    paper.table(DECISIONS, hooks, "no hooks")


def show_explained(paper: Paper, answer: Any) -> None:
    """What would come of a message."""
    if "events" not in answer:
        show_event(paper, answer)
        return
    for number, event in enumerate(answer["events"]):
        if number:
            paper.line()
        if "quarantined" in event:
            paper.line(f"quarantined: {text(event['quarantined'])}", "bold red")
            paper.line(f"  {text(event.get('detail'))}")
            continue
        paper.line(f"{text(event['type'])} from {text(event.get('source'))}", "bold")
        names = ("format", "publisher_id", "time", "webhook_id", "identity")
        paper.facts([(name.replace("_", " "), text(event.get(name))) for name in names])
        paper.facts([("data", _json(event.get("data")))])
        _beside_data(paper, event)
        show_decisions(paper, event.get("hooks", []))
    for note in answer.get("notes", []):
        paper.line(f"note: {text(note)}")


def show_published(paper: Paper, answer: Any) -> None:
    """Where a message went."""
    paper.line(f"{text(answer.get('message_id'))}: confirmed in queue {text(answer.get('queue'))!r}")


def _json(value: Any) -> str:
    whole = visible(json_text(value))
    return (
        whole
        if len(whole) <= _LONGEST
        else f"{whole[:_LONGEST]}... ({len(whole)} characters; --json shows all)"
    )
