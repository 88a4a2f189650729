"""Group commit: what happened is written in batches, and only then are messages settled."""

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
"""Bytes of bodies in a batch, unless a single one has more."""
_PAUSE = 0.005
"""Seconds without an arrival that count as a pause."""


@dataclass(frozen=True, slots=True)
class GroupCommit:
    """How long to gather, in seconds, and how much at the most."""

    shortest: float = 0.02
    longest: float = 0.1
    rows: int = 500


class RecorderWatch(Protocol):
    """Who counts what the recorder does."""

    def committed(self, seconds: float, rows: int) -> None:
        """A transaction ended."""

    def refused(self, entry: Entry, reason: str) -> None:
        """The database refused an entry for what it holds."""

    def recorded(self, entry: Entry) -> None:
        """An entry is committed and its message settled."""


class Recorder:
    """Gathers entries, commits them together, then settles their messages.

    While the database is away it keeps the batch and tries for ever: nothing is settled, so consumption stops
    by itself once every prefetch is used up.
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
        """`send_acks` and `admit_kept_back` are called in this order after each commit: settled messages make room for
        messages that were kept back.
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
        """Have this written with the next commit, and its message settled after it."""
        waiting = self._waiting
        waiting.append((entry, settlement))
        if len(waiting) == 1:
            self._idle.clear()
            self._arrived.set()
        elif len(waiting) == self._grouping.rows:
            self._full.set()

    def follow(self, stream: Reader) -> None:
        """Write how far this stream has been read with the fates of its messages."""
        self._streams.append(stream)

    def nudge(self) -> None:
        """A stream was read further without a fate that had to be written."""
        if not self._settling:
            self._idle.clear()
            self._arrived.set()

    async def run(self) -> None:
        """Commit until cancelled."""
        window = self._grouping.shortest
        while True:
            await self._arrived.wait()
            await self._gather(window)
            window = self._next_window(window, await self._commit_next())

    async def _commit_next(self) -> int:
        """Commit and settle a batch, and let go of it: its messages are not to be held until the next one comes."""
        batch = self._take()
        places = self._places(batch) if self._streams else []
        refused = await self._commit(batch, [reached for _, reached in places])
        for stream, reached in places:
            stream.committed(reached)
        await self._settle(batch, refused)
        return len(batch)

    async def drained(self) -> None:
        """Return once everything added so far is committed and settled."""
        await self._idle.wait()

    async def _gather(self, window: float) -> None:
        """Wait up to `window` seconds for more, but not for what does not come.

        Once the messages that a source may hold all wait for this commit, or for attempts that hang, nothing
        arrives until acks go out: a pause among arrivals ends the gathering.
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
        """A full batch is a power of two: the history has a statement ready for as many rows at once."""
        count = self._light(min(len(self._waiting), self._grouping.rows))
        if count >= _WELL_FILLED:
            count = 1 << (count.bit_length() - 1)
        batch = self._waiting[:count]
        del self._waiting[:count]
        if not self._waiting:
            self._arrived.clear()
        return batch

    def _light(self, most: int) -> int:
        """How many of the first `most` entries are one batch: a slow way to the database takes few bytes in the time that
        a transaction has.
        """
        bytes_ = 0
        for count, (entry, _) in enumerate(self._waiting[:most]):
            bytes_ += weight(entry)
            if bytes_ > _HEAVY and count:
                return count
        return most

    def _next_window(self, window: float, rows: int) -> float:
        """Longer while batches come well filled, shorter again when they do not."""
        if rows >= _WELL_FILLED:
            return min(window * 2, self._grouping.longest)
        return max(window / 2, self._grouping.shortest)

    def _places(self, batch: list[tuple[Entry, Settlement]]) -> list[tuple[Reader, Reached]]:
        """How far each stream has been read once this batch is committed."""
        done: dict[Reader, set[int]] = {stream: set() for stream in self._streams}
        fates = Counter(settlement for _, settlement in batch if settlement.place is not None)
        for settlement, count in fates.items():
            if settlement.place is not None and settlement.ends_with(count):
                done[settlement.place.reader].add(settlement.place.offset)
        found = ((stream, stream.reached_with(offsets)) for stream, offsets in done.items())
        return [(stream, reached) for stream, reached in found if reached is not None]

    async def _commit(self, batch: list[tuple[Entry, Settlement]], places: Sequence[Reached]) -> set[int]:
        """Write the batch, however long that takes; gives the `id`s of the entries that were refused."""
        entries = [entry for entry, _ in batch]
        if not self._keep_successes:
            entries = [kept for entry in entries if (kept := _kept(entry)) is not None]
        entries += places
        backoff = Backoff(0.1)
        while entries:
            started = time.monotonic()
            try:
                refused = await self._history.commit(entries)
            except HistoryUnavailable as error:
                self._down(error)
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
    """What is written of it where successes are not kept: that one happened counts all the same."""
    match entry:
        case Record(status=Status.SUCCESS, waited=False):
            return Unkept(entry)
        case Unmatched():
            return None
        case Record() | Quarantined() | Unkept() | Counted() | Finished() | Reached():
            return entry
