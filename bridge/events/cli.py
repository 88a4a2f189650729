"""`amqp-bridge events`, and `amqp-bridge explain`."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from bridge.bodies.exact import json_text
from bridge.deliveries.cli import DELIVERIES
from bridge.terminal.client import segment
from bridge.terminal.groups import flag, option
from bridge.terminal.options import (
    LISTED,
    SOURCE,
    SPAN,
    TYPE,
    WATCHED,
    RemoteCommands,
    body_of,
    examples,
    json_option,
    length,
    parsed_headers,
    queried,
    seen_event_types,
    source_names,
)
from bridge.terminal.output import usage
from bridge.terminal.paper import (
    Column,
    ListView,
    TablePrinter,
    column,
    columns,
    count,
    described,
    identity,
    moment,
    text,
    visible,
)
from bridge.terminal.remote import Remote

LIST = examples("""
amqp-bridge events list --source splynx --since today
amqp-bridge events list --type customers.customer.create --watch
amqp-bridge events list --where 'event.data.customer_id == "17"' --since 7d
amqp-bridge events list --dimension customer=17
amqp-bridge events list --webhook-id 01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a77
""")
PUBLISH = examples(
    """
amqp-bridge events publish --source splynx event.json
amqp-bridge events publish --source splynx --body '{"hello": "world"}' --type greeting --idempotency-key order-4711
some-program | amqp-bridge events publish --source splynx -
""",
    """\
The bytes are published as they are. The broker has confirmed the message when this ends. With an idempotency key
the same command again publishes nothing and gives the same answer.""",
)
EXPLAIN = examples(
    """
amqp-bridge explain 01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a77    an event of the history; its beginning is enough
amqp-bridge explain --source splynx event.json              a body
amqp-bridge explain --message message.json                  a message, as `inspect --message` takes it
""",
    "For each hook of the running bridge it shows whether the event matches, or why not. Nothing is delivered.",
)
_ID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}|[0-9a-fA-F]{8}(-[0-9a-fA-F-]{0,27})?")
_LONGEST = 4000

Id = Annotated[str, Argument(metavar="ID", help="Id of the event, or its beginning.", show_default=False)]
HEADERS = (
    option("--header -H", "K=V", "A header; may be repeated.", list[str]),
    option("--content-type", "TYPE", "Content type of a body that need not be JSON."),
)


def _status(row: Any) -> str:
    """Returns the number of deliveries by status, or the status of the event."""
    counts = (row.get("counts") or {}).items()
    return ", ".join(f"{number} {status}" for status, number in counts) or text(row["status"])


def _json(value: Any) -> str:
    whole = visible(json_text(value))
    if len(whole) <= _LONGEST:
        return whole
    return f"{whole[:_LONGEST]}... ({len(whole)} characters; --json shows all)"


EVENTS = ListView(
    "no events",
    identity("id"),
    column("type", least=16),
    column("source", least=8, drop=2),
    Column("status", _status, least=10, drop=1),
    column("received_at", "received", moment),
    column("publisher_id", least=8, drop=4),
    column("identity", least=8, drop=5),
)
EVENT = columns("id format publisher_id webhook_id time received_at identity exchange routing_key")
MESSAGE = columns("format publisher_id time webhook_id identity")
DECISIONS = (
    Column("hook", lambda row: text(row.get("hook_name") or row["hook"]), least=10),
    Column(
        "",
        lambda row: "matches" if row["matches"] else text(row["decision"]),
        style=lambda each: "green" if each == "matches" else "yellow",
    ),
    column("reason", "why", least=20, drop=1),
)

app = RemoteCommands("events", no_args_is_help=True)
top = RemoteCommands()


@app.remote(
    "list",
    epilog=LIST,
    own=(
        SOURCE,
        TYPE,
        option("--publisher-id", "ID", "Only the event with this publisher id."),
        option("--status", None, "Only events with this result.", Literal["matched", "skipped", "unmatched"]),
        option("--webhook-id", "ID", "Only the event with this `webhook-id`."),
        option("--dimension -d", "NAME=VALUE", "Only with this value (indexed).", list[str]),
        option("--where", "CEL", "Only events for which this expression is true; reads each event."),
        option("--within", "TIME", "Time limit of --where; the output tells how far it got.", default="30s"),
        option("--cursor", "CURSOR", "Continue after the last item of a page."),
        *SPAN,
    ),
    common=LISTED,
)
def list_(to: Remote, *, within: str, **query: Any) -> None:
    """List events, newest first."""
    searches = query["where"] is not None
    patience = length(within, "--within") if searches else None
    to.pages("/events", _show_events, queried(query), counted=not searches, seconds=patience)


def _show_events(paper: TablePrinter, answer: Any) -> None:
    EVENTS(paper, answer)
    if searched := answer.get("searched"):
        back_to = f" back to {moment(searched['back_to'])}" if searched["back_to"] else ""
        paper.line(f"looked at {count(searched['events'], 'event')}{back_to}")
        if searched["unanswered"]:
            paper.line(f"of {searched['unanswered']} it came to neither true nor false")
        if answer["next"]:
            paper.line(f"there are more to look at: --cursor {answer['next']}")


@app.remote(
    epilog=examples("amqp-bridge events show 01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a77 --explain"), common=WATCHED
)
def show(
    to: Remote,
    event: Id,
    *,
    explain: Annotated[bool, Option("--explain", help="Also show each hook's decision as of now.")] = False,
) -> None:
    """Show an event: data, headers, deliveries."""
    to.show(f"/events/{segment(event)}", _show_event, {"explain": explain or None})


@app.remote(
    epilog=PUBLISH,
    own=(
        option("--source -s", "NAME", "Source. Default: the only one.", autocompletion=source_names),
        option("--body -b", "TEXT", "The body, instead of a file."),
        option("--type -t", "TYPE", "AMQP property `type`.", autocompletion=seen_event_types),
        *HEADERS,
        option("--message-id", "ID", "AMQP property `message_id`. Default: a new UUIDv7."),
        option("--idempotency-key", "KEY", "Key that makes repeated runs publish only once."),
    ),
)
def publish(
    to: Remote,
    file: Annotated[str | None, Argument(metavar="FILE", help="The body; - is standard input.")] = None,
    *,
    body: str | None,
    header: list[str] | None,
    content_type: str | None,
    idempotency_key: str | None,
    **properties: Any,
) -> None:
    """Publish a message to a source, through the bridge."""
    message = properties | {"headers": parsed_headers(header) if header else None}
    told = {name: value for name, value in message.items() if value is not None}
    whole = {**told, **body_of(file, body, content_type)}
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key is not None else None
    to.say(to.change("POST", "/events", whole, headers=headers), _show_published)


def _show_published(paper: TablePrinter, answer: Any) -> None:
    paper.line(f"{text(answer.get('message_id'))}: confirmed in queue {text(answer.get('queue'))!r}")


@app.remote(
    epilog=EXPLAIN,
    own=(
        option("--source -s", "NAME", "Source of the message.", autocompletion=source_names),
        option("--type -t", "TYPE", "AMQP property `type`."),
        *HEADERS,
        flag("--message -m", "FILE holds a message with properties and headers, as JSON."),
    ),
)
def explain(
    to: Remote,
    what: Annotated[str, Argument(metavar="ID|FILE", help="An event's id, or a file; - is standard input.")],
    *,
    source: str | None,
    **message: Any,
) -> None:
    """Explain which hooks match an event, and why the others do not."""
    if _ID.fullmatch(what) and not Path(what).is_file():
        to.show(f"/events/{segment(what)}", _show_explained, {"explain": True})
        return
    told = _message(what, **message)
    to.say(to.change("POST", "/explain", ({"source": source} if source else {}) | told), _show_explained)


top.command("explain", epilog=EXPLAIN)(explain)


def _message(
    file: str, *, message: bool, header: list[str] | None, content_type: str | None, **properties: str | None
) -> dict[str, Any]:
    if message:
        if header or content_type or any(properties.values()):
            raise usage("--message", "the file itself holds type, headers and content type")
        value = json_option("--message", f"@{file}")
        if not isinstance(value, dict):
            raise usage("--message", f"{file} must hold a message as a JSON object")
        return value
    body = body_of(file, None, content_type)
    properties["content_type"] = body.pop("content_type")
    told = {name: text for name, text in properties.items() if text is not None}
    return {**body, "properties": told, "headers": parsed_headers(header or [])}


def _show_event(paper: TablePrinter, event: Any) -> None:
    paper.line(f"{text(event['type'])} from {text(event['source'])}", "bold")
    paper.facts(described(event, EVENT))
    paper.facts([(name, _json(event.get(name))) for name in ("properties", "headers") if event.get(name)])
    if "data" in event:
        paper.facts([("data", _json(event["data"]))])
    else:
        paper.facts(
            [("no data", text(event.get("data_fault"))), ("body (base64)", text(event.get("data_base64")))]
        )
    _show_beside_data(paper, event)
    paper.line()
    paper.table(DELIVERIES.columns, event.get("deliveries", []), "no deliveries")
    if "hooks" in event:
        paper.line()
        paper.table(DECISIONS, event["hooks"], "no hooks")


def _show_beside_data(paper: TablePrinter, event: Any) -> None:
    paper.facts([(name, _json(event[name])) for name in ("attributes", "envelope") if name in event])


def _show_explained(paper: TablePrinter, answer: Any) -> None:
    if "events" not in answer:
        _show_event(paper, answer)
        return
    for number, event in enumerate(answer["events"]):
        if number:
            paper.line()
        if "quarantined" in event:
            paper.line(f"quarantined: {text(event['quarantined'])}", "bold red")
            paper.line(f"  {text(event.get('detail'))}")
            continue
        paper.line(f"{text(event['type'])} from {text(event.get('source'))}", "bold")
        paper.facts(described(event, MESSAGE))
        paper.facts([("data", _json(event.get("data")))])
        _show_beside_data(paper, event)
        paper.table(DECISIONS, event.get("hooks", []), "no hooks")
    for note in answer.get("notes", []):
        paper.line(f"note: {text(note)}")
