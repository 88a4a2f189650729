"""One run of a program: start it, write its input, read the end of its output, with a timeout for each wait.

Processes are started with subprocess.Popen (vfork) and awaited by pidfd. asyncio's own subprocesses cost more than
twice the CPU, 850 runs of a shell script per second against 1,250, and 150 under uvloop (Python 3.11, uvloop 0.23, the
same machine).
"""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.targets.script.reaper import MARK, ProcessReaper

_CHUNK = 65_536
_LARGE = 1_048_576
"""The size in bytes from which an input is written in a thread."""
_FIRST_TO_GO = "500"
"""The OOM score adjustment: halfway to the maximum, inherited by children."""
_MOST_CHUNKS = 16
"""Maximum reads after the end of a program whose children keep writing: 1 MiB."""


@dataclass(frozen=True, slots=True)
class Command:
    """The command to run: argv without a shell, in its own session, with only the standard files open.

    `identity` are Popen's `user`, `group` and `extra_groups`, `output` the bytes kept of the end of its output, `umask`
    as for umask(2), -1 for the bridge's own. `linger` is the grace period in seconds of processes left behind. `memory`
    is the limit of data (RLIMIT_DATA) in bytes, set if the system permits; None: no limit.
    """

    argv: Sequence[str]
    cwd: str
    identity: Mapping[str, Any]
    output: int
    umask: int = -1
    linger: float = 0.0
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a run: the exit code, or minus the signal's number; `late`: it timed out."""

    code: int
    output: bytes
    late: bool


async def run(
    command: Command,
    env: Mapping[str, str],
    stdin: bytes,
    timeout: float,
    grace: float,
    *,
    family: ProcessReaper,
) -> Run:
    """Start the program and wait until it ends: at most `timeout` seconds, then `grace` more after SIGTERM.

    Both signals go to its whole process group. Processes left behind are not awaited, even if they hold the output
    open; they may run for `linger` seconds, or none if the program timed out. Raises OSError if the program cannot be
    started.
    """
    mark = family.new_mark()
    source = _as_file(stdin) if len(stdin) < _LARGE else await asyncio.to_thread(_as_file, stdin)
    process, output = _start(command, {**env, MARK: mark}, source)
    family.began(mark, process.pid)
    tail = _Tail(output, command.output)
    ended, linger = _Exit(process), 0.0
    try:
        late = not await ended.within(timeout)
        if late:
            _signal_group(process.pid, signal.SIGTERM)
            await ended.within(grace)
        elif family.adopts:
            linger = command.linger
        return Run(ended.reap(kill=not linger), tail.rest(), late)
    except asyncio.CancelledError:
        _signal_group(process.pid, signal.SIGKILL)
        raise
    finally:
        ended.close()
        tail.close()
        if process.returncode is None:
            # The attempt was cancelled (shutdown): the program has been killed, and the kernel ends it quickly.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
        family.ended(mark, linger)


def _start(command: Command, env: Mapping[str, str], stdin: Any) -> tuple[subprocess.Popen[bytes], int]:
    """Start the process; `stdin` is an open file, which is closed here."""
    reading, writing = os.pipe()
    try:
        with stdin as source:
            process = subprocess.Popen(
                [_octets(part) for part in command.argv],
                stdin=source,
                stdout=writing,
                stderr=writing,
                cwd=_octets(command.cwd),
                env={_octets(name): _octets(text) for name, text in env.items()},
                start_new_session=True,
                umask=command.umask,
                **command.identity,
            )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    os.set_blocking(reading, False)
    _restrain(process.pid, command.memory)
    return process, reading


def _octets(text: str) -> bytes:
    """Returns UTF-8 regardless of the locale; invalid bytes of file names and variables are preserved."""
    return text.encode("utf-8", "surrogateescape")


def _restrain(pid: int, memory: int | None) -> None:
    """Limit the memory of the process, and make the kernel kill it before the bridge when memory runs out.

    The first microseconds before the limit do not matter. Limiting a program of another user requires CAP_SYS_RESOURCE,
    which containers lack.
    """
    with contextlib.suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w") as file:  # noqa: PTH123 - cheaper
        file.write(_FIRST_TO_GO)
    if memory is not None and hasattr(resource, "prlimit"):
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))


def _as_file(content: bytes) -> Any:
    """Returns `content` as an open file, which unlike a pipe needs no writer and may stay unread."""
    file: Any
    if hasattr(os, "memfd_create"):
        file = os.fdopen(os.memfd_create("stdin"), "w+b", buffering=0)
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the caller closes it
    view = memoryview(content)
    while view:
        view = view[file.write(view) :]
    file.seek(0)
    return file


def _signal_group(leader: int, number: signal.Signals) -> None:
    # The leader has not been reaped, so its process id cannot have been reused.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


class _Exit:
    """The exit of a process, awaited by pidfd."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._fd: int | None = None
        try:
            self._fd = os.pidfd_open(process.pid)
        except (AttributeError, OSError):
            self._look()
        else:
            self._loop.add_reader(self._fd, self._done)

    async def within(self, seconds: float) -> bool:
        """Returns whether the process ended; waits up to `seconds`."""
        await asyncio.wait((self._over,), timeout=seconds)
        return self._over.done()

    def reap(self, *, kill: bool) -> int:
        """Returns the exit code, as Popen.returncode; `kill` first kills the whole group."""
        if kill:
            _signal_group(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def close(self) -> None:
        """Stop watching the pidfd."""
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None
        self._over.cancel()

    def _done(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _look(self) -> None:
        # No pidfd (not Linux, or an old kernel). WNOWAIT leaves the process unreaped for reap().
        if self._over.done():
            return
        if os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            self._done()
        else:
            self._loop.call_later(0.01, self._look)


class _Tail:
    """The last bytes read from a pipe."""

    def __init__(self, pipe: int, limit: int) -> None:
        self._pipe = pipe
        self._limit = limit
        self._kept = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pipe, self._read)

    def rest(self) -> bytes:
        """Returns the kept bytes, including those in the pipe now."""
        for _ in range(_MOST_CHUNKS):
            if not self._read():
                break
        return bytes(self._kept[-self._limit :]) if self._limit else b""

    def close(self) -> None:
        """Close the pipe; processes that still write into it get SIGPIPE."""
        self._loop.remove_reader(self._pipe)
        os.close(self._pipe)

    def _read(self) -> bool:
        try:
            chunk = os.read(self._pipe, _CHUNK)
        except BlockingIOError:
            return False
        if not chunk:
            self._loop.remove_reader(self._pipe)
            return False
        self._kept += chunk
        if len(self._kept) > self._limit:
            del self._kept[: len(self._kept) - self._limit]
        return True
