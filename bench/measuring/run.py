"""One run: fill the queue, start who is measured, wait for the deliveries, read the meters."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from bench.load import SOURCE, Load, Work
from bench.measuring.figures import Figures
from bench.measuring.stage import Stage
from bench.subjects.subject import RunFailed, Running, Subject
from bench.traffic.sinks import Sink
from bench.traffic.tally import Arrivals
from bench.traffic.waiting import poll

RUN_SECONDS = 300
_IDLE_SECONDS = 10
_STALL_SECONDS = 30
_LOOK_EVERY = 0.5

Progress = Callable[[str, int], None]
"""Told what is being done, and how many deliveries have arrived."""


@dataclass(frozen=True)
class Readings:
    """All meters at one moment."""

    at: float
    cpu: float
    endpoint: float
    broker: float | None
    statements: int | None


@dataclass(frozen=True)
class Run:
    """One subject with one load."""

    stage: Stage
    subject: Subject
    sink: Sink
    load: Load
    concurrency: int
    progress: Progress

    async def measure(self) -> Figures:
        """The figures; raises RunFailed when something is missing, altered or left behind."""
        try:
            async with asyncio.timeout(RUN_SECONDS):
                return await self._measure()
        except TimeoutError as error:
            raise RunFailed(f"not done after {RUN_SECONDS} s") from error

    async def _measure(self) -> Figures:
        folder = self.stage.new_folder()
        destination = await self.sink.prepare(self.load, folder)
        await self._fill()
        work = Work(self.stage.broker.url, SOURCE, destination, self.concurrency, folder)
        with self.subject.running(work, self.stage.scratch) as running:
            async with self._pace(running):
                figures = await self._deliver(running)
        await self._check(work)
        return figures

    async def _fill(self) -> None:
        queues, load = self.stage.queues, self.load
        await queues.create(SOURCE)
        if not load.per_second:
            numbers = range(load.numbers + load.waiting)
            await queues.fill(SOURCE, numbers, lambda _: self.progress("filling the queue", 0))

    @asynccontextmanager
    async def _pace(self, running: Running) -> AsyncIterator[None]:
        """Publishes meanwhile, where the load is a paced one."""
        if not self.load.per_second:
            yield
            return
        await self._watch(running, poll(partial(self.stage.queues.consumers, SOURCE), 1, 0.05))
        numbers = range(self.load.numbers)
        publishing = asyncio.create_task(
            self.stage.queues.publish_paced(SOURCE, numbers, self.load.per_second)
        )
        try:
            yield
            await publishing
        finally:
            publishing.cancel()

    async def _deliver(self, running: Running) -> Figures:
        first, last = self.load.marks
        await self._watch(running, self.sink.reached(first))
        begin = self._read(running)
        await self._watch(running, self.sink.reached(last))
        seconds = time.monotonic() - begin.at
        if not self.load.waiting:
            await self._idle(running)
        figures = self._figures(begin, self._read(running), running)
        arrivals = await self.sink.arrivals()
        metrics = await asyncio.to_thread(running.metrics)
        return replace(
            figures,
            seconds=seconds,
            rate=self.load.deliveries / seconds,
            repeated=arrivals.repeated,
            own_connections=None if metrics.connections is None else metrics.connections / last,
            parked=metrics.parked,
            **known_to_endpoint(arrivals),
        )

    async def _watch(self, running: Running, waiting: Coroutine[Any, Any, None]) -> None:
        """Waits, tells how far it is, and notices when who is measured has ended or does nothing."""
        task = asyncio.ensure_future(waiting)
        count, moved_at = -1, time.monotonic()
        try:
            while not (await asyncio.wait({task}, timeout=_LOOK_EVERY))[0]:
                running.check()
                before, count = count, await self.sink.count()
                self.progress("delivering", count)
                if count != before:
                    moved_at = time.monotonic()
                if time.monotonic() - moved_at > _STALL_SECONDS:
                    raise RunFailed(f"nothing has arrived for {_STALL_SECONDS} s; {count} did before")
            await task
        finally:
            task.cancel()

    async def _idle(self, running: Running) -> None:
        """Returns when all is done that a last delivery entails: acknowledging, recording."""
        deadline = time.monotonic() + _IDLE_SECONDS
        used = running.cpu_seconds()
        while time.monotonic() < deadline:
            await asyncio.sleep(0.3)
            before, used = used, running.cpu_seconds()
            if used - before < 0.02:
                return

    def _read(self, running: Running) -> Readings:
        broker = self.stage.broker_meter
        return Readings(
            at=time.monotonic(),
            cpu=running.cpu_seconds(),
            endpoint=self.stage.receiver_meter.cpu_seconds(),
            broker=broker.cpu_seconds() if broker else None,
            statements=running.statements(),
        )

    def _figures(self, begin: Readings, end: Readings, running: Running) -> Figures:
        def each(name: str) -> float | None:
            first, last = asdict(begin)[name], asdict(end)[name]
            return None if first is None or last is None else (last - first) / self.load.deliveries

        def each_us(*names: str) -> float | None:
            known = [value for value in map(each, names) if value is not None]
            return sum(known) * 1e6 if len(known) == len(names) else None

        return Figures(
            cpu_us=each_us("cpu"),
            endpoint_us=each_us("endpoint"),
            broker_us=each_us("broker"),
            total_us=each_us("cpu", "endpoint", "broker"),
            statements=each("statements"),
            memory_mb=running.peak_memory_bytes() / 1e6 or None,
        )

    async def _check(self, work: Work) -> None:
        """All arrived, unaltered, and is acknowledged and recorded: else the figures are worth nothing."""
        arrivals = await self.sink.arrivals()
        faults = {"with a wrong signature": arrivals.forged, "with another body": arrivals.alien}
        if not self.load.waiting:
            recorded = await self.subject.recorded(work)
            _, last = self.load.marks
            faults["missing"] = arrivals.missing
            faults["not acknowledged"] = await self.stage.queues.depth(SOURCE)
            faults["not recorded"] = 0 if recorded is None else last - recorded
        if found := [f"{count} {what}" for what, count in faults.items() if count]:
            raise RunFailed(", ".join(found))


def known_to_endpoint(arrivals: Arrivals) -> dict[str, float]:
    """The figures that only webhooks have."""
    if not arrivals.checked:
        return {}
    return {
        "connections": arrivals.connections / arrivals.requests,
        "p50_ms": arrivals.p50_ms,
        "p99_ms": arrivals.p99_ms,
    }
