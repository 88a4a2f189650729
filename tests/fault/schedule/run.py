"""One run: publish at an even pace while faults fall, wait until all has come to rest, and draw the balance."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil

from tests.fault.schedule.faults import Faults
from tests.fault.schedule.options import WARM_UP
from tests.fault.schedule.report import Report, recoveries, repeats_bound
from tests.fault.schedule.stage import CONCURRENCY, PREFETCH, Stage
from tests.support.ledger import balance
from tests.support.waiting import until

STILL_SECONDS = 90.0
"""Longer than the longest wait of the retry schedule and the broker's own time for electing leaders."""
PROGRESS_SECONDS = 10.0


@dataclass(frozen=True)
class Plan:
    """How much, and for how long."""

    seed: int
    events: int
    seconds: float


class Run:
    """A run on a stage; `say` gets its progress line by line."""

    def __init__(self, stage: Stage, plan: Plan, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._plan = plan
        self._say = say
        self._faults = Faults(stage, plan.seed)
        self._begun = time.monotonic()
        self._memory_mb = 0.0

    async def whole(self) -> Report:
        """The report; every bridge has ended by then."""
        await self._warm_up()
        self._begun = time.monotonic()
        watching = asyncio.create_task(self._watch())
        try:
            published = await self._harmed()
            seconds = time.monotonic() - self._begun
            drained, restless = await self._rest()
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        return await self._report(published, seconds, drained, restless)

    async def _warm_up(self) -> None:
        """Every lane has held something: a quorum queue made a moment before its node is killed may never come back
        (3.10.8), which is the broker's affair and not what is looked for here.
        """
        stage = self._stage
        for bridge in stage.bridges:
            await bridge.start()
        for endpoint in stage.endpoints.values():
            endpoint.mood = "failing"
        await stage.publisher.publish(range(WARM_UP), 1000)
        await until(self._all_wait, 30, what=stage.bridges[0].last_words)
        for endpoint in stage.endpoints.values():
            endpoint.mood = "well"
        await until(self._at_rest, 60, what=stage.bridges[0].last_words)

    async def _all_wait(self) -> bool:
        found = await self._stage.rows("SELECT DISTINCT hook FROM deliveries WHERE status = 'RETRYING'")
        return len(found) == len(self._stage.hooks)

    async def _harmed(self) -> float:
        """When the last event was confirmed (monotonic)."""
        plan = self._plan
        numbers = range(WARM_UP, plan.events)
        async with asyncio.TaskGroup() as group:
            publishing = group.create_task(self._publish(numbers, len(numbers) / (plan.seconds * 0.95)))
            faults = group.create_task(self._faults.run())
            await asyncio.wait([faults], timeout=plan.seconds)
            self._faults.over.set()
            return await publishing

    async def _publish(self, numbers: range, per_second: float) -> float:
        publisher = self._stage.publisher
        await publisher.publish(numbers, per_second)
        assert publisher.confirmed == set(publisher.sent), "the publisher gave up"
        return time.monotonic()

    async def _rest(self) -> tuple[float, list[str]]:
        """How long it took until nothing waited any more, and what was wrong if that did not come."""
        begun = time.monotonic()
        self._say("no more faults: waiting until nothing waits any more")
        moved, before = time.monotonic(), 0
        while not await self._at_rest():
            for bridge in self._stage.bridges:
                if not bridge.alive:
                    await bridge.launch()
            now = sum(endpoint.answered.total() for endpoint in self._stage.endpoints.values())
            if now != before:
                moved, before = time.monotonic(), now
            elif time.monotonic() - moved > STILL_SECONDS:
                depths = {name: depth for name, depth in (await self._stage.depths()).items() if depth}
                return time.monotonic() - begun, [f"nothing moves, and yet there wait: {depths}"]
            await asyncio.sleep(0.5)
        return time.monotonic() - begun, []

    async def _at_rest(self) -> bool:
        return not await self._stage.unfinished() and not any((await self._stage.depths()).values())

    async def _report(self, published: float, seconds: float, drained: float, restless: list[str]) -> Report:
        stage = self._stage
        for bridge in stage.bridges:
            try:
                await bridge.stop()
            except AssertionError as wrong:
                restless.append(str(wrong))
        arrivals = {hook: endpoint.first_seen_at for hook, endpoint in stage.endpoints.items()}
        per_fault = (PREFETCH + 2 * CONCURRENCY) * len(stage.bridges)
        return Report(
            seed=self._plan.seed,
            balance=balance(await stage.books()),
            faults=self._faults.counts,
            recoveries=recoveries(self._faults.done, arrivals, published),
            memory_mb=self._memory_mb,
            seconds=seconds,
            drain_seconds=drained,
            repeats_bound=repeats_bound(self._faults.counts, per_fault),
            surprises=[*self._faults.surprises, *restless],
        )

    async def _watch(self) -> None:
        told = 0.0
        while True:
            for bridge in self._stage.bridges:
                with suppress(psutil.Error):
                    self._memory_mb = max(self._memory_mb, resident_mb(bridge.pid))
            if time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                self._say(self._progress())
            await asyncio.sleep(1)

    def _progress(self) -> str:
        delivered = ", ".join(f"{len(each.answered):,}" for each in self._stage.endpoints.values())
        return (
            f"{time.monotonic() - self._begun:4.0f} s: published {len(self._stage.publisher.confirmed):,} of "
            f"{self._plan.events:,}, delivered {delivered}; {len(self._faults.done)} faults"
        )


def resident_mb(pid: int) -> float:
    """Memory that the process has in use."""
    return psutil.Process(pid).memory_info().rss / 1e6
