"""What `publish` publishes: files, standard input or a text, as messages."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, repeat
from pathlib import Path
from typing import BinaryIO

import orjson
import uuid_utils

from bridge.cli.files import opened
from bridge.model.errors import Problem, SettingsError
from bridge.model.event import Message

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
