"""Deliveries and their attempts as people see them."""

from typing import Any

from bridge.cli.showing.columns import Column, member
from bridge.cli.showing.paper import Paper, status_style
from bridge.cli.showing.words import milliseconds, moment, text

COLUMNS = (
    member("id"),
    Column("event", lambda row: text(row["event_type"]), least=16),
    member("hook", least=8),
    Column("status", lambda row: text(row["status"]), style=status_style),
    member("reason", least=8, drop=2),
    member("attempts", "tries", right=True, drop=1),
    Column("created", lambda row: moment(row["created_at"]), drop=3),
    Column("next try", lambda row: moment(row["next_attempt_at"]), drop=4),
)
ATTEMPTS = (
    Column("", lambda row: text(row["number"]), right=True),
    Column("at", lambda row: text(row["started_at"])),
    Column("took", lambda row: milliseconds(row["duration_ms"]), right=True, drop=1),
    Column(
        "outcome",
        lambda row: text(row["outcome"]),
        style=lambda each: "green" if each == "delivered" else "red",
    ),
    Column("code", lambda row: text(row["status_code"]), right=True, drop=2),
    Column("said", lambda row: text(row["error"] or row["response"]), least=12, drop=3),
)


def show_deliveries(paper: Paper, answer: Any) -> None:
    """A list of deliveries."""
    paper.table(COLUMNS, answer["items"], "no deliveries")


def show_delivery(paper: Paper, delivery: Any) -> None:
    """One delivery with the timeline of its attempts."""
    reason = f" ({text(delivery['reason'])})" if delivery.get("reason") else ""
    paper.line(f"{text(delivery['status'])}{reason}", status_style(delivery["status"]) or "bold")
    target = delivery.get("target") or {}
    paper.facts(
        [
            ("id", text(delivery["id"])),
            ("event", f"{text(delivery['event_type'])} {text(delivery['event_id'])}"),
            ("hook", text(delivery["hook"])),
            ("target", f"{text(target.get('type'))} {text(target.get('to'))}".strip()),
            ("created", text(delivery["created_at"])),
            ("updated", text(delivery["updated_at"])),
            ("next attempt", text(delivery["next_attempt_at"])),
            ("generation", text(delivery.get("generation"))),
        ]
    )
    if isinstance(delivery.get("attempts"), list):
        paper.line()
        paper.table(ATTEMPTS, delivery["attempts"], "not tried yet")
        _show_last_answer(paper, delivery["attempts"])


def _show_last_answer(paper: Paper, attempts: list[Any]) -> None:
    """What stands beside the error of the last attempt."""
    if attempts and attempts[-1].get("response") and attempts[-1].get("error"):
        paper.line()
        paper.facts([("last answer", text(attempts[-1]["response"]))])
