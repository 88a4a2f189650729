"""Keeps a slow hook from holding a source: what would wait long for a slot waits in the lane instead."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.pipeline.settlement import Settlement, Work


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of a source's prefetch may be in use before slow hooks have to give way."""

    waiting: float = 0.8
    slow: float = 0.25
    longest_wait: float = 450.0
    """Seconds that a source message may wait for a slot: a quarter of the broker's consumer timeout."""


class SlowHookIsolation:
    """Looks at all hooks a few times per second."""

    def __init__(
        self,
        table: HookTable,
        park: Callable[[HookWorker, Work, str], None],
        shares: Shares,
    ) -> None:
        self._table = table
        self._park = park
        self._shares = shares

    def sweep(self, held: Mapping[str, tuple[int, int]], now: float) -> None:
        """Send to their lanes what must not hold a source; `held` is (messages held, prefetch) by source."""
        self._bound_waiting(time.time() - self._shares.longest_wait)
        busy = [runner for runner in self._table if runner.running]
        slow = {runner: runner.slow_attempts(now) for runner in busy}
        self._bound_slow_attempts(slow, held)
        crowded = {
            source
            for source, (messages, prefetch) in held.items()
            # Parking helps others only: a hook that has the source for itself just waits.
            if messages >= self._shares.waiting * prefetch and self._table.listeners(source) > 1
        }
        stalled = [runner for runner, works in slow.items() if 2 * len(works) >= runner.hook.concurrency]
        if crowded and stalled:
            self._free_waiting(stalled, crowded)

    def _bound_waiting(self, before: float) -> None:
        """What was received before that Unix time waits in the lane: the broker takes back what is held too long."""
        for runner in self._table:
            if runner.direct and runner.direct[0].delivery.event.received_at < before:
                late = [work for work in runner.direct if work.delivery.event.received_at < before]
                self._through_the_lane(runner, late, "slots")

    def _bound_slow_attempts(
        self, slow: Mapping[HookWorker, list[Work]], held: Mapping[str, tuple[int, int]]
    ) -> None:
        """At most a quarter of a prefetch may be held by slow attempts; beyond, their hooks use their lanes."""
        per_source = Counter(
            work.settlement.source for works in slow.values() for work in works if not work.from_lane
        )
        over = {source for source, count in per_source.items() if count > self._shares.slow * held[source][1]}
        for runner, works in slow.items():
            if any(work.settlement.source in over for work in works if not work.from_lane):
                self._through_the_lane(runner, list(runner.direct), "slow")

    def _free_waiting(self, stalled: list[HookWorker], crowded: set[str]) -> None:
        """Park what waits for a slow hook's slot, where all else of its message is done."""
        waiting: Counter[Settlement] = Counter(
            work.settlement for runner in stalled for work in runner.direct
        )
        for runner in stalled:
            alone = [
                work
                for work in runner.direct
                if work.settlement.source in crowded and work.settlement.open <= waiting[work.settlement]
            ]
            if alone:
                self._through_the_lane(runner, alone, "slots")

    def _through_the_lane(self, runner: HookWorker, works: list[Work], reason: str) -> None:
        runner.lane.mode = reason
        for work in works:
            runner.direct.remove(work)
            self._park(runner, work, reason)


# Letting go of what was not started: at an outage and at the end.


def hand_back(
    table: HookTable,
    park: Callable[[HookWorker, Work, str], None] | None,
    reason: str,
    spent: Collection[str] = (),
) -> None:
    """Give every message of a source that waits here back to the broker, where nothing of it was started.

    Of sources that are `spent` by that (each return counts towards the queue's delivery limit) nothing goes back.

    Of a message whose other deliveries are under way or done, the waiting ones are parked; with `park` None
    (the broker takes no copies now) they go on waiting.
    """
    waiting = [(runner, work) for runner in table for work in runner.take_waiting()]
    here: Counter[Settlement] = Counter(work.settlement for _, work in waiting)
    for runner, work in waiting:
        settlement = work.settlement
        untouched = not settlement.started and settlement.open == here[settlement]
        if untouched and settlement.source not in spent:
            settlement.give_back()
        elif settlement.open > 0:
            if park is None:
                runner.direct.append(work)
            else:
                park(runner, work, reason)
