"""`amqp-bridge events`, and `amqp-bridge explain`."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from typer import Argument, Option

from bridge.cli.asking.command import WHERE, Commands, Watching, examples, listed, remote, watched
from bridge.cli.asking.names import seen_event_types, source_names
from bridge.cli.asking.remote import Remote
from bridge.cli.failures import usage
from bridge.cli.operating.filters import Since, Source, Type, Until

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
    from bridge.cli.asking.moments import length, moment
    from bridge.cli.operating.event_views import show_events

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
    from bridge.cli.asking.client import segment
    from bridge.cli.operating.event_views import show_event

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
    from bridge.cli.operating.event_views import show_published
    from bridge.cli.operating.messages import body_of
    from bridge.cli.publishing import parsed_headers

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
    from bridge.cli.asking.client import segment
    from bridge.cli.operating.event_views import show_explained

    if _ID.fullmatch(what) and not Path(what).is_file():
        to.show(f"/events/{segment(what)}", show_explained, {"explain": True})
        return
    told = _message(what, type_, header, content_type, wrapped=message)
    to.say(to.change("POST", "/explain", ({"source": source} if source else {}) | told), show_explained)


def _message(
    file: str, type_: str | None, header: list[str] | None, content_type: str | None, *, wrapped: bool
) -> dict[str, Any]:
    from bridge.cli.operating.messages import body_of, json_option
    from bridge.cli.publishing import parsed_headers

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
