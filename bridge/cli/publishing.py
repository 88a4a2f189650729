"""What `amqp-bridge publish` does."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bridge.cli.configuration import find
from bridge.cli.failures import usage
from bridge.cli.files import STDIN
from bridge.model.errors import BridgeError
from bridge.model.event import Message
from bridge.settings.addresses import SecretUrl, broker_url
from bridge.settings.shape import nearest
from bridge.settings.tree import Broker
from bridge.telemetry import logs


def publish_to(broker: Broker, queue: str, found: Iterator[Message], *, create: bool) -> int:
    """Publish all messages, with a progress bar on a terminal; gives how many. Raises as `publish_all` does."""
    from bridge.app.connections import broker_address
    from bridge.app.publish import publish_all

    logs.set_up("error", "console")
    found, done = _not_empty(found), 0
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
        raise usage("", "nothing to publish: the input is empty")
    return chain([first], found)


def destination(
    config: Path | None, source: str | None, url: str | None, queue: str | None
) -> tuple[Broker, str]:
    """The broker and the queue; raises SettingsError where the options do not tell both, or too much."""
    if (source is None) == (queue is None):
        raise usage("", "give either --source NAME or --queue QUEUE")
    if url is not None:
        if queue is None or config is not None:
            raise usage("--url", "goes with --queue, and without --config and --source")
        return Broker(url=[_checked(url)]), queue
    if (
        queue is not None
        and config is None
        and not Path("bridge.yaml").exists()
        and not os.environ.get("BRIDGE_BROKER__URL")
    ):
        raise usage("--queue", "give the broker with --url URL or -c FILE")
    settings = find(config).destinations()
    if queue is not None:
        return settings.broker, queue
    queues = {known.name: known.queue for known in settings.sources}
    if source not in queues:
        raise usage("--source", f"no source {source!r}{nearest(str(source), list(queues))}")
    return settings.broker, queues[source]


def _checked(url: str) -> SecretUrl:
    try:
        return broker_url(SecretUrl(url))
    except ValueError as error:
        raise usage("--url", str(error)) from None


def given(files: list[str] | None) -> list[str]:
    """The files, or standard input; raises SettingsError where that is a terminal."""
    if not files and sys.stdin.isatty():
        raise usage("", "nothing to publish: give a FILE, - for standard input, or --body TEXT")
    return files or [STDIN]


def parsed_headers(given: list[str]) -> dict[str, str]:
    """The headers of `name=value` texts; raises SettingsError for another form."""
    headers = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise usage("--header", f"{text!r} is not of the form name=value")
        headers[name] = value
    return headers
