"""`amqp-bridge publish`."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import orjson
import typer
import uuid_utils
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typer import Argument, Option

from bridge.amqp.connection import Address, Link
from bridge.amqp.publisher import ConfirmedPublisher
from bridge.amqp.topology import Names, Topology
from bridge.core.errors import BridgeError, BrokerRefused, Problem, SettingsError
from bridge.core.event import Message
from bridge.core.ports import Outgoing
from bridge.settings.shape import nearest
from bridge.settings.transport import SecretUrl, broker_url
from bridge.settings.tree import Broker
from bridge.telemetry import logs
from bridge.terminal.configuration import find
from bridge.terminal.output import STDIN, event_types, opened, usage

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
    from bridge.terminal.output import print_json

    broker, name = destination(config, source, url, queue)
    found = iter([(body.encode(), "--body")]) if body is not None else bodies(given(files), lines=ndjson)
    shape = Shape(parsed_headers(header or []), type_, content_type)
    published = publish_to(broker, name, messages(found, shape, count), create=create)
    if as_json:
        print_json({"queue": name, "published": published})
    else:
        typer.echo(f"{published} {'message' if published == 1 else 'messages'} confirmed in queue {name!r}")


# What `amqp-bridge publish` does.


def publish_to(broker: Broker, queue: str, found: Iterator[Message], *, create: bool) -> int:
    """Publish all messages, with a progress bar on a terminal; gives how many. Raises as `publish_all` does."""
    from bridge.checks.broker_address import broker_address

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


# What `publish` publishes: files, standard input or a text, as messages.


LINES = {".ndjson", ".jsonl"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What all messages have in common; `content_type` None: each body must be JSON."""

    headers: dict[str, str]
    type: str | None = None
    content_type: str | None = None

    def message(self, body: bytes, where: str) -> Message:
        """The body, untouched, as a message with an id of its own."""
        if self.content_type is None:
            _must_be_json(body, where)
        return Message(
            body=body,
            headers=self.headers,
            type=self.type,
            content_type=self.content_type or "application/json",
            message_id=str(uuid_utils.uuid7()),
            timestamp=datetime.now(UTC),
        )


def _must_be_json(body: bytes, where: str) -> None:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        message = f"not JSON: {error}; give --content-type to publish it as it is"
        raise SettingsError([Problem("", message, where)]) from None


def bodies(files: Iterable[str], *, lines: bool) -> Iterator[tuple[bytes, str]]:
    """Each body with the place it comes from; of `lines` (and .ndjson, .jsonl files) each line is one.

    Raises SettingsError for a file that cannot be read.
    """
    for name in files:
        with opened(name) as stream:
            if lines or Path(name).suffix in LINES:
                yield from _each_line(stream, name)
            else:
                yield stream.read(), name


def _each_line(stream: BinaryIO, name: str) -> Iterator[tuple[bytes, str]]:
    for number, line in enumerate(stream, 1):
        if body := line.strip():
            yield body, f"{name}:{number}"


def messages(found: Iterable[tuple[bytes, str]], shape: Shape, count: int) -> Iterator[Message]:
    """Every body as a message, all of them `count` times; with 1 nothing is kept in memory."""
    if count > 1:
        found = chain.from_iterable(repeat(list(found), count))
    for body, where in found:
        yield shape.message(body, where)


# Publishing from the command line: confirmed, and never declaring a queue otherwise than its publishers do.


_AT_ONCE = 200


async def publish_all(
    address: Address, queue: str, messages: Iterator[Message], *, create: bool, confirmed: Callable[[], None]
) -> int:
    """Publish all messages to the queue and return how many; `confirmed` is called after each confirm.

    Looks for the queue first. Where there is none it is made, durable and without arguments, if `create`, else
    BrokerRefused is raised. Raises BrokerUnavailable or a PublishFailed, after which earlier messages stand.
    """
    count = 0
    async with _connected(address) as (publisher, topology):
        if await topology.depth(queue) is None and not (create and await topology.declare_source(queue)):
            raise BrokerRefused(
                f"there is no queue {queue!r} on the broker; --create makes it (durable, no arguments)"
            )
        # The channel comes up with the first one; those that wait for that together would overtake each other.
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
        # What is under way may well arrive: it is waited for, so that it counts among what was confirmed.
        await asyncio.gather(*waiting, return_exceptions=True)
        raise
    return count


async def _publish(
    publisher: ConfirmedPublisher, queue: str, message: Message, confirmed: Callable[[], None]
) -> None:
    message_id = message.message_id or str(uuid_utils.uuid7())
    await publisher.publish(Outgoing("", queue, message_id, message.body, message.headers, message))
    confirmed()


class _Silent:
    """One short connection needs nobody to count it."""

    def connected(self, role: str, address: str) -> None:
        """It is open."""

    def lost(self, role: str, error: str) -> None:
        """It is gone."""


@asynccontextmanager
async def _connected(address: Address) -> AsyncIterator[tuple[ConfirmedPublisher, Topology]]:
    link = Link("publish", address, _Silent())
    await link.connect_once()
    publisher = ConfirmedPublisher(link)
    try:
        yield publisher, Topology(link, Names())
    finally:
        await publisher.close()
        await link.close()
