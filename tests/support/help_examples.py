"""The examples that commands show in their help."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import typer

from bridge.cli.main import app
from bridge.terminal.groups import all_commands

_SHELL = frozenset({"|", "<", ">", "&&", "2>"})


@cache
def examples() -> tuple[tuple[str, ...], ...]:
    """Arguments of every example behind `amqp-bridge`, up to what is the shell's."""
    return tuple(
        dict.fromkeys(
            words for _, command in all_commands(typer.main.get_command(app)) for words in _of(command)
        )
    )


def _of(command: Any) -> Iterator[tuple[str, ...]]:
    for line in re.sub(r"\\\n\s*", " ", command.epilog or "").splitlines():
        yield from _of_line(line.strip())


def _of_line(line: str) -> Iterator[tuple[str, ...]]:
    line = line.removeprefix("... | ")
    if not line.startswith("amqp-bridge "):
        return
    # What stands behind several blanks is what the example is for.
    words = shlex.split(line.split("   ")[0])[1:]
    ends = [place for place, word in enumerate(words) if word in _SHELL]
    if "--help" not in words:
        yield tuple(words[: ends[0]] if ends else words)
