"""`amqp-bridge inspect`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

EXAMPLES = """\b
Examples:
  amqp-bridge inspect event.json                      a body alone
  amqp-bridge inspect --json --format splynx --timezone Europe/Prague event.json
  amqp-bridge inspect --json --message message.json   a whole message, such as
    {"exchange": "", "routing_key": "hooks2", "properties": {"message_id": "m-1", "type": "a.b"},
     "headers": {"x": 1}, "body": {"any": "JSON"}}
  amqp-bridge inspect -c bridge.yaml --source splynx event.json
  curl -s https://example.net/event.json | amqp-bridge inspect --json - | jq .type

\b
With --config a body alone is taken to come by the name of the source's queue, as publish sends it.
A body in the message is an object, a list, a number or null, sent as compact JSON, or text, sent as it is;
"body_base64" in its place holds any bytes. Properties are those of AMQP, the timestamp in Unix seconds or
RFC 3339. With --json each event is one line with format, type, publisher_id, time, data, source, webhook_id,
identity, headers, content_type; of a message with several events also position and events; dead_letters
where the broker dead-lettered it; data_fault where there are no data, and why; with --config hooks, each with hook, matches, decision, reason, and dedupe_key
where the source has dedupe (null: it is never a duplicate; dedupe_fault: and why). What would go to quarantine is {"quarantined": reason, "detail": ...}, and the exit code 1."""

File = Annotated[str | None, Argument(metavar="FILE", help="A file; - or none is standard input.")]
Config = Annotated[
    Path | None, Option("--config", "-c", metavar="FILE", help="Tell which of its hooks match, and why not.")
]
Name = Annotated[
    str | None,
    Option(
        "--source",
        "-s",
        metavar="NAME",
        help="The message comes from this source. Default: the only one, or the one whose queue the message names.",
    ),
]
Format = Annotated[
    str | None,
    Option("--format", "-f", metavar="FORMAT", help="Default: that of the source, else auto."),
]
Timezone = Annotated[
    str | None, Option("--timezone", metavar="ZONE", help="Default: that of the source, else UTC.")
]
Wrapped = Annotated[
    bool, Option("--message", "-m", help="FILE holds a message with properties and headers, as JSON.")
]
AsJson = Annotated[bool, Option("--json", help="Print each event as JSON on one line.")]


def inspect(
    file: File = None,
    *,
    config: Config = None,
    source: Name = None,
    format_: Format = None,
    timezone: Timezone = None,
    message: Wrapped = False,
    as_json: AsJson = False,
) -> None:
    """Say how a message would be decoded, and which hooks match.

    For each hook that does not match it says why not. Nothing is contacted, published or delivered. Formats: auto, splynx, phlix, plinqx, cockpit, cloudevents, celery, masstransit, nservicebus, spring, laravel, keycloak, oslo, debezium, gitlab, nestjs, symfony, dramatiq, standard, json.
    """
    from bridge.cli.failures import FAILED
    from bridge.cli.inspecting import Options, inspect_file

    options = Options(config, source, format_, timezone)
    if not inspect_file(file, options, wrapped=message, as_json=as_json):
        raise typer.Exit(FAILED)
