"""How many messages each source may hold at once: everything that bounds it comes together here."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol

BY_MEMORY = "memory"
"""Why a source may hold no more: its messages are that large, or nothing is known of them."""
_LOOK_EVERY = 0.02
_QUIET = 0.25
"""Seconds in which nothing came and nothing is held: all that came again is through."""
_LONGEST = 1.0
"""Seconds after which to hold more although what is held takes its time."""


class Held(Protocol):
    """One source's consumer."""

    @property
    def open(self) -> int:
        """Messages held."""
        ...

    def up(self, queue: str) -> bool:
        """The broker knows it."""
        ...

    def resize(self, queue: str, prefetch: int) -> None:
        """Hold so many at once from now on; what is held stays."""
        ...


class Way(Protocol):
    """Where a source's messages come in."""

    @property
    def received(self) -> float:
        """How many ever came."""
        ...

    @property
    def urgent(self) -> float:
        """How many had come when the last one did that must not be held for long."""
        ...


@dataclass(slots=True)
class _Source:
    """`bounds` by their reasons."""

    queue: str
    wanted: int
    consumer: Held
    way: Way
    bounds: dict[str, int] = field(default_factory=dict)

    @property
    def prefetch(self) -> int:
        return max(1, min((self.wanted, *self.bounds.values())))


@dataclass(slots=True)
class _Step:
    """How a source fared since it may hold `prefetch`."""

    prefetch: int
    since: float
    settled: float
    received: float
    still_since: float


class Prefetch:
    """The lowest bound of each source counts; a consumer is renewed where that changes."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._ramps: dict[str, _Step] = {}
        self._ramping = asyncio.Event()

    def add(self, name: str, queue: str, wanted: int, consumer: Held, way: Way) -> None:
        """A source that wants to hold `wanted` messages."""
        self._sources[name] = _Source(queue, wanted, consumer, way)

    def of(self, name: str) -> int:
        """What the source may hold now."""
        return self._sources[name].prefetch

    def bound(self, name: str, reason: str, most: int | None) -> None:
        """The source holds no more than `most` for this reason; None: it does not bound any more."""
        source = self._sources[name]
        before = source.prefetch
        if most is None:
            source.bounds.pop(reason, None)
        else:
            source.bounds[reason] = most
        if source.prefetch != before:
            source.consumer.resize(source.queue, source.prefetch)

    # ---- from one message to all ----------------------------------------------------------------------

    def start_small(self, name: str) -> None:
        """What comes next may have been handed out in vain before: hold one message, and more as they are settled.

        So the next death, if it comes soon, counts against few messages, and against others than the last one.
        """
        self.bound(name, "start", 1)
        self._ramps[name] = self._step(self._sources[name], 1, time.monotonic())
        self._ramping.set()

    async def run(self) -> None:
        """Grow what started small until cancelled."""
        while True:
            await self._ramping.wait()
            for name in list(self._ramps):
                self._grow(name, time.monotonic())
            if not self._ramps:
                self._ramping.clear()
            await asyncio.sleep(_LOOK_EVERY)

    def _step(self, source: _Source, prefetch: int, now: float) -> _Step:
        received = source.way.received
        return _Step(prefetch, now, received - source.consumer.open, received, now)

    def _grow(self, name: str, now: float) -> None:
        source, step = self._sources[name], self._ramps[name]
        received, held = source.way.received, source.consumer.open
        if not source.consumer.up(source.queue):
            self._ramps[name] = self._step(source, step.prefetch, now)
            return
        if received != step.received or held:
            step.received, step.still_since = received, now
        settled = received - held
        slow = now - step.since > _LONGEST and settled >= source.way.urgent
        if now - step.still_since > _QUIET or step.prefetch >= source.wanted:
            del self._ramps[name]
            self.bound(name, "start", None)
        elif settled - step.settled >= step.prefetch or slow:
            self._ramps[name] = self._step(source, 2 * step.prefetch, now)
            self.bound(name, "start", 2 * step.prefetch)
