"""Backpressure: how many messages each source may hold at once, and how a slow hook is kept from holding a source."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bridge.pipeline.deliver import Delivering
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.pipeline.settlement import Settlement, Work

BY_MEMORY = "memory"
"""The reason of a bound on the prefetch: the messages of the source are large, or their size is not known yet."""
_LOOK_EVERY = 0.02
_QUIET = 0.25
"""Seconds without arrivals and with nothing held after which all redelivered messages count as processed."""
_LONGEST = 1.0
"""Seconds after which the prefetch grows although held messages are not settled yet."""
_MOST_URGENT = 8
"""The prefetch beyond which it does not grow while messages near their delivery limit are held: the next death of the process
brings every held message one step closer to that limit, and suspects among them are settled one after the other.
"""


class PrefetchConsumer(Protocol):
    """The consumer of one source."""

    @property
    def open(self) -> int:
        """Returns the number of unacknowledged messages."""
        ...

    def up(self, queue: str) -> bool:
        """Returns whether the broker has confirmed the consumer."""
        ...

    def resize(self, queue: str, prefetch: int) -> None:
        """Sets the prefetch; messages that are held already stay."""
        ...


class SourceIntake(Protocol):
    """The path by which the messages of a source arrive."""

    @property
    def received(self) -> float:
        """Returns the number of messages received so far."""
        ...

    @property
    def urgent(self) -> float:
        """Returns the value of `received` at the last message that must not be held for long."""
        ...


@dataclass(slots=True)
class _Source:
    """The prefetch of one source; `bounds` maps each reason to its upper bound."""

    queue: str
    wanted: int
    consumer: PrefetchConsumer
    way: SourceIntake
    bounds: dict[str, int] = field(default_factory=dict)

    @property
    def prefetch(self) -> int:
        return max(1, min((self.wanted, *self.bounds.values())))


@dataclass(slots=True)
class _Step:
    """The progress of a source since its prefetch was raised to `prefetch`."""

    prefetch: int
    since: float
    settled: float
    received: float
    still_since: float


class Prefetch:
    """The prefetch of each source, which is its lowest bound; a change resizes its consumer."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._ramps: dict[str, _Step] = {}
        self._ramping = asyncio.Event()

    def add(self, name: str, queue: str, wanted: int, consumer: PrefetchConsumer, way: SourceIntake) -> None:
        """Adds a source whose configured prefetch is `wanted`."""
        self._sources[name] = _Source(queue, wanted, consumer, way)

    def of(self, name: str) -> int:
        """Returns the current prefetch of a source."""
        return self._sources[name].prefetch

    def bound(self, name: str, reason: str, most: int | None) -> None:
        """Bounds the prefetch of a source to `most` for this reason; None removes the bound."""
        source = self._sources[name]
        before = source.prefetch
        if most is None:
            source.bounds.pop(reason, None)
        else:
            source.bounds[reason] = most
        if source.prefetch != before:
            source.consumer.resize(source.queue, source.prefetch)

    # ---- small prefetch after an unclean stop ---------------------------------------------------------

    def start_small(self, name: str) -> None:
        """Starts the prefetch at one, and raises it as messages are settled.

        The next messages may have been delivered in vain before. If the process dies again soon, few messages have been counted
        as redelivered, and not the same ones as the last time.
        """
        self.bound(name, "start", 1)
        self._ramps[name] = self._step(self._sources[name], 1, time.monotonic())
        self._ramping.set()

    async def run(self) -> None:
        """Raises the prefetches that `start_small` lowered, until cancelled."""
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
        harmless = settled >= source.way.urgent
        slow = now - step.since > _LONGEST and harmless
        if now - step.still_since > _QUIET or step.prefetch >= source.wanted:
            del self._ramps[name]
            self.bound(name, "start", None)
        elif slow or (settled - step.settled >= step.prefetch and (harmless or step.prefetch < _MOST_URGENT)):
            self._ramps[name] = self._step(source, 2 * step.prefetch, now)
            self.bound(name, "start", 2 * step.prefetch)


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of a source's prefetch that may be in use before slow hooks have to use their lanes."""

    waiting: float = 0.8
    slow: float = 0.25
    longest_wait: float = 450.0
    """Seconds that a source message may wait for a slot: a quarter of the broker's consumer timeout."""


class SlowHookIsolation:
    """Checks several times per second whether slow hooks hold messages of their sources, and parks their deliveries."""

    def __init__(
        self,
        table: HookTable,
        park: Callable[[HookWorker, Sequence[Work], str], None],
        shares: Shares,
    ) -> None:
        self._table = table
        self._park = park
        self._shares = shares

    def sweep(self, held: Mapping[str, tuple[int, int]], now: float) -> None:
        """Parks the deliveries that hold up a source; `held` maps each source to (messages held, prefetch)."""
        self._bound_waiting(time.time() - self._shares.longest_wait)
        busy = [runner for runner in self._table if runner.in_flight]
        slow = {runner: runner.slow_attempts(now) for runner in busy}
        self._bound_slow_attempts(slow, held)
        crowded = {
            source
            for source, (messages, prefetch) in held.items()
            # Parking frees prefetch for other hooks only: a hook that is the only one of its source waits.
            if messages >= self._shares.waiting * prefetch and self._table.listeners(source) > 1
        }
        stalled = [runner for runner, works in slow.items() if 2 * len(works) >= runner.hook.concurrency]
        if crowded and stalled:
            self._free_waiting(stalled, crowded)

    def _bound_waiting(self, before: float) -> None:
        """Parks deliveries of events received before that Unix time: the broker requeues messages that are held too long."""
        for runner in self._table:
            if late := runner.queue.received_before(before):
                self._through_the_lane(runner, late, "slots")

    def _bound_slow_attempts(
        self, slow: Mapping[HookWorker, list[Work]], held: Mapping[str, tuple[int, int]]
    ) -> None:
        """Limits slow attempts to a quarter of a source's prefetch; hooks that exceed it use their lanes."""
        per_source = Counter(
            work.settlement.source for works in slow.values() for work in works if not work.from_lane
        )
        over = {source for source, count in per_source.items() if count > self._shares.slow * held[source][1]}
        for runner, works in slow.items():
            if any(work.settlement.source in over for work in works if not work.from_lane):
                self._through_the_lane(runner, runner.queue.direct, "slow")

    def _free_waiting(self, stalled: list[HookWorker], crowded: set[str]) -> None:
        """Parks the deliveries that wait for a slot of a slow hook, where all other deliveries of the message are done."""
        waiting: Counter[Settlement] = Counter(
            work.settlement for runner in stalled for work in runner.queue.direct
        )
        for runner in stalled:
            alone = [
                work
                for work in runner.queue.direct
                if work.settlement.source in crowded and work.settlement.open <= waiting[work.settlement]
            ]
            if alone:
                self._through_the_lane(runner, alone, "slots")

    def _through_the_lane(self, runner: HookWorker, works: Sequence[Work], reason: str) -> None:
        runner.queue.divert(works, reason)
        self._park(runner, works, reason)


async def release_waiting(
    delivering: Delivering, reason: str, *, park: bool, spent: Collection[str] = ()
) -> None:
    """Returns to the broker every waiting message of a source of which no delivery has started.

    Messages of sources in `spent` are not returned: each return counts towards the delivery limit of their queue.

    Where other deliveries of the message are under way or done, the waiting ones are parked; without `park` (the broker
    accepts no copies now) they keep waiting.
    """
    waiting = [(runner, runner.queue.take_direct()) for runner in delivering.table]
    here: Counter[Settlement] = Counter(work.settlement for _, works in waiting for work in works)
    for runner, works in waiting:
        rest: list[Work] = []
        for work in works:
            await delivering.turn.own()
            settlement = work.settlement
            untouched = not settlement.started and settlement.open == here[settlement]
            if untouched and settlement.source not in spent:
                settlement.requeue()
            elif settlement.open > 0 and park:
                rest.append(work)
            elif settlement.open > 0:
                runner.enqueue(work)
        if rest:
            delivering.park(runner, rest, reason)
