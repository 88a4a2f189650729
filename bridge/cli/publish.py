"""`amqp-bridge publish`."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typer import Argument, Option

from bridge.cli.configuration import find
from bridge.cli.messages import STDIN, Shape, bodies, messages
from bridge.cli.output import print_json
from bridge.model.errors import BridgeError, Problem, SettingsError
from bridge.model.event import Message
from bridge.settings.addresses import SecretUrl, broker_url
from bridge.settings.shape import nearest
from bridge.settings.tree import Broker
from bridge.telemetry import logs

EXAMPLES = """\b
Examples:
  amqp-bridge publish -c bridge.yaml --source splynx event.json
  amqp-bridge publish --url amqp://guest:guest@127.0.0.1/ --queue "my queue" event.json
  amqp-bridge publish --queue hooks2 --body '{"hello": "world"}' --count 1000
  zcat events.ndjson.gz | amqp-bridge publish --source splynx --ndjson -"""


def publish(
    files: Annotated[
        list[str] | None, Argument(metavar="FILE...", help="JSON files; - is standard input.")
    ] = None,
    *,
    config: Annotated[
        Path | None, Option("--config", "-c", metavar="FILE", help="Where broker and source are.")
    ] = None,
    source: Annotated[
        str | None, Option("--source", "-s", metavar="NAME", help="To the queue of this source.")
    ] = None,
    url: Annotated[
        str | None, Option("--url", metavar="URL", help="The broker, without a configuration.")
    ] = None,
    queue: Annotated[str | None, Option("--queue", "-q", metavar="QUEUE", help="To this queue.")] = None,
    body: Annotated[
        str | None, Option("--body", "-b", metavar="TEXT", help="One message with this body.")
    ] = None,
    ndjson: Annotated[
        bool, Option("--ndjson", help="Each line is a message; always so for .ndjson and .jsonl.")
    ] = False,
    count: Annotated[int, Option("--count", "-n", min=1, help="Publish everything so many times.")] = 1,
    type_: Annotated[str | None, Option("--type", "-t", metavar="TYPE", help="AMQP property `type`.")] = None,
    header: Annotated[
        list[str] | None, Option("--header", "-H", metavar="K=V", help="A header; may be repeated.")
    ] = None,
    content_type: Annotated[
        str | None, Option("--content-type", metavar="TYPE", help="Of bodies that need not be JSON.")
    ] = None,
    create: Annotated[
        bool, Option("--create", help="Make the queue if there is none: durable, no arguments.")
    ] = False,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Publish messages to a source or a queue.

    Each is confirmed by the broker, and one that no queue takes is an error.

    The queue must exist, or --create makes it the way publishers declare it.
    """  # fmt: skip
    broker, name = _destination(config, source, url, queue)
    found = iter([(body.encode(), "--body")]) if body is not None else bodies(_given(files), lines=ndjson)
    shape = Shape(_headers(header or []), type_, content_type)
    logs.set_up("error", "console")
    published = _publish(broker, name, _not_empty(messages(found, shape, count)), create=create)
    if as_json:
        print_json({"queue": name, "published": published})
    else:
        typer.echo(f"{published} {'message' if published == 1 else 'messages'} confirmed in queue {name!r}")


def _publish(broker: Broker, queue: str, found: Iterator[Message], *, create: bool) -> int:
    from bridge.app.parts import broker_address
    from bridge.app.publish import publish_all

    done = 0

    with _progress() as advance:

        def confirmed() -> None:
            nonlocal done
            done += 1
            advance()

        try:
            address = broker_address(broker, broker)
            return asyncio.run(publish_all(address, queue, found, create=create, confirmed=confirmed))
        except BridgeError:
            if done:
                typer.echo(f"{done} confirmed before this:", err=True)
            raise
        except KeyboardInterrupt:
            typer.echo(f"interrupted: {done} confirmed", err=True)
            raise


@contextmanager
def _progress() -> Iterator[Callable[[], None]]:
    """A counter that moves on standard error, on a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("publishing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda: progress.advance(task)


def _not_empty(found: Iterator[Message]) -> Iterator[Message]:
    """The same messages; the first is made now, so that what is wrong with it is told before any connection."""
    first = next(found, None)
    if first is None:
        raise _usage("", "nothing to publish: the input is empty")
    return chain([first], found)


def _destination(
    config: Path | None, source: str | None, url: str | None, queue: str | None
) -> tuple[Broker, str]:
    """The broker and the queue; raises SettingsError where the options do not tell both, or too much."""
    if (source is None) == (queue is None):
        raise _usage("", "give either --source NAME or --queue QUEUE")
    if url is not None:
        if queue is None or config is not None:
            raise _usage("--url", "goes with --queue, and without --config and --source")
        return Broker(url=[_checked(url)]), queue
    if (
        queue is not None
        and config is None
        and not Path("bridge.yaml").exists()
        and not os.environ.get("BRIDGE_BROKER__URL")
    ):
        raise _usage("--queue", "give the broker with --url URL or -c FILE")
    settings = find(config).destinations()
    if queue is not None:
        return settings.broker, queue
    queues = {known.name: known.queue for known in settings.sources}
    if source not in queues:
        raise _usage("--source", f"no source {source!r}{nearest(str(source), list(queues))}")
    return settings.broker, queues[source]


def _checked(url: str) -> SecretUrl:
    try:
        return broker_url(SecretUrl(url))
    except ValueError as error:
        raise _usage("--url", str(error)) from None


def _given(files: list[str] | None) -> list[str]:
    if not files and sys.stdin.isatty():
        raise _usage("", "nothing to publish: give a FILE, - for standard input, or --body TEXT")
    return files or [STDIN]


def _headers(given: list[str]) -> dict[str, str]:
    headers = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise _usage("--header", f"{text!r} is not of the form name=value")
        headers[name] = value
    return headers


def _usage(path: str, message: str) -> SettingsError:
    return SettingsError([Problem(path, message)])
