"""`amqp-bridge publish`."""

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from bridge.cli.completion import event_types

EXAMPLES = """\b
Examples:
  amqp-bridge publish -c bridge.yaml --source splynx event.json
  amqp-bridge publish --url amqp://guest:guest@127.0.0.1/ --queue "my queue" event.json
  amqp-bridge publish --queue hooks2 --body '{"hello": "world"}' --count 1000
  zcat events.ndjson.gz | amqp-bridge publish --source splynx --ndjson -"""

Files = Annotated[list[str] | None, Argument(metavar="FILE...", help="JSON files; - is standard input.")]
Config = Annotated[Path | None, Option("--config", "-c", metavar="FILE", help="Where broker and source are.")]
Source = Annotated[str | None, Option("--source", "-s", metavar="NAME", help="To the queue of this source.")]
Url = Annotated[str | None, Option("--url", metavar="URL", help="The broker, without a configuration.")]
Queue = Annotated[str | None, Option("--queue", "-q", metavar="QUEUE", help="To this queue.")]
Body = Annotated[str | None, Option("--body", "-b", metavar="TEXT", help="One message with this body.")]
Lines = Annotated[bool, Option("--ndjson", help="Each line is a message; always so for .ndjson and .jsonl.")]
Count = Annotated[int, Option("--count", "-n", min=1, help="Publish everything so many times.")]
Type = Annotated[
    str | None,
    Option("--type", "-t", metavar="TYPE", help="AMQP property `type`.", autocompletion=event_types),
]
Header = Annotated[
    list[str] | None, Option("--header", "-H", metavar="K=V", help="A header; may be repeated.")
]
ContentType = Annotated[
    str | None, Option("--content-type", metavar="TYPE", help="Of bodies that need not be JSON.")
]
Create = Annotated[bool, Option("--create", help="Make the queue if there is none: durable, no arguments.")]
AsJson = Annotated[bool, Option("--json", help="Print the result as JSON.")]


def publish(
    files: Files = None,
    *,
    config: Config = None,
    source: Source = None,
    url: Url = None,
    queue: Queue = None,
    body: Body = None,
    ndjson: Lines = False,
    count: Count = 1,
    type_: Type = None,
    header: Header = None,
    content_type: ContentType = None,
    create: Create = False,
    as_json: AsJson = False,
) -> None:
    """Publish messages to a source or a queue.

    Each is confirmed by the broker, and one that no queue takes is an error.

    The queue must exist, or --create makes it the way publishers declare it.
    """
    from bridge.cli.messages import Shape, bodies, messages
    from bridge.cli.output import print_json
    from bridge.cli.publishing import destination, given, parsed_headers, publish_to

    broker, name = destination(config, source, url, queue)
    found = iter([(body.encode(), "--body")]) if body is not None else bodies(given(files), lines=ndjson)
    shape = Shape(parsed_headers(header or []), type_, content_type)
    published = publish_to(broker, name, messages(found, shape, count), create=create)
    if as_json:
        print_json({"queue": name, "published": published})
    else:
        typer.echo(f"{published} {'message' if published == 1 else 'messages'} confirmed in queue {name!r}")
