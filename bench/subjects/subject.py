"""Those who are measured: how they are started, and what they tell while they run."""

import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from bench.load import Work
from bench.subjects.meter import Meter
from devtools.nodes import processes
from devtools.nodes.scratch import Scratch
from devtools.project import ROOT, program_environment, without_settings

Argv = Callable[[Work], Sequence[str]]
STOP_SECONDS = 40


class RunFailed(Exception):
    """A run came to nothing; the message says why."""


@dataclass(frozen=True)
class Metrics:
    """What one says of itself since its start: TCP connections made to deliver, deliveries parked in a lane."""

    connections: float | None = None
    parked: float | None = None


class Running(Protocol):
    """One that is at work."""

    def check(self) -> None:
        """Raises RunFailed when it has ended."""
        ...

    def cpu_seconds(self) -> float:
        """What it has used so far."""
        ...

    def peak_memory_bytes(self) -> int:
        """The most it held so far."""
        ...

    def statements(self) -> int | None:
        """SQL statements so far, where they are counted."""
        ...

    def metrics(self) -> Metrics:
        """What it says of itself, where it does."""
        ...


class Subject(Protocol):
    """One way to do the work."""

    def running(self, work: Work, scratch: Scratch) -> AbstractContextManager[Running]:
        """At work within the context, and gone after it."""
        ...

    async def recorded(self, work: Work) -> int | None:
        """How many deliveries its history calls a success, after it has ended; None without a history."""
        ...


class RunningProgram:
    """A process at work."""

    def __init__(self, process: subprocess.Popen[bytes], work: Work) -> None:
        self._process = process
        self._work = work
        self._meter = Meter(process.pid)

    def check(self) -> None:
        if (code := self._process.poll()) is not None:
            raise RunFailed(f"it ended with exit code {code}: {last_words(self._work)}")

    def cpu_seconds(self) -> float:
        return self._meter.cpu_seconds()

    def peak_memory_bytes(self) -> int:
        return self._meter.peak_memory_bytes()

    def statements(self) -> int | None:
        return None

    def metrics(self) -> Metrics:
        return Metrics()


class Program:
    """A subject that is one process."""

    def __init__(self, argv: Argv) -> None:
        self._argv = argv

    @contextmanager
    def running(self, work: Work, scratch: Scratch) -> Iterator[Running]:
        with started(self._argv(work), work, scratch) as process:
            yield RunningProgram(process, work)

    async def recorded(self, work: Work) -> int | None:
        del work
        return None


@contextmanager
def started(argv: Sequence[str], work: Work, scratch: Scratch) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own that is gone after the context, or with us."""
    # The folder's name in the environment is how a left-over process is recognised as ours.
    environment = without_settings(program_environment(BENCH_FOLDER=str(work.folder)))
    process = processes.spawn(argv, env=environment, log=work.folder / "log", folder=ROOT)
    scratch.record(work.folder.name, process.pid, signal.SIGTERM)
    try:
        yield process
    finally:
        processes.end_tree(process.pid, signal.SIGTERM, STOP_SECONDS)
        process.wait(10)


def last_words(work: Work) -> str:
    """The end of what it printed."""
    log = work.folder / "log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return text[-2000:].strip() or "it printed nothing"
