"""`amqp-bridge deliveries`."""

from typing import Annotated, Any, Literal

from typer import Argument, Option

from bridge.terminal.client import segment
from bridge.terminal.groups import flag, option
from bridge.terminal.options import (
    CODE,
    HOOK,
    OUTCOME,
    SOURCE,
    SPAN,
    STATUSES,
    TYPE,
    WATCHED,
    RemoteCommands,
    examples,
    queried,
    time,
)
from bridge.terminal.output import usage
from bridge.terminal.paper import (
    Column,
    ListView,
    TablePrinter,
    column,
    count,
    described,
    identity,
    milliseconds,
    moment,
    status_style,
    text,
    visible_lines,
)
from bridge.terminal.remote import Remote, needs_one

SHOW = examples("""
amqp-bridge deliveries show 01987a5c-2f3e-7cc1
amqp-bridge deliveries show --request 01987a5c-2f3e-7cc1
""")
CHANGE = examples(
    """
amqp-bridge deliveries retry 01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a77
amqp-bridge deliveries cancel - < ids.txt
amqp-bridge deliveries retry --hook crm --code 503 --since 2h --dry-run
""",
    "With --json and several ids each answer is one line.",
)
FITTING = (
    *(HOOK, STATUSES, TYPE, SOURCE, OUTCOME, CODE, *SPAN),
    time("--updated-since", "Only deliveries whose status changed since.", name="updated_from"),
    time("--updated-until", "Only deliveries whose status changed before.", name="updated_to"),
    flag("--dry-run", "Only count the deliveries that fit."),
)
Ids = Annotated[list[str] | None, Argument(metavar="ID...", help="Ids of deliveries; - reads stdin.")]


def _last(last: Any) -> str:
    if not last:
        return ""
    code = text(last["status_code"])
    return code if last["outcome"] == "status" else f"{text(last['outcome'])} {code}".strip()


def _named(row: Any) -> str:
    name, id_ = row.get("hook_name"), row["hook"]
    return text(id_) if name in (None, id_) else f"{text(name)} ({text(id_)})"


def _target(target: Any) -> str:
    return f"{text(target.get('type'))} {text(target.get('to'))}".strip() if target else ""


DELIVERIES = ListView(
    "no deliveries",
    identity("id"),
    column("event_type", "event", least=16),
    column("hook_name", "hook", least=8),
    column("status", style=status_style),
    column("last", show=_last, least=8, drop=1),
    column("attempts", "tries", right=True, drop=2),
    column("last.duration_ms", "took", milliseconds, right=True, drop=4),
    column("updated_at", "updated", moment),
    column("reason", least=8, drop=3),
    column("last.error", "error", least=12, drop=5),
    column("next_attempt_at", "next try", moment, drop=6),
    column("created_at", "received", moment, drop=7),
)
DELIVERY = (
    column("id"),
    Column("event", lambda row: f"{text(row['event_type'])} {text(row['event_id'])}"),
    Column("hook", _named),
    column("target", show=_target),
    column("created_at", "received"),
    column("updated_at", "updated"),
    column("next_attempt_at", "next attempt"),
    column("generation"),
)
ATTEMPTS = (
    Column("", lambda row: text(row["number"]), right=True),
    column("started_at", "at"),
    column("duration_ms", "took", milliseconds, right=True, drop=1),
    column("outcome", style=lambda each: "green" if each == "delivered" else "red"),
    column("status_code", "code", right=True, drop=2),
    Column("said", lambda row: text(row["error"] or row["response"]), least=12, drop=3),
)

app = RemoteCommands("deliveries", no_args_is_help=True)
app.listing(
    "list",
    "/deliveries",
    "List deliveries, the newest first.",
    DELIVERIES,
    *(HOOK, STATUSES, TYPE),
    option("--event", "ID", "Only of this event: its id or its beginning.", name="event_id"),
    *(SOURCE, OUTCOME, CODE),
    option("--reason", "TEXT", "Only with this reason of the status."),
    option("--replay", "ID", "Only deliveries that this replay took."),
    *SPAN,
    time("--updated-since", "Only deliveries whose status changed since.", name="updated_from"),
    time("--updated-until", "Only deliveries whose status changed before.", name="updated_to"),
    option(
        "--order",
        None,
        "Order by receipt (default), or by the last change of status.",
        Literal["received", "updated"],
    ),
    counted=True,
    epilog=examples("""
amqp-bridge deliveries list --status FAILED --hook crm --since 1h
amqp-bridge deliveries list --status FAILED --updated-since 1h     what failed in the last hour
amqp-bridge deliveries list --hook crm --outcome status --code 503
amqp-bridge deliveries list --watch
amqp-bridge deliveries list --status FAILED --all --json | jq -r .items[].id | amqp-bridge deliveries retry -
"""),
)


@app.remote(epilog=SHOW, common=WATCHED)
def show(
    to: Remote,
    delivery: Annotated[
        str, Argument(metavar="ID", help="Id of the delivery, or its beginning.", show_default=False)
    ],
    *,
    request: Annotated[
        bool,
        Option(
            "--request", help="Show the request that would be sent now, and whether it equals the last one."
        ),
    ] = False,
) -> None:
    """Show a delivery with all its attempts: requests and responses."""
    path = f"/deliveries/{segment(delivery)}"
    if request:
        to.show(f"{path}/request", _show_request)
    else:
        to.show(path, _show_delivery)


@app.remote(epilog=CHANGE, own=FITTING)
def retry(to: Remote, deliveries: Ids = None, **which: Any) -> None:
    """Retry deliveries immediately: those with these ids, or those that fit the filter."""
    _change(to, deliveries, "retry", which)


@app.remote(epilog=CHANGE, own=FITTING)
def cancel(to: Remote, deliveries: Ids = None, **which: Any) -> None:
    """Cancel waiting deliveries: those with these ids, or those that fit the filter; their status becomes FAILED."""
    _change(to, deliveries, "cancel", which)


def _change(to: Remote, ids: list[str] | None, verb: str, which: dict[str, Any]) -> None:
    dry_run = which.pop("dry_run")
    told = {name: value for name, value in queried(which).items() if value}
    if told and ids:
        raise usage("", "give either ids or a filter")
    if told:
        body = {"filter": told, "dry_run": dry_run}
        to.say(
            to.change("POST", f"/deliveries/{verb}", body),
            lambda paper, done: paper.line(_counted(done, verb)),
        )
        return
    if dry_run:
        raise usage("--dry-run", "goes with a filter, such as --hook")
    to.each(
        needs_one(ids, "the id of a delivery"),
        lambda each: to.change("POST", f"/deliveries/{segment(each)}/{verb}"),
        lambda paper, row: paper.line(f"{text(row['id'])}: {_status(row)}"),
    )


def _counted(done: Any, verb: str) -> str:
    would = "would be " if done["dry_run"] else ""
    more = "" if done["exact"] else ", and there are more"
    left_out = f", {done['left_out']} cannot be" if done["left_out"] else ""
    past = {"retry": "retried", "cancel": "cancelled"}[verb]
    return f"{count(done['count'], 'delivery')} {would}{past}{left_out}{more}"


def _status(row: Any) -> str:
    return text(row["status"]) + (f" ({text(row['reason'])})" if row.get("reason") else "")


def _show_delivery(paper: TablePrinter, delivery: Any) -> None:
    paper.line(_status(delivery), status_style(delivery["status"]) or "bold")
    paper.facts(described(delivery, DELIVERY))
    if not isinstance(attempts := delivery.get("attempts"), list):
        return
    paper.line()
    paper.table(ATTEMPTS, attempts, "not tried yet")
    last = attempts[-1] if attempts else {}
    if last.get("response") and last.get("error"):
        paper.line()
        paper.facts([("last answer", text(last["response"]))])
    if not (sent := last.get("request")):
        return
    paper.line()
    paper.line(f"sent: {text(sent.get('method'))} {text(sent['to'])}".replace(":  ", ": "), "bold")
    paper.facts([*_headers(sent["headers"]), ("body sha256", text(sent["body_sha256"]))])
    if heard := last.get("response_headers"):
        paper.line()
        paper.line("answered with", "bold")
        paper.facts(_headers(heard))


def _headers(headers: Any) -> list[tuple[str, str]]:
    return [(text(each["name"]), text(each["value"])) for each in headers]


def _show_request(paper: TablePrinter, request: Any) -> None:
    paper.line(
        _compared(request), "bold" if request["same_body"] and request["same_settings"] else "bold yellow"
    )
    where = f"{text(request.get('method'))} {text(request['to'])}".strip()
    paper.facts(
        [("target", f"{text(request['type'])} {where}"), ("body sha256", text(request["body_sha256"]))]
    )
    paper.line()
    paper.facts(_headers(request["headers"]))
    paper.line()
    body = request["body_text"]
    paper.line(f"{text(request['body_base64'])} (base64)" if body is None else visible_lines(body))


def _compared(request: Any) -> str:
    number = request["compared_with"]
    if number is None:
        return "what would be sent now; the history does not tell what was sent before"
    same = "is" if request["same_body"] else "is not"
    changed = "" if request["same_settings"] else "; the hook or its template was changed since"
    return f"what would be sent now: the body {same} the one that attempt {number} sent{changed}"
