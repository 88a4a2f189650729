"""The reaper of processes that scripts leave behind.

A process can leave its process group by setsid(2), and its parent by a double fork. On Linux the bridge therefore is a
subreaper: orphans become children of the bridge instead of init. Their run is identified by their environment or
session. After a SIGKILL of the bridge, a watchdog kills them.
"""

import asyncio
import contextlib
import ctypes
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path

MARK = "BRIDGE_RUN"
"""The variable that identifies the run, in the environment of its program and all descendants."""
_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2)."""
_EVERY = 0.5
_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""
_LAST_LOOKS = 20
_BETWEEN_LAST_LOOKS = 0.05


@dataclass(frozen=True, slots=True)
class _Due:
    """The deadlines for SIGTERM and SIGKILL of processes left behind by a finished run, by time.monotonic()."""

    ask: float
    kill: float


class ProcessReaper:
    """The reaper of all scripts of one bridge.

    `adopt` is for a process that starts nothing but scripts: every other child is an orphan of a script. Without it, or
    if the system has no subreapers, a run ends with its process group.
    """

    def __init__(self, *, adopt: bool) -> None:
        self._wanted = adopt
        self.adopts = False
        self._name = secrets.token_hex(8)
        self._numbers = count(1)
        self._strangers: frozenset[int] = frozenset()
        self._running: dict[str, int] = {}
        self._left: dict[str, _Due] = {}
        self._asked: set[int] = set()
        self._watching: asyncio.Task[None] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def new_mark(self) -> str:
        """Returns the value of BRIDGE_RUN for the next run. Raises OSError if no process can be started."""
        if self._wanted:
            self._begin()
            self._wanted = False
        return f"{self._name}.{next(self._numbers)}"

    def _begin(self) -> None:
        """Start the watchdog with the first script: most bridges have none."""
        self.adopts = _become_subreaper()
        if self.adopts:
            self._strangers = _children()
            self._watchdog = _start_watchdog(f"{MARK}={self._name}.")

    def began(self, mark: str, leader: int) -> None:
        """Record that a program was started with this mark."""
        if self.adopts:
            self._running[mark] = leader
            if self._watching is None or self._watching.done():
                self._watching = asyncio.create_task(self._watch(), name="scripts' children")

    def ended(self, mark: str, linger: float) -> None:
        """Records that the program was reaped; what it left may run for `linger` seconds, 0: it is killed."""
        if self._running.pop(mark, None) is not None:
            ask = time.monotonic() + linger
            self._left[mark] = _Due(ask, ask + _GRACE if linger else ask)

    async def close(self) -> None:
        """Kill all remaining processes; returns when they are gone, or after a second."""
        if not self.adopts:
            return
        if self._watching is not None:
            self._watching.cancel()
        self._left.clear()
        for _ in range(_LAST_LOOKS):
            if not self._look(await asyncio.to_thread(_children), everything=True):
                break
            await asyncio.sleep(_BETWEEN_LAST_LOOKS)
        await self._dismiss()

    async def _dismiss(self) -> None:
        if self._watchdog is None:
            return
        assert self._watchdog.stdin is not None
        self._watchdog.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._watchdog.wait, 5.0)
        self._watchdog = None

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            ended = set(self._left)
            left = self._look(await asyncio.to_thread(_children))
            # Runs that ended after the scan began are handled by the next scan.
            for mark in ended - left:
                del self._left[mark]
            if not self._running and not self._left and not left:
                return

    def _look(self, children: frozenset[int], *, everything: bool = False) -> set[str]:
        """Reap or signal what is due; returns the marks of living processes, "" for children without one."""
        known = {*self._strangers, *self._running.values(), self._watchdog.pid if self._watchdog else 0}
        left = set()
        self._asked &= children
        for pid in children - known:
            if not _lives(pid):
                continue
            mark = self._mark_of(pid)
            if mark in self._running and not everything:
                continue
            if mark is None and os.getpid() == 1:
                continue  # In a container, process 1 adopts orphans of other programs, not only those of scripts.
            left.add(mark or "")
            self._end(pid, self._left.get(mark or ""))
        return left

    def _end(self, pid: int, due: _Due | None) -> None:
        now = time.monotonic()
        if due is None or now >= due.kill:
            _signal(pid, signal.SIGKILL)
        elif now >= due.ask and pid not in self._asked:
            self._asked.add(pid)
            _signal(pid, signal.SIGTERM)

    def _mark_of(self, pid: int) -> str | None:
        begins = f"\0{MARK}={self._name}.".encode()
        with contextlib.suppress(OSError):
            environment = b"\0" + Path(f"/proc/{pid}/environ").read_bytes()
            _, found, rest = environment.partition(begins)
            if found:
                number, _, _ = rest.partition(b"\0")
                return f"{self._name}.{number.decode('ascii', 'replace')}"
        with contextlib.suppress(OSError):
            session = os.getsid(pid)
            return next((mark for mark, leader in self._running.items() if leader == session), None)
        return None


def _become_subreaper() -> bool:
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0) == 0)


def _children() -> frozenset[int]:
    """Returns the child processes, zombies included. Kernels without CONFIG_PROC_CHILDREN list none."""
    ours = str(os.getpid()).encode()
    with contextlib.suppress(OSError):
        text = Path(f"/proc/self/task/{os.getpid()}/children").read_bytes()
        return frozenset(map(int, text.split()))
    # os.listdir: pathlib takes three times as long, and there may be thousands of processes.
    names = filter(str.isdigit, os.listdir("/proc"))  # noqa: PTH208
    return frozenset(pid for pid in map(int, names) if _parent(pid) == ours)


def _parent(pid: int) -> bytes:
    try:
        # The name of a program, in brackets, may contain anything.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1]
    except OSError:
        return b""


def _lives(pid: int) -> bool:
    """Returns whether this is a living child; reaps it if it has ended. Never reaps processes of others."""
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return False


def _signal(pid: int, number: signal.Signals) -> None:
    # An unreaped child: its process id, and its group's, cannot have been reused.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        group = os.getpgid(pid)
        if group != os.getpgrp():
            os.killpg(group, number)
        else:
            os.kill(pid, number)


def _start_watchdog(mark: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__).with_name("watchdog.py")), mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={},
        start_new_session=True,
    )
