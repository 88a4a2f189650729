"""Messages in quarantine as people see them."""

from typing import Any

from bridge.cli.showing.columns import Column, identity, member
from bridge.cli.showing.paper import Paper
from bridge.cli.showing.words import moment, text
from bridge.rules.bodies.exact import json_text

_LONGEST = 4000

COLUMNS = (
    identity("id"),
    member("source", least=8, drop=1),
    member("reason", least=10),
    Column("since", lambda row: moment(row["quarantined_at"]), drop=2),
    member("detail", least=20, drop=3),
)


def show_messages(paper: Paper, answer: Any) -> None:
    """A list of messages."""
    paper.table(COLUMNS, answer["items"], "nothing in quarantine")


def show_message(paper: Paper, message: Any) -> None:
    """One message, whole."""
    paper.line(f"{text(message['reason'])}: {text(message['detail'])}", "bold red")
    names = ("id", "source", "quarantined_at", "exchange", "routing_key", "redelivered")
    paper.facts([(name.replace("_", " "), text(message.get(name))) for name in names])
    paper.facts(
        [(name, text(json_text(message[name]))) for name in ("properties", "headers") if message.get(name)]
    )
    body = message.get("body_text")
    shown = f"{message.get('body_base64', '')} (base64)" if body is None else text(body)
    paper.facts([("body", shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}... (--raw shows all)")])


def requeued(paper: Paper, row: Any) -> None:
    """A message that is back in its queue, or what would become of it."""
    if not row["dry_run"]:
        paper.line(f"{text(row['id'])}: back in queue {text(row['queue'])!r}")
        return
    kinds = ", ".join(map(text, row["event_types"])) or "no event"
    paper.line(f"{text(row['id'])}: would go to queue {text(row['queue'])!r} as {kinds}")
    if row["fault"]:
        paper.line(f"it would come back to quarantine: {text(row['fault'])}", "bold red")
