"""The recorder: commits entries in batches (group commit), and settles messages only after that."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from bridge.core.base import Backoff
from bridge.core.delivery import (
    Counted,
    Entry,
    Finished,
    Quarantined,
    Reached,
    Record,
    Status,
    Unkept,
    Unmatched,
    weight,
)
from bridge.core.errors import HistoryUnavailable
from bridge.core.ports import History
from bridge.pipeline.settlement import Reader, Settlement

log = structlog.get_logger(__name__)

_WELL_FILLED = 64
"""Rows from which on a batch counts as well filled."""
_HEAVY = 4 * 1024**2
"""Maximum bytes of bodies in a batch, unless a single entry has more."""
_PAUSE = 0.005
"""Seconds without an arrival that count as a pause."""


@dataclass(frozen=True, slots=True)
class GroupCommit:
    """The limits of a batch: how long to gather, in seconds, and how many entries."""

    shortest: float = 0.02
    longest: float = 0.1
    rows: int = 500


class RecorderWatch(Protocol):
    """The observer of the recorder."""

    def committed(self, seconds: float, rows: int) -> None:
        """Called when a transaction has ended."""

    def unavailable(self) -> None:
        """Called when the database could not be reached."""

    def refused(self, entry: Entry, reason: str) -> None:
        """Called when the database refused an entry for its content."""

    def recorded(self, entry: Entry) -> None:
        """Called when an entry is committed and its message settled."""


class Recorder:
    """Gathers entries, commits them together, then settles their messages.

    While the database cannot be reached it keeps the batch and retries for ever: no message is settled, so consumption stops
    once every prefetch is used up.
    """

    def __init__(
        self,
        history: History,
        send_acks: Callable[[], Awaitable[None]],
        admit_kept_back: Callable[[], None],
        *,
        watch: RecorderWatch,
        grouping: GroupCommit | None = None,
        keep_successes: bool = True,
    ) -> None:
        """`send_acks` and `admit_kept_back` are called in this order after each commit: settled messages make room for messages
        that were kept back.
        """
        self._history = history
        self._send_acks = send_acks
        self._admit_kept_back = admit_kept_back
        self._grouping = grouping or GroupCommit()
        self._keep_successes = keep_successes
        self._watch = watch
        self._waiting: list[tuple[Entry, Settlement]] = []
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._settling = False
        self._streams: list[Reader] = []
        self.down_since: float | None = None

    def add(self, entry: Entry, settlement: Settlement) -> None:
        """Adds an entry to the next commit; its message is settled after it."""
        waiting = self._waiting
        waiting.append((entry, settlement))
        if len(waiting) == 1:
            self._idle.clear()
            self._arrived.set()
        elif len(waiting) == self._grouping.rows:
            self._full.set()

    def follow(self, stream: Reader) -> None:
        """Adds a stream whose read offset is committed together with the fates of its messages."""
        self._streams.append(stream)

    def nudge(self) -> None:
        """Requests a commit because a stream was read further without an entry to write."""
        if not self._settling:
            self._idle.clear()
            self._arrived.set()

    async def run(self) -> None:
        """Commits batches until cancelled."""
        window = self._grouping.shortest
        while True:
            await self._arrived.wait()
            await self._gather(window)
            window = self._next_window(window, await self._commit_next())

    async def _commit_next(self) -> int:
        """Commits and settles one batch, and drops its references: messages must not be held until the next batch."""
        batch = self._take()
        places = self._places(batch) if self._streams else []
        refused = await self._commit(batch, [reached for _, reached in places])
        for stream, reached in places:
            stream.committed(reached)
        await self._settle(batch, refused)
        return len(batch)

    async def drained(self) -> None:
        """Waits until every entry added so far is committed and settled."""
        await self._idle.wait()

    async def _gather(self, window: float) -> None:
        """Waits up to `window` seconds for further entries.

        If all messages of a prefetch wait for this commit, or for attempts that hang, no entry arrives until acks are sent: a
        pause between arrivals ends the wait.
        """
        started = time.monotonic()
        while (before := len(self._waiting)) < self._grouping.rows:
            self._full.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE):
                    await self._full.wait()
            gathered = time.monotonic() - started
            stopped = len(self._waiting) == before and (
                before >= _WELL_FILLED or gathered >= self._grouping.shortest
            )
            if stopped or gathered >= window:
                return

    def _take(self) -> list[tuple[Entry, Settlement]]:
        """Removes and returns the next batch. A full one has a power of two rows, for which the history has a prepared
        statement.
        """
        count = self._light(min(len(self._waiting), self._grouping.rows))
        if count >= _WELL_FILLED:
            count = 1 << (count.bit_length() - 1)
        batch = self._waiting[:count]
        del self._waiting[:count]
        if not self._waiting:
            self._arrived.clear()
        return batch

    def _light(self, most: int) -> int:
        """Returns how many of the first `most` entries make one batch: over a slow connection to the database, a transaction
        must carry few bytes to end in time.
        """
        if most == 1:
            return 1
        bytes_ = 0
        for count, (entry, _) in enumerate(self._waiting[:most]):
            bytes_ += weight(entry)
            if bytes_ > _HEAVY and count:
                return count
        return most

    def _next_window(self, window: float, rows: int) -> float:
        """Returns the next window: longer while batches are well filled, shorter otherwise."""
        if rows >= _WELL_FILLED:
            return min(window * 2, self._grouping.longest)
        return max(window / 2, self._grouping.shortest)

    def _places(self, batch: list[tuple[Entry, Settlement]]) -> list[tuple[Reader, Reached]]:
        """Returns the offset that each stream has reached once this batch is committed."""
        done: dict[Reader, set[int]] = {stream: set() for stream in self._streams}
        fates = Counter(settlement for _, settlement in batch if settlement.place is not None)
        for settlement, count in fates.items():
            if settlement.place is not None and settlement.ends_with(count):
                done[settlement.place.reader].add(settlement.place.offset)
        found = ((stream, stream.reached_with(offsets)) for stream, offsets in done.items())
        return [(stream, reached) for stream, reached in found if reached is not None]

    async def _commit(self, batch: list[tuple[Entry, Settlement]], places: Sequence[Reached]) -> set[int]:
        """Writes the batch, however long that takes; returns the `id`s of the entries that were refused."""
        entries = [entry for entry, _ in batch]
        if not self._keep_successes:
            entries = [kept for entry in entries if (kept := _kept(entry)) is not None]
        entries += places
        backoff: Backoff | None = None
        while entries:
            started = time.monotonic()
            try:
                refused = await self._history.commit(entries)
            except HistoryUnavailable as error:
                self._watch.unavailable()
                self._down(error)
                backoff = backoff or Backoff(0.1)
                await backoff.pause()
                continue
            self._up()
            self._watch.committed(time.monotonic() - started, len(entries))
            for entry, reason in refused:
                self._watch.refused(entry, reason)
            return {id(entry) for entry, _ in refused}
        return set()

    async def _settle(self, batch: list[tuple[Entry, Settlement]], refused: set[int]) -> None:
        self._settling = True
        for entry, settlement in batch:
            if refused and id(entry) in refused and isinstance(entry, Quarantined):
                settlement.drop_one()  # it was to be the only copy: the message stays with the broker
            else:
                settlement.fate_committed()
                self._watch.recorded(entry)
        self._settling = False
        await self._send_acks()
        self._admit_kept_back()
        if any(stream.unsaved for stream in self._streams):
            self._arrived.set()
        elif not self._waiting:
            self._idle.set()

    def _down(self, error: HistoryUnavailable) -> None:
        if self.down_since is None:
            self.down_since = time.monotonic()
            log.error("history.unavailable", error=str(error), effect="nothing is settled until it is back")

    def _up(self) -> None:
        if self.down_since is not None:
            log.info("history.restored", away_seconds=round(time.monotonic() - self.down_since, 1))
            self.down_since = None


def _kept(entry: Entry) -> Entry | None:
    """Returns what is written of an entry if successes are not kept: a success is counted nevertheless."""
    match entry:
        case Record(status=Status.SUCCESS, waited=False):
            return Unkept(entry)
        case Unmatched():
            return None
        case Record() | Quarantined() | Unkept() | Counted() | Finished() | Reached():
            return entry
