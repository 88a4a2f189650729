"""Runs commands within the test's own process: starting a program for each would cost half a second."""

import asyncio
import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from bridge.cli.main import main


@dataclass(frozen=True)
class Told:
    """What a command printed, and its exit code."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode()

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.raw)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def command(*arguments: str, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> Told:
    """What `amqp-bridge` with these arguments does; of the environment it sees no other variable of the bridge."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with (
        _surroundings(arguments, env or {}, stdin),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = _exit_code()
    out.flush()
    written = out.buffer
    assert isinstance(written, io.BytesIO)
    return Told(code, written.getvalue(), err.getvalue())


def _exit_code() -> int:
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


@contextlib.contextmanager
def _surroundings(arguments: tuple[str, ...], env: Mapping[str, str], stdin: bytes) -> Iterator[None]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}
    with (
        patch.object(sys, "argv", ["amqp-bridge", *arguments]),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8")),
        patch.dict(os.environ, {**others, **env}, clear=True),
    ):
        yield


@dataclass(frozen=True)
class Commands:
    """Commands for one running bridge."""

    url: str
    token: str

    async def __call__(self, *arguments: str, stdin: bytes = b"", **env: str) -> Told:
        """The command, in a thread, so that endpoints of the test go on answering."""
        known = {"BRIDGE_URL": self.url, "BRIDGE_ADMIN_TOKEN": self.token}
        return await asyncio.to_thread(command, *arguments, env=known | env, stdin=stdin)

    async def done(self, *arguments: str, stdin: bytes = b"") -> Told:
        """The command, which has to succeed."""
        told = await self(*arguments, stdin=stdin)
        assert told.code == 0, told.err
        return told

    async def json(self, *arguments: str, stdin: bytes = b"") -> Any:
        """What the command, which has to succeed, prints with --json."""
        return (await self.done(*arguments, "--json", stdin=stdin)).json
