"""One run of a program: start it, feed it, collect the end of its output, and never wait for it too long.

This starts processes with subprocess.Popen (vfork) and waits for them by pidfd. asyncio's own subprocesses cost
more than twice the CPU, 850 runs of a shell script per second against 1,250, and 150 under uvloop (Python 3.11,
uvloop 0.23, the same machine).
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
"""Bytes of an input that take longer to write than others should wait."""
_FIRST_TO_GO = "500"
"""Half of the way to what the kernel kills first when memory runs out, and inherited by children."""
_MOST_CHUNKS = 16
"""What is read at most after the end of a program whose children go on writing: 1 MiB."""


@dataclass(frozen=True, slots=True)
class Command:
    """What to start: argv without a shell, in its own session, with no open files but standard ones.

    `identity` are Popen's `user`, `group` and `extra_groups`, `output` bytes kept of the end of its output, `umask`
    as umask(2) takes it, -1 for the bridge's own. `linger`: seconds that what it leaves behind may go on. `memory`:
    bytes of data (RLIMIT_DATA) that it may have, set as far as the system lets us; None: no limit from here.
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
    """How a program ended: its exit code, or minus the signal's number; `late` if it had to be ended."""

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

    Both signals go to its whole process group. What it leaves behind is not waited for, even if that holds its
    output open; it may go on for `linger` seconds, for none if the program was late. Raises OSError when it cannot
    be started.
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
            # Nobody waits any longer (shutdown): it has been killed, and the kernel is quick about it.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
        family.ended(mark, linger)


def _start(command: Command, env: Mapping[str, str], stdin: Any) -> tuple[subprocess.Popen[bytes], int]:
    """`stdin`: an open file, which is closed."""
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
    """UTF-8, whatever the locale is; bytes of file names and variables that are no UTF-8 stay what they are."""
    return text.encode("utf-8", "surrogateescape")


def _restrain(pid: int, memory: int | None) -> None:
    """Have the kernel refuse it more memory, and kill it before the bridge where there is none left.

    Not of any weight for what it does in its first microseconds. A program of another user may only be limited
    with CAP_SYS_RESOURCE, which containers lack.
    """
    with contextlib.suppress(OSError), open(f"/proc/{pid}/oom_score_adj", "w") as file:  # noqa: PTH123 - cheaper
        file.write(_FIRST_TO_GO)
    if memory is not None and hasattr(resource, "prlimit"):
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (memory, memory))


def _as_file(content: bytes) -> Any:
    """`content` as an open file. Unlike a pipe nobody has to feed it, and it does not matter who reads it."""
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
    # The leader has not been reaped, so its number cannot belong to anybody else yet.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


class _Exit:
    """The end of a process."""

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
        """Whether it ended; waits for that up to `seconds`."""
        await asyncio.wait((self._over,), timeout=seconds)
        return self._over.done()

    def reap(self, *, kill: bool) -> int:
        """The exit code, as Popen.returncode; first the whole group is killed if it is to be."""
        if kill:
            _signal_group(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def close(self) -> None:
        """Stop watching."""
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
    """The last bytes that come out of a pipe."""

    def __init__(self, pipe: int, limit: int) -> None:
        self._pipe = pipe
        self._limit = limit
        self._kept = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pipe, self._read)

    def rest(self) -> bytes:
        """What is kept, together with what stands in the pipe now."""
        for _ in range(_MOST_CHUNKS):
            if not self._read():
                break
        return bytes(self._kept[-self._limit :]) if self._limit else b""

    def close(self) -> None:
        """Close the pipe; who still writes into it gets SIGPIPE."""
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
