"""`amqp-bridge events`, and `amqp-bridge explain`."""

import base64
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from bridge.bodies.exact import json_text
from bridge.deliveries.cli import COLUMNS as DELIVERIES
from bridge.formats.parse import parse
from bridge.terminal.options import (
    WHERE,
    Commands,
    Since,
    Source,
    Type,
    Until,
    Watching,
    examples,
    listed,
    remote,
    seen_event_types,
    source_names,
    watched,
)
from bridge.terminal.output import STDIN, content, usage
from bridge.terminal.paper import Column, TablePrinter, count, identity, member, moment, text, visible
from bridge.terminal.remote import Remote

app = Commands(
    name="events",
    help="Events: look, explain, publish.",
    no_args_is_help=True,
    epilog=WHERE,
)

LIST = f"""\b
Examples:
  amqp-bridge events list --source splynx --since today
  amqp-bridge events list --type customers.customer.create --watch
  amqp-bridge events list --where 'event.data.customer_id == "17"' --since 7d
  amqp-bridge events list --dimension customer=17
  amqp-bridge events list --webhook-id 01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a77

{WHERE}"""
PUBLISH = f"""\b
Examples:
  amqp-bridge events publish --source splynx event.json
  amqp-bridge events publish --source splynx --body '{{"hello": "world"}}' --type greeting --idempotency-key order-4711
  some-program | amqp-bridge events publish --source splynx -
The bytes are published as they are. The broker has confirmed the message when this ends. With an idempotency key
the same command again publishes nothing and gives the same answer.

{WHERE}"""
EXPLAIN = f"""\b
Examples:
  amqp-bridge explain 01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a77    an event of the history; its beginning is enough
  amqp-bridge explain --source splynx event.json              a body
  amqp-bridge explain --message message.json                  a message, as `inspect --message` takes it
For each hook of the running bridge it tells whether the event matches, and why not. Nothing is delivered.

{WHERE}"""

_ID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}|[0-9a-fA-F]{8}(-[0-9a-fA-F-]{0,27})?")

Id = Annotated[str, Argument(metavar="ID", help="Of the event; its beginning is enough.", show_default=False)]
Explain = Annotated[bool, Option("--explain", help="With what every hook would decide today.")]

PublisherId = Annotated[
    str | None, Option("--publisher-id", metavar="ID", help="With the publisher's own id.")
]
Status = Annotated[
    Literal["matched", "skipped", "unmatched"] | None, Option("--status", help="What came of it.")
]
WebhookId = Annotated[
    str | None, Option("--webhook-id", metavar="ID", help="That receivers know by this `webhook-id`.")
]
Dimension = Annotated[
    list[str] | None,
    Option("--dimension", "-d", metavar="NAME=VALUE", help="With this value of a dimension; by index."),
]
Where = Annotated[
    str | None, Option("--where", metavar="CEL", help="Of which this is true; each one is read.")
]
Within = Annotated[
    str,
    Option("--within", metavar="TIME", help="With --where: end after so long, and say how far it got."),
]
Cursor = Annotated[str | None, Option("--cursor", metavar="CURSOR", help="Go on where a list ended.")]


@app.command("list", cls=Watching, epilog=LIST)
@listed
def list_(
    to: Remote,
    *,
    source: Source = None,
    type_: Type = None,
    publisher_id: PublisherId = None,
    status: Status = None,
    webhook_id: WebhookId = None,
    dimension: Dimension = None,
    where: Where = None,
    within: Within = "30s",
    cursor: Cursor = None,
    since: Since = None,
    until: Until = None,
) -> None:
    """List events, the newest first."""
    from bridge.terminal.options import length, moment

    query = {
        "source": source,
        "type": type_,
        "publisher_id": publisher_id,
        "status": status,
        "from": moment(since, "--since"),
        "to": moment(until, "--until"),
        "webhook_id": webhook_id,
        "dimension": dimension,
        "where": where,
        "cursor": cursor,
    }
    patience = length(within, "--within") if where is not None else None
    to.pages("/events", show_events, query, counted=where is None, seconds=patience)


@app.command(
    cls=Watching, epilog=examples("amqp-bridge events show 01987a5c-2f3e-7cc1-9d11-5b1f2f5e0a77 --explain")
)
@watched
def show(to: Remote, event: Id, *, explain: Explain = False) -> None:
    """Show an event: data, headers, deliveries."""
    from bridge.terminal.client import segment

    to.show(f"/events/{segment(event)}", show_event, {"explain": True if explain else None})


@app.command(epilog=PUBLISH)
@remote
def publish(
    to: Remote,
    file: Annotated[str | None, Argument(metavar="FILE", help="The body; - is standard input.")] = None,
    *,
    source: Annotated[
        str | None,
        Option("--source", "-s", metavar="NAME", help="Default: the only one.", autocompletion=source_names),
    ] = None,
    body: Annotated[
        str | None, Option("--body", "-b", metavar="TEXT", help="The body, in place of a file.")
    ] = None,
    type_: Annotated[
        str | None,
        Option("--type", "-t", metavar="TYPE", help="AMQP property `type`.", autocompletion=seen_event_types),
    ] = None,
    header: Annotated[
        list[str] | None, Option("--header", "-H", metavar="K=V", help="A header; may be repeated.")
    ] = None,
    content_type: Annotated[
        str | None, Option("--content-type", metavar="TYPE", help="Of a body that need not be JSON.")
    ] = None,
    message_id: Annotated[
        str | None, Option("--message-id", metavar="ID", help="AMQP property. Default: a new one.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        Option("--idempotency-key", metavar="KEY", help="Publish once, however often this is run."),
    ] = None,
) -> None:
    """Publish a message to a source, through the bridge."""
    from bridge.publishing.cli import parsed_headers

    message: dict[str, Any] = {"source": source, "type": type_, "message_id": message_id}
    message |= {"headers": parsed_headers(header) if header else None}
    told = {name: value for name, value in message.items() if value is not None}
    whole = {**told, **body_of(file, body, content_type)}
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key is not None else None
    to.say(to.change("POST", "/events", whole, headers=headers), show_published)


@remote
def explain(
    to: Remote,
    what: Annotated[str, Argument(metavar="ID|FILE", help="An event's id, or a file; - is standard input.")],
    *,
    source: Annotated[
        str | None,
        Option("--source", "-s", metavar="NAME", help="Comes from this source.", autocompletion=source_names),
    ] = None,
    type_: Annotated[str | None, Option("--type", "-t", metavar="TYPE", help="AMQP property `type`.")] = None,
    header: Annotated[
        list[str] | None, Option("--header", "-H", metavar="K=V", help="A header; may be repeated.")
    ] = None,
    content_type: Annotated[
        str | None, Option("--content-type", metavar="TYPE", help="Of a body that need not be JSON.")
    ] = None,
    message: Annotated[
        bool, Option("--message", "-m", help="FILE holds a message with properties and headers, as JSON.")
    ] = False,
) -> None:
    """Tell which hooks get an event, and why the others do not."""
    from bridge.terminal.client import segment

    if _ID.fullmatch(what) and not Path(what).is_file():
        to.show(f"/events/{segment(what)}", show_explained, {"explain": True})
        return
    told = _message(what, type_, header, content_type, wrapped=message)
    to.say(to.change("POST", "/explain", ({"source": source} if source else {}) | told), show_explained)


def _message(
    file: str, type_: str | None, header: list[str] | None, content_type: str | None, *, wrapped: bool
) -> dict[str, Any]:
    from bridge.publishing.cli import parsed_headers

    if wrapped:
        if type_ or header or content_type:
            raise usage("--message", "the file itself holds type, headers and content type")
        value = json_option("--message", f"@{file}")
        if not isinstance(value, dict):
            raise usage("--message", f"{file} must hold a message as a JSON object")
        return value
    body = body_of(file, None, content_type)
    properties = {"content_type": body.pop("content_type"), "type": type_}
    told = {name: text for name, text in properties.items() if text is not None}
    return {**body, "properties": told, "headers": parsed_headers(header or [])}


app.command("explain", epilog=EXPLAIN)(explain)


# Events and what hooks decide, as people see them.


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


def show_events(paper: TablePrinter, answer: Any) -> None:
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


def show_event(paper: TablePrinter, event: Any) -> None:
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


def _beside_data(paper: TablePrinter, event: Any) -> None:
    paper.facts([(name, _json(event[name])) for name in ("attributes", "envelope") if name in event])


def show_decisions(paper: TablePrinter, hooks: list[Any]) -> None:
    """What each hook decides, and why."""
    paper.table(DECISIONS, hooks, "no hooks")


def show_explained(paper: TablePrinter, answer: Any) -> None:
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


def show_published(paper: TablePrinter, answer: Any) -> None:
    """Where a message went."""
    paper.line(f"{text(answer.get('message_id'))}: confirmed in queue {text(answer.get('queue'))!r}")


def _json(value: Any) -> str:
    whole = visible(json_text(value))
    return (
        whole
        if len(whole) <= _LONGEST
        else f"{whole[:_LONGEST]}... ({len(whole)} characters; --json shows all)"
    )


# Bodies and messages as the API takes them, from files and options.


def json_option(option: str, text: str) -> Any:
    """The JSON of an option's text, of a file for `@FILE`, of standard input for `@-`; raises SettingsError."""
    whole = content(text[1:]) if text.startswith("@") else text.encode()
    value = parse(whole)
    if value is None and whole.strip() != b"null":
        raise usage(option, f"no JSON in {text!r}" if len(text) < 200 else "no JSON")
    return value


def body_of(file: str | None, text: str | None, content_type: str | None) -> dict[str, Any]:
    """The members of a message that hold its body, byte for byte, and tell its type.

    Raises SettingsError where neither or both are given, and for a body that is not JSON without a content type.
    """
    if (file is None) == (text is None):
        raise usage("", "give a FILE, - for standard input, or --body TEXT")
    whole = content(file) if file is not None else str(text).encode("utf-8", "surrogateescape")
    if content_type is None and parse(whole) is None and whole.strip() != b"null":
        raise usage(file or "--body", "not JSON; give --content-type to publish it as it is")
    return {**body_members(whole), "content_type": content_type or "application/json"}


def body_members(whole: bytes) -> dict[str, str]:
    """The member that holds these bytes: as text where they are."""
    try:
        return {"body": whole.decode()}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(whole).decode()}


def name_of(file: str) -> str:
    """A file's name for messages."""
    return "standard input" if file == STDIN else file
