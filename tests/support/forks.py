"""Programs that start within milliseconds: forked from a process that has imported all they need.

To import the bridge takes over a second of a processor, and the suite starts hundreds of bridges. What is forked is a
process of its own like any other, with its own folder, environment and files; only what Python does before the
first line of the program is shared. That `amqp-bridge` starts from nothing is tested with tests.support.command.
"""

import atexit
import faulthandler
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
_IMPORTED = (
    "bridge.cli.main",
    "bridge.cli.run",
    "bridge.cli.inspect",
    "bridge.cli.signing",
    "bridge.terminal.configuration",
    "bridge.app.run",
    "bridge.doctor.cli",
    "bridge.publishing.cli",
    "bridge.events.cli",
    "bridge.hooks.cli_changes",
    "bridge.db.migrations",
    "alembic.command",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "sqlalchemy.dialects.postgresql.asyncpg",
)
POSSIBLE = hasattr(os, "pidfd_open")
"""Linux has all that this needs."""
_LONGEST = 3600.0
_MOST = 200_000


class Forked:
    """A forked program; of asyncio.subprocess.Process it has what tests use."""

    def __init__(self, pid: int, nursery: "_Nursery") -> None:
        self.pid = pid
        self._nursery = nursery
        self._ended = os.pidfd_open(pid)
        self._code: int | None = None

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative where a signal ended it; None while it runs."""
        if self._code is None and select.select([self._ended], [], [], 0)[0]:
            self._code = self._nursery.ask({"wait": self.pid})
            os.close(self._ended)
        return self._code

    def ended_within(self, seconds: float) -> bool:
        """Wait for its end, at most this long, without an event loop."""
        return self._code is not None or bool(select.select([self._ended], [], [], seconds)[0])

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; ProcessLookupError when it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Its exit code, as soon as it has ended."""
        await until(lambda: self.returncode is not None, _LONGEST, every=0.01)
        assert self.returncode is not None
        return self.returncode


def fork(
    code: str,
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    out: IO[bytes],
    err: IO[bytes] | None = None,
    given: IO[bytes] | None = None,
) -> Forked:
    """What `python -c CODE ARGUMENTS` starts, with `given` (default: nothing) on its standard input.

    What it prints goes to `out`, errors to `err` (default: there, too).
    """
    request = {"code": code, "arguments": list(arguments), "cwd": str(cwd), "env": dict(env)}
    nursery = _nursery()
    with Path(os.devnull).open("rb") as nothing:
        files = [file.fileno() for file in (given or nothing, out, err or out)]
        return Forked(nursery.ask(request, files), nursery)


class _Nursery:
    """The process that forks, seen from the tests."""

    def __init__(self) -> None:
        self._channel, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._last_words = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the process lives
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from tests.support.forks import main; main()", str(other.fileno())],
                cwd=ROOT,
                env=_bare() | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=self._last_words,
                stderr=self._last_words,
                pass_fds=[other.fileno()],
            )
        atexit.register(self._close)

    def ask(self, request: Mapping[str, Any], files: Sequence[int] = ()) -> int:
        """What it answers."""
        with self._lock:
            socket.send_fds(self._channel, [json.dumps(request).encode()], files)
            answer = self._channel.recv(100)
        if not answer:
            self._last_words.seek(0)
            raise AssertionError(
                f"the process that forks programs has ended:\n{self._last_words.read().decode()}"
            )
        return int(answer)

    def _close(self) -> None:
        self._channel.close()
        self._process.wait(10)
        self._last_words.close()


_started: list[_Nursery] = []
_starting = threading.Lock()


def _nursery() -> _Nursery:
    with _starting:
        if not _started:
            _started.append(_Nursery())
    return _started[0]


def _bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")}


# ---- the process that forks ----------------------------------------------------------------------------


def main() -> None:
    """Fork programs until nobody asks any more; in a forked process: be that program."""
    for name in _IMPORTED:
        import_module(name)
    threads = len(list(Path("/proc/self/task").iterdir()))
    assert threads == 1, f"{threads} threads: what they hold would be held for ever in what is forked"
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if program := _serve(socket.socket(fileno=int(sys.argv[1]))):
        _become(program)


def _serve(channel: socket.socket) -> Mapping[str, Any] | None:
    """Returns in each forked process what it is to be, and None at the end."""
    alive: set[int] = set()
    while True:
        data, files, _, _ = socket.recv_fds(channel, _MOST, 3)
        if not data:
            for pid in alive:
                os.kill(pid, signal.SIGKILL)
            return None
        request: dict[str, Any] = json.loads(data)
        if "wait" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
            alive.discard(request["wait"])
        else:
            answer = os.fork()
            if not answer:
                channel.close()
                for number, file in enumerate(files):
                    os.dup2(file, number)
                    os.close(file)
                return request
            alive.add(answer)
        for file in files:
            os.close(file)
        channel.send(str(answer).encode())


def _become(program: Mapping[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(program["cwd"])
    os.environ.clear()
    os.environ.update(program["env"])
    sys.argv = ["-c", *program["arguments"]]
    faulthandler.enable()
    exec(program["code"], {"__name__": "__main__"})
