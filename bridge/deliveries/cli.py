"""`amqp-bridge deliveries`."""

from typing import Annotated, Any, Literal

from typer import Argument, Option

from bridge.terminal.options import (
    WHERE,
    Commands,
    Hook,
    Since,
    Statuses,
    Type,
    Until,
    UpdatedSince,
    UpdatedUntil,
    Watching,
    listed,
    remote,
    watched,
)
from bridge.terminal.paper import (
    Column,
    TablePrinter,
    identity,
    member,
    milliseconds,
    moment,
    status_style,
    text,
    value_at,
    visible_lines,
)
from bridge.terminal.remote import Remote, needs_one

app = Commands(
    name="deliveries",
    help="Deliveries: look, retry, cancel.",
    no_args_is_help=True,
    epilog=WHERE,
)

LIST = f"""\b
Examples:
  amqp-bridge deliveries list --status FAILED --hook crm --since 1h
  amqp-bridge deliveries list --status FAILED --updated-since 1h     what failed in the last hour
  amqp-bridge deliveries list --watch
  amqp-bridge deliveries list --status FAILED --all --json | jq -r .items[].id | amqp-bridge deliveries retry -

{WHERE}"""
SHOW = f"""\b
Examples:
  amqp-bridge deliveries show 01987a5c-2f3e-7cc1
  amqp-bridge deliveries show --request 01987a5c-2f3e-7cc1

{WHERE}"""
CHANGE = f"""\b
Examples:
  amqp-bridge deliveries retry 01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a77
  amqp-bridge deliveries cancel - < ids.txt
With --json and several ids each answer is one line.

{WHERE}"""

Id = Annotated[
    str, Argument(metavar="ID", help="Of the delivery; its beginning is enough.", show_default=False)
]
Ids = Annotated[list[str] | None, Argument(metavar="ID...", help="Of deliveries; - reads them.")]


@app.command("list", cls=Watching, epilog=LIST)
@listed
def list_(
    to: Remote,
    *,
    hook: Hook = None,
    status: Statuses = None,
    type_: Type = None,
    event: Annotated[
        str | None, Option("--event", metavar="ID", help="Of this event; its beginning is enough.")
    ] = None,
    since: Since = None,
    until: Until = None,
    updated_since: UpdatedSince = None,
    updated_until: UpdatedUntil = None,
    order: Annotated[
        Literal["received", "updated"] | None,
        Option("--order", help="By receipt (default), or by when they became what they are."),
    ] = None,
) -> None:
    """List deliveries, the newest first."""
    from bridge.terminal.options import moment

    query = {
        "hook": hook,
        "status": [each.upper() for each in status or []],
        "type": type_,
        "event_id": event,
        "from": moment(since, "--since"),
        "to": moment(until, "--until"),
        "updated_from": moment(updated_since, "--updated-since"),
        "updated_to": moment(updated_until, "--updated-until"),
        "order": order,
    }
    to.pages("/deliveries", show_deliveries, query, counted=True)


@app.command(cls=Watching, epilog=SHOW)
@watched
def show(
    to: Remote,
    delivery: Id,
    *,
    request: Annotated[
        bool, Option("--request", help="What it would send now, and whether that is what it sent last.")
    ] = False,
) -> None:
    """Show a delivery with all its attempts: what was sent, and what came back."""
    from bridge.terminal.client import segment

    path = f"/deliveries/{segment(delivery)}"
    if request:
        to.show(f"{path}/request", show_request)
    else:
        to.show(path, show_delivery)


@app.command(epilog=CHANGE)
@remote
def retry(to: Remote, deliveries: Ids = None) -> None:
    """Start deliveries anew, at once, whatever became of them."""
    _change(to, deliveries, "retry")


@app.command(epilog=CHANGE)
@remote
def cancel(to: Remote, deliveries: Ids = None) -> None:
    """Give up deliveries that wait: FAILED, cancelled."""
    _change(to, deliveries, "cancel")


def _change(to: Remote, ids: list[str] | None, verb: str) -> None:
    from bridge.terminal.client import segment
    from bridge.terminal.paper import text

    def told(row: dict[str, object]) -> str:
        reason = f" ({text(row['reason'])})" if row.get("reason") else ""
        return f"{text(row['id'])}: {text(row['status'])}{reason}"

    to.each(
        needs_one(ids, "the id of a delivery"),
        lambda each: to.change("POST", f"/deliveries/{segment(each)}/{verb}"),
        lambda paper, row: paper.line(told(row)),
    )


# Deliveries and their attempts as people see them.


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


def show_deliveries(paper: TablePrinter, answer: Any) -> None:
    """A list of deliveries."""
    paper.table(COLUMNS, answer["items"], "no deliveries")


def show_delivery(paper: TablePrinter, delivery: Any) -> None:
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


def show_request(paper: TablePrinter, request: Any) -> None:
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


def _show_last_answer(paper: TablePrinter, attempts: list[Any]) -> None:
    """What stands beside the error of the last attempt."""
    if attempts and attempts[-1].get("response") and attempts[-1].get("error"):
        paper.line()
        paper.facts([("last answer", text(attempts[-1]["response"]))])


def _show_evidence(paper: TablePrinter, attempts: list[Any]) -> None:
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
