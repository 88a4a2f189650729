"""Deliveries and their attempts as people see them."""

from typing import Any

from bridge.cli.showing.columns import Column, identity, member, value_at
from bridge.cli.showing.paper import Paper, status_style
from bridge.cli.showing.words import milliseconds, moment, text, visible_lines

COLUMNS = (
    identity("id"),
    Column("event", lambda row: text(row["event_type"]), least=16),
    member("hook_name", "hook", least=8),
    Column("status", lambda row: text(row["status"]), style=status_style),
    Column("last", lambda row: _last(row.get("last")), least=8, drop=1),
    member("attempts", "tries", right=True, drop=2),
    Column("took", lambda row: milliseconds(value_at(row, "last.duration_ms")), right=True, drop=4),
    Column("updated", lambda row: moment(row["updated_at"])),
    member("reason", least=8, drop=3),
    member("last.error", "error", least=12, drop=5),
    Column("next try", lambda row: moment(row["next_attempt_at"]), drop=6),
    Column("received", lambda row: moment(row["created_at"]), drop=7),
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
            ("hook", _named(delivery.get("hook_name"), delivery["hook"])),
            ("target", f"{text(target.get('type'))} {text(target.get('to'))}".strip()),
            ("received", text(delivery["created_at"])),
            ("updated", text(delivery["updated_at"])),
            ("next attempt", text(delivery["next_attempt_at"])),
            ("generation", text(delivery.get("generation"))),
        ]
    )
    if isinstance(delivery.get("attempts"), list):
        paper.line()
        paper.table(ATTEMPTS, delivery["attempts"], "not tried yet")
        _show_last_answer(paper, delivery["attempts"])
        _show_evidence(paper, delivery["attempts"])


def show_request(paper: Paper, request: Any) -> None:
    """What a delivery would send now, and whether that is what it sent last."""
    paper.line(
        _compared(request), "bold" if request["same_body"] and request["same_settings"] else "bold yellow"
    )
    where = f"{text(request.get('method'))} {text(request['to'])}".strip()
    paper.facts(
        [("target", f"{text(request['type'])} {where}"), ("body sha256", text(request["body_sha256"]))]
    )
    paper.line()
    paper.facts([(text(each["name"]), text(each["value"])) for each in request["headers"]])
    paper.line()
    body = request["body_text"]
    paper.line(f"{text(request['body_base64'])} (base64)" if body is None else visible_lines(body))


def _compared(request: Any) -> str:
    number = request["compared_with"]
    if number is None:
        return "what would be sent now; the history does not tell what was sent before"
    if request["same_body"]:
        body = f"the body is the one that attempt {number} sent"
    else:
        body = f"the body is not the one that attempt {number} sent"
    changed = "" if request["same_settings"] else "; the hook or its template was changed since"
    return f"what would be sent now: {body}{changed}"


def _last(last: Any) -> str:
    if not last:
        return ""
    code = text(last["status_code"])
    return code if last["outcome"] == "status" else f"{text(last['outcome'])} {code}".strip()


def _named(name: Any, id_: Any) -> str:
    return text(id_) if name in (None, id_) else f"{text(name)} ({text(id_)})"


def _show_last_answer(paper: Paper, attempts: list[Any]) -> None:
    """What stands beside the error of the last attempt."""
    if attempts and attempts[-1].get("response") and attempts[-1].get("error"):
        paper.line()
        paper.facts([("last answer", text(attempts[-1]["response"]))])


def _show_evidence(paper: Paper, attempts: list[Any]) -> None:
    """What the last attempt sent and heard beside the bodies."""
    sent = attempts[-1].get("request") if attempts else None
    if not sent:
        return
    paper.line()
    paper.line(f"sent: {text(sent.get('method'))} {text(sent['to'])}".replace(":  ", ": "), "bold")
    paper.facts(
        [
            *((text(each["name"]), text(each["value"])) for each in sent["headers"]),
            ("body sha256", text(sent["body_sha256"])),
        ]
    )
    if heard := attempts[-1].get("response_headers"):
        paper.line()
        paper.line("answered with", "bold")
        paper.facts([(text(each["name"]), text(each["value"])) for each in heard])
