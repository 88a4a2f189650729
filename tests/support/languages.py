"""The examples in other languages, as programs of their own."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest

from devtools.choice import companions
from devtools.project import ROOT
from tests.support.waiting import until

FOLDER = ROOT / "examples" / "languages"
PROGRAM_SECONDS = 30.0


@dataclass(frozen=True)
class Language:
    """How to start the publisher and the consumer of one language, and what they need."""

    name: str
    publisher: tuple[str, ...]
    consumer: tuple[str, ...]
    needs: tuple[str, ...]

    def skip_without(self) -> None:
        """Skips the test where something is missing, and says what to install."""
        missing = [need for need in companions.missing_needs() if need.name in self.needs]
        if missing:
            pytest.skip(f"no {missing[0].name}: apt-get install {' '.join(need.apt for need in missing)}")
        if self.name == "node" and not companions.has_node_library():
            pytest.skip("no amqplib for Node: ./dev test installs it where npm and a registry can be reached")

    async def publish(self, url: str, queue: str, body: bytes, *arguments: str, **env: str) -> "Ended":
        """Publish one message to the queue."""
        return await self.run(body, "--url", url, "--queue", queue, *arguments, **env)

    async def run(self, body: bytes, *arguments: str, **env: str) -> "Ended":
        """Run the publisher to its end."""
        process = await _start(self.publisher, *arguments, env=env)
        try:
            out, err = await asyncio.wait_for(process.communicate(body), PROGRAM_SECONDS)
        finally:
            _kill_group(process)
        return Ended(process.returncode or 0, out, err.decode())

    @asynccontextmanager
    async def consumer_of(
        self, url: str, queue: str, *arguments: str, read: bool = True, out: int = PIPE
    ) -> AsyncIterator["Consumer"]:
        """A consumer that has declared the queue and waits; `read` False: nobody reads what it prints. `out` is where it
        prints in place of a pipe that is read here.
        """
        process = await _start(self.consumer, "--url", url, "--queue", queue, *arguments, out=out)
        consumer = Consumer(process)
        tasks = [asyncio.create_task(consumer.listen())]
        if read:
            tasks.append(asyncio.create_task(consumer.collect()))
        try:
            await until(lambda: "waiting for messages" in consumer.err, what=lambda: consumer.err)
            yield consumer
        finally:
            _kill_group(process)
            await asyncio.gather(*tasks)
            await consumer.collect()
            await process.wait()


@dataclass(frozen=True)
class Ended:
    """How a publisher ended."""

    code: int
    out: bytes
    err: str


class Consumer:
    """A running consumer and what it printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.out = b""
        self.err = ""

    @property
    def bodies(self) -> list[bytes]:
        """What it printed, line by line."""
        return self.out.split(b"\n")[:-1]

    async def collect(self) -> None:
        """Read what it prints, to the end."""
        while self._process.stdout and (chunk := await self._process.stdout.read(65_536)):
            self.out += chunk

    async def listen(self) -> None:
        """Read its messages for people, to the end."""
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(65_536):
            self.err += chunk.decode()

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code after this signal."""
        self.signal(number)
        return await self.ended()

    def signal(self, number: signal.Signals) -> None:
        """Send it this signal."""
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code once it has ended."""
        return await asyncio.wait_for(self._process.wait(), PROGRAM_SECONDS)

    async def kill(self) -> None:
        """As if the machine lost power."""
        _kill_group(self._process)
        await self.collect()  # asyncio takes a process for ended once its output was read
        await self._process.wait()


async def _start(
    command: Iterable[str],
    *arguments: str,
    out: int = PIPE,
    env: Mapping[str, str] = MappingProxyType({}),
) -> asyncio.subprocess.Process:
    bare: dict[str, Any] = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("BRIDGE_") and name != "AMQP_URL"
    }
    return await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        env=bare | {"NODE_PATH": str(companions.NODE_MODULES)} | dict(env),
        stdin=PIPE,
        stdout=out,
        stderr=PIPE,
        start_new_session=True,
    )


def _kill_group(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _of(name: str, program: str, suffix: str, *needs: str) -> Language:
    start = (program,) if program else ()
    return Language(
        name,
        (*start, str(FOLDER / name / f"publish.{suffix}")),
        (*start, str(FOLDER / name / f"consume.{suffix}")),
        needs,
    )


LANGUAGES = {
    "php": _of("php", "php", "php", "PHP", "php-amqplib"),
    "node": _of("node", "node", "js", "Node"),
    "python": _of("python", sys.executable, "py"),
    "shell": _of("shell", "", "sh", "amqp-tools"),
}


def languages(*names: str) -> list[Language]:
    """These languages; skips the test where one cannot be run."""
    chosen = [LANGUAGES[name] for name in names]
    for language in chosen:
        language.skip_without()
    return chosen
