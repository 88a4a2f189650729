"""The budgets of the process: memory of message bodies, with the backpressure that follows from it, and time per
iteration of the event loop.
"""

import asyncio
import contextlib
import ctypes
import sys
import time
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import NamedTuple

_UNBOUNDED = 1 << 60
_READING = 0.5
"""The share of the budget from which on the bridge stops reading from the broker; the rest is for what is derived
from the bodies in memory."""
_AGAIN = 0.375
"""The share of the budget below which reading resumes."""
_LITTLE = 0.25
"""The share of the budget below which what is held does not keep an arriving message from being read to its end."""
_SLOW = 0.02
_NONE = -1
_SET_DUMPABLE = 4
"""The option PR_SET_DUMPABLE of prctl(2)."""


class Budget:
    """The memory budget of the process, with its use by holder. Not thread-safe: only for the event loop.

    Bytes that are in memory already are always counted, even beyond the limit; the limit is kept by callers that can
    wait for room. A caller stops waiting when nothing else is held that could make room, so a message larger than the
    whole budget passes alone.
    """

    def __init__(self, limit: int = _UNBOUNDED) -> None:
        self.total = limit
        self.held = 0
        self.crowded = False
        """True while backpressure applies: nothing more should be read from the broker."""
        self.by_holder: dict[str, int] = {}
        self.arriving = Holder(self, "arriving")
        self._waiting: list[Callable[[], None]] = []
        self.limit_to(limit)

    def limit_to(self, limit: int) -> None:
        """Set the limit to this many bytes."""
        self.limit = limit
        self._most_read, self._again = int(limit * _READING), int(limit * _AGAIN)
        self._little = max(1, int(limit * _LITTLE))
        if self.crowded:
            self.update()

    def share(self, part: float) -> int:
        """Returns this share of the budget in bytes."""
        return max(1, int(self.limit * part))

    def fits(self, byte_count: int) -> bool:
        """Returns whether the budget has room for this many more bytes."""
        return self.held + byte_count <= self.limit

    def holder(self, name: str) -> "Holder":
        """Returns a new holder of bytes. Holders with the same name are reported together."""
        return Holder(self, name)

    def when_roomy(self, resume: Callable[[], None]) -> None:
        """Call `resume` once, when backpressure ends."""
        self._waiting.append(resume)

    def update(self) -> None:
        """Updates `crowded`. While little else is held, arriving messages are read to their end: only then do they free
        memory, and the rest may be stuck, such as copies that a full lane refuses.
        """
        most = self._again if self.crowded else self._most_read
        self.crowded = self.held >= most and self.held - self.arriving.byte_count >= self._little
        if not self.crowded and self._waiting:
            waiting, self._waiting = self._waiting, []
            for resume in waiting:
                resume()


class Held(NamedTuple):
    """The messages of one queue that are in memory: their number, their bytes, and the current prefetch."""

    messages: int
    byte_count: int
    prefetch: int


NOTHING = Held(0, 0, 0)


class Holder:
    """A holder of bytes of the budget: the number of bytes and of the items they belong to."""

    __slots__ = ("_budget", "_name", "byte_count", "count")

    def __init__(self, budget: Budget, name: str) -> None:
        self._budget = budget
        self._name = name
        self.count = 0
        self.byte_count = 0
        budget.by_holder.setdefault(name, 0)

    def take(self, byte_count: int, things: int = 1) -> None:
        """Count this many bytes as held."""
        budget = self._budget
        self.count += things
        self.byte_count += byte_count
        budget.by_holder[self._name] += byte_count
        budget.held += byte_count
        if budget.held >= budget._most_read and not budget.crowded:  # noqa: SLF001 - one module
            budget.update()

    def release(self, byte_count: int, things: int = 1) -> None:
        """Release this many bytes."""
        budget = self._budget
        self.count -= things
        self.byte_count -= byte_count
        budget.by_holder[self._name] -= byte_count
        budget.held -= byte_count
        if budget.crowded:
            budget.update()

    async def room(self, byte_count: int, most: int) -> None:
        """Waits until the holder has at most `most` bytes with these, or holds nothing; take them at once."""
        while self.count and self.byte_count + byte_count > most:  # noqa: ASYNC110 - rare, and keeps wake-ups off the hot path
            await asyncio.sleep(_SLOW)


class Hold:
    """A reservation of bytes that ends with `release`, at the latest when the object is garbage-collected."""

    __slots__ = ("_byte_count", "_holder")

    def __init__(self, holder: Holder, byte_count: int) -> None:
        self._holder = holder
        self._byte_count = byte_count
        holder.take(byte_count)

    def grow(self, byte_count: int) -> None:
        """Add bytes to the reservation."""
        if self._byte_count != _NONE:
            self._byte_count += byte_count
            self._holder.take(byte_count, 0)

    def release(self) -> None:
        """Release all bytes of the reservation."""
        byte_count, self._byte_count = self._byte_count, _NONE
        if byte_count != _NONE:
            self._holder.release(byte_count)

    def __del__(self) -> None:
        self.release()


# Cooperative scheduling: the time that message handling may take in one iteration of the event loop.


MOST = 0.005
"""Maximum seconds of one iteration; the message that exceeds it is finished."""
_WOKEN = 16
"""Maximum number of waiting tasks that are resumed in one iteration."""


class Turn:
    """The time slice of an iteration of the event loop: one chunk from the broker may hold hundreds of messages."""

    def __init__(self, most: float = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._began: float | None = None
        self._numbers = count()
        self._waiting: list[tuple[int, asyncio.Future[bool]]] = []
        self._woken = 0

    def is_over(self) -> bool:
        """Returns whether long work should wait for the next iteration; the first call starts the clock."""
        if self._began is None:
            self._began = self._clock()
            asyncio.get_running_loop().call_soon(self._next)
            return False
        return self._clock() - self._began > self._most

    async def own(self) -> None:
        """Return at once if time is left, else in a later iteration, first come first served."""
        if not self._waiting and not self._woken and not self.is_over():
            return
        number = next(self._numbers)
        while True:
            mine: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            heappush(self._waiting, (number, mine))
            self.is_over()
            try:
                is_first = await mine
            finally:
                self._woken -= mine.done() and not mine.cancelled()
            if not self.is_over() or is_first:
                return

    def _next(self) -> None:
        """Start the next iteration: the first waiting task runs, the next ones as long as time is left."""
        self._began = None
        while self._waiting and self._woken < _WOKEN:
            _, each = heappop(self._waiting)
            if not each.done():  # not cancelled
                each.set_result(not self._woken)
                self._woken += 1
        if self._waiting:
            self.is_over()


# The memory limits of the process, and the allocator of the C library.


_USUAL = 268_435_456
_PART = 3
"""The fraction of the cgroup's memory for messages: one of this many parts."""
_LEAST = 8_388_608
_UNLIMITED = 1 << 60

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""Parameters of glibc's mallopt (malloc.h)."""
_OWN_PAGES = 131_072


def usual_budget() -> int:
    """Returns a third of the memory limit of the process's cgroup, or 256 MiB if it has none."""
    most = min(_limits(), default=_UNLIMITED)
    return _USUAL if most >= _UNLIMITED else max(_LEAST, most // _PART)


def set_up_allocator() -> None:
    """Makes the allocator put large bodies in their own pages, which return to the system when freed; call it before the first
    large allocation.

    By default glibc allocates them from its heap once one was freed, where small live values keep the pages allocated; and each
    thread has its own heap. Other C libraries have no such setting.
    """
    if (mallopt := libc("mallopt")) is not None:
        mallopt(_MMAP_THRESHOLD, _OWN_PAGES)
        mallopt(_TRIM_THRESHOLD, _OWN_PAGES)
        mallopt(_ARENA_MAX, 2)


def keep_memory_private() -> None:
    """Disables core dumps, and on Linux the access of other processes of the same user to memory and environment.

    RLIMIT_CORE alone does not suffice: the kernel ignores it if a program collects dumps (core_pattern(5)). Scripts inherit the
    limit, but not the rest. root can still access everything.
    """
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # Windows has none

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def libc(name: str) -> Callable[..., int] | None:
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except OSError:
        return None


def _limits() -> Iterator[int]:
    """Yields the limits of the cgroup and its ancestors, of version 2 or 1."""
    for root, file, group in _groups():
        for folder in (group, *group.parents):
            try:
                text = (root / folder.relative_to("/") / file).read_text()
            except OSError:
                continue
            if text.strip().isdecimal():
                yield int(text)


def _groups() -> Iterator[tuple[Path, str, Path]]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            yield Path("/sys/fs/cgroup"), "memory.max", Path(path)
        elif "memory" in controllers.split(","):
            yield Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", Path(path)
