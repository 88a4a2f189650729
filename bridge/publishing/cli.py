"""`amqp-bridge publish`."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from itertools import chain, islice, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import orjson
import typer
import uuid_utils
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typer import Argument

from bridge.amqp.connection import Address, Link, Silent
from bridge.amqp.publisher import ConfirmedPublisher
from bridge.amqp.topology import Names, Topology
from bridge.checks.broker import broker_address
from bridge.core.errors import BridgeError, BrokerRefused, Problem, SettingsError
from bridge.core.event import Message
from bridge.core.ports import Outgoing
from bridge.settings.shape import nearest
from bridge.settings.transport import SecretUrl, broker_url
from bridge.settings.tree import Broker
from bridge.telemetry import logs
from bridge.terminal.configuration import find
from bridge.terminal.groups import Commands, flag, option
from bridge.terminal.options import STDIN, event_types, opened, parsed_headers
from bridge.terminal.output import print_json, usage
from bridge.terminal.paper import count

EXAMPLES = """\b
Examples:
  amqp-bridge publish -c bridge.yaml --source splynx event.json
  amqp-bridge publish --url amqp://guest:guest@127.0.0.1/ --queue "my queue" event.json
  amqp-bridge publish --queue hooks2 --body '{"hello": "world"}' --count 1000
  zcat events.ndjson.gz | amqp-bridge publish --source splynx --ndjson -"""

app = Commands()


@app.local(
    epilog=EXAMPLES,
    own=(
        option("--config -c", "FILE", "Configuration that has broker and source.", Path),
        option("--source -s", "NAME", "Publish to the queue of this source."),
        option("--url", "URL", "URL of the broker, instead of a configuration."),
        option("--queue -q", "QUEUE", "Publish to this queue."),
        option("--body -b", "TEXT", "Publish one message with this body."),
        flag("--ndjson", "Read one message from each line; default for .ndjson and .jsonl."),
        option("--count -n", None, "How many times to publish the messages.", int, default=1, min=1),
        option("--type -t", "TYPE", "AMQP property `type`.", autocompletion=event_types),
        option("--header -H", "K=V", "A header; may be repeated.", list[str]),
        option("--content-type", "TYPE", "Content type of bodies that need not be JSON."),
        flag("--create", "Create the queue if it does not exist: durable, without arguments."),
        flag("--json", "Print the result as JSON.", name="as_json"),
    ),
)
def publish(
    files: Annotated[
        list[str] | None, Argument(metavar="FILE...", help="JSON files; - is standard input.")
    ] = None,
    **options: Any,
) -> None:
    """Publish messages to a source or a queue.

    Each is confirmed by the broker, and one that no queue takes is an error.

    The queue must exist, or --create makes it the way publishers declare it.
    """
    given = SimpleNamespace(**options)
    broker, name = _destination(given.config, given.source, given.url, given.queue)
    if given.body is not None:
        found = iter([(given.body.encode(), "--body")])
    else:
        found = _bodies(_given(files), lines=given.ndjson)
    headers = parsed_headers(given.header or [])
    messages = _messages(found, given.count, headers, given.type, given.content_type)
    published = _publish_to(broker, name, messages, create=given.create)
    if given.as_json:
        print_json({"queue": name, "published": published})
    else:
        typer.echo(f"{count(published, 'message')} confirmed in queue {name!r}")


# The implementation of `amqp-bridge publish`.


def _publish_to(broker: Broker, queue: str, found: Iterator[Message], *, create: bool) -> int:
    """Publishes all messages, with a progress bar on a terminal; returns their number. Raises as `_publish_all`."""
    logs.set_up("error", "console")
    found, done = _not_empty(found), 0
    with _progress() as advance:

        def confirmed() -> None:
            nonlocal done
            done += 1
            advance()

        try:
            address = broker_address(broker, broker)
            return asyncio.run(_publish_all(address, queue, found, create=create, confirmed=confirmed))
        except BridgeError:
            if done:
                typer.echo(f"{done} confirmed before this:", err=True)
            raise
        except KeyboardInterrupt:
            typer.echo(f"interrupted: {done} confirmed", err=True)
            raise


@contextmanager
def _progress() -> Iterator[Callable[[], None]]:
    """Yields the function that advances the counter on standard error; without a terminal it does nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("publishing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda: progress.advance(task)


def _not_empty(found: Iterator[Message]) -> Iterator[Message]:
    """Returns the same messages; the first is made at once, so that its errors are reported before connecting."""
    first = next(found, None)
    if first is None:
        raise usage("", "nothing to publish: the input is empty")
    return chain([first], found)


def _destination(
    config: Path | None, source: str | None, url: str | None, queue: str | None
) -> tuple[Broker, str]:
    """Returns the broker and the queue; raises SettingsError if the options do not determine both, or are contradictory."""
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


def _given(files: list[str] | None) -> list[str]:
    """Returns the files, or standard input; raises SettingsError if that is a terminal."""
    if not files and sys.stdin.isatty():
        raise usage("", "nothing to publish: give a FILE, - for standard input, or --body TEXT")
    return files or [STDIN]


# The messages for `publish`: from files, standard input or a text.


def _bodies(files: Iterable[str], *, lines: bool) -> Iterator[tuple[bytes, str]]:
    """Yields each body with its origin; with `lines` (and for .ndjson, .jsonl files) each line is one.

    Raises SettingsError for a file that cannot be read.
    """
    for name in files:
        with opened(name) as stream:
            if lines or Path(name).suffix in {".ndjson", ".jsonl"}:
                numbered = ((line.strip(), f"{name}:{number}") for number, line in enumerate(stream, 1))
                yield from ((body, where) for body, where in numbered if body)
            else:
                yield stream.read(), name


def _messages(
    found: Iterable[tuple[bytes, str]],
    count: int,
    headers: dict[str, str],
    kind: str | None,
    content_type: str | None,
) -> Iterator[Message]:
    """Yields every body, unchanged, as a message with its own id, all of them `count` times; with 1 nothing is kept in memory.
    Without a content type each body must be JSON.
    """
    if count > 1:
        found = chain.from_iterable(repeat(list(found), count))
    for body, where in found:
        if content_type is None:
            _must_be_json(body, where)
        yield Message(
            body=body,
            headers=headers,
            type=kind,
            content_type=content_type or "application/json",
            message_id=str(uuid_utils.uuid7()),
            timestamp=datetime.now(UTC),
        )


def _must_be_json(body: bytes, where: str) -> None:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        message = f"not JSON: {error}; give --content-type to publish it as it is"
        raise SettingsError([Problem("", message, where)]) from None


# Publishing from the command line: with confirms, and declaring a queue only as its publishers do.


_AT_ONCE = 200


async def _publish_all(
    address: Address, queue: str, messages: Iterator[Message], *, create: bool, confirmed: Callable[[], None]
) -> int:
    """Publishes all messages to the queue and returns their number; `confirmed` is called after each confirm.

    Checks the queue first. A missing one is declared, durable and without arguments, if `create`; else BrokerRefused is raised.
    Raises BrokerUnavailable or a PublishFailed, after which earlier messages remain published.
    """
    count = 0
    async with _connected(address) as (publisher, topology):
        if await topology.depth(queue) is None and not (create and await topology.declare_source(queue)):
            raise BrokerRefused(
                f"there is no queue {queue!r} on the broker; --create makes it (durable, no arguments)"
            )
        # The first one opens the channel; several that wait for it could overtake each other.
        for message in islice(messages, 1):
            await _publish(publisher, queue, message, confirmed)
            count += 1
        count += await _many(messages, lambda message: _publish(publisher, queue, message, confirmed))
    return count


async def _many(messages: Iterator[Message], publish: Callable[[Message], Coroutine[Any, Any, None]]) -> int:
    count = 0
    waiting: set[asyncio.Task[None]] = set()
    try:
        for message in messages:
            waiting.add(asyncio.create_task(publish(message)))
            count += 1
            if len(waiting) >= _AT_ONCE:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.gather(*done)
        await asyncio.gather(*waiting)
    except Exception:
        # Publishes in progress may still succeed: they are awaited, so that the count of confirms is right.
        await asyncio.gather(*waiting, return_exceptions=True)
        raise
    return count


async def _publish(
    publisher: ConfirmedPublisher, queue: str, message: Message, confirmed: Callable[[], None]
) -> None:
    message_id = message.message_id or str(uuid_utils.uuid7())
    await publisher.publish(Outgoing.to_queue(queue, message_id, message))
    confirmed()


@asynccontextmanager
async def _connected(address: Address) -> AsyncIterator[tuple[ConfirmedPublisher, Topology]]:
    link = Link("publish", address, Silent())
    await link.connect_once()
    publisher = ConfirmedPublisher(link)
    try:
        yield publisher, Topology(link, Names())
    finally:
        await publisher.close()
        await link.close()
