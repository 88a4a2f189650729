"""`./dev bench backlog`: a million messages wait in the source; memory and rate from the first to the last."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from bench.load import SOURCE, Load, Work
from bench.measuring.stage import Stage, open_bench_broker, open_stage
from bench.subjects.bridge import Bridge
from bench.subjects.subject import RunFailed, Running
from bench.traffic.sinks import EndpointSink
from devtools.choice.broker import Broker

MOST_MEMORY_MB = 200
STEADY = 0.7
"""The last tenth at least so fast as this share of the first one."""
PARTS = 10
_WARM = 2_000
_STALL_SECONDS = 60
_LOOK_EVERY = 1.0
_FILLING_PER_SECOND = 1_000
_DELIVERING_PER_SECOND = 500
EPILOG = """\
Events of 342 bytes are published into a durable classic queue before the bridge is started, as its users run it: one
process, default settings, a history of everything in SQLite, one hook with a signature. The endpoint counts each event.
A million takes about ten minutes, a gigabyte of the disk for the history and half of one for the broker.

exit codes: 0 every event arrived, memory under 200 MB, the last tenth at least 0.7 times as fast as the first; 1 otherwise
"""


@dataclass(frozen=True)
class Part:
    """One tenth of the events."""

    events: int
    seconds: float
    rate: float
    cpu_us: float
    """Of the bridge for each delivery; rates suffer from whatever else the machine does, this does less."""
    peak_memory_mb: float
    """The most resident memory up to its end."""


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    messages: int
    missing: int
    repeated: int
    left_in_queue: int
    recorded: int
    filling_seconds: float
    seconds: float
    parts: list[Part]

    @property
    def peak_memory_mb(self) -> float:
        """The most resident memory of the bridge."""
        return self.parts[-1].peak_memory_mb

    @property
    def steadiness(self) -> float:
        """The rate of the last tenth to that of the first."""
        return self.parts[-1].rate / self.parts[0].rate

    @property
    def is_good(self) -> bool:
        """Whether all bounds hold."""
        whole = not self.missing and not self.left_in_queue and self.recorded == self.messages
        return whole and self.peak_memory_mb < MOST_MEMORY_MB and self.steadiness >= STEADY


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(
        prog="./dev bench backlog",
        description="Deliver a backlog of a million messages; memory and rate of each tenth.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--messages", type=many, default=1_000_000, help="how many (default 1,000,000)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    chosen = parser.parse_args(arguments)
    with open_bench_broker() as broker:
        try:
            outcome = asyncio.run(run(broker, chosen.messages))
        except RunFailed as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    show(outcome, as_json=chosen.json)
    return 0 if outcome.is_good else 1


def many(text: str) -> int:
    """A whole number that has tenths."""
    number = int(text)
    if not 1_000 <= number <= 5_000_000:
        raise argparse.ArgumentTypeError("1,000 to 5,000,000")
    return number


def show(outcome: Outcome, *, as_json: bool) -> None:
    """Prints it, for people or for programs."""
    if as_json:
        figures = {"peak_memory_mb": outcome.peak_memory_mb, "steadiness": outcome.steadiness}
        print(json.dumps(asdict(outcome) | figures, indent=2))
        return
    for number, part in enumerate(outcome.parts, 1):
        print(
            f"{number:3}. tenth  {part.rate:8,.0f}/s  {part.cpu_us:6,.0f} us of CPU each"
            f"  {part.peak_memory_mb:6.1f} MB at the most so far"
        )
    print(
        f"{outcome.messages:,} messages in {outcome.seconds:,.0f} s: {outcome.missing} missing, "
        f"{outcome.repeated} repeated, {outcome.left_in_queue} left, {outcome.recorded:,} recorded"
    )
    print(f"memory {outcome.peak_memory_mb:.1f} MB (bound {MOST_MEMORY_MB})")
    print(f"rate of the last tenth to the first: {outcome.steadiness:.2f} (bound {STEADY})")


async def run(broker: Broker, messages: int) -> Outcome:
    """Fill the queue, deliver all, look at what was left; raises RunFailed where nothing moves any more."""
    async with open_stage(broker) as stage:
        with progress_bar() as progress:
            bounds = messages / _FILLING_PER_SECOND + messages / _DELIVERING_PER_SECOND + 120
            try:
                async with asyncio.timeout(bounds):
                    return await Backlog(stage, messages, progress).outcome()
            except TimeoutError as error:
                raise RunFailed(f"not done after {bounds:,.0f} s") from error


def progress_bar() -> Progress:
    """On stderr, drawn once a second: it runs on the cores that are measured."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), refresh_per_second=1)


class Backlog:
    """One run from its beginning to its end."""

    def __init__(self, stage: Stage, messages: int, progress: Progress) -> None:
        self._stage = stage
        self._messages = messages
        self._progress = progress

    async def outcome(self) -> Outcome:
        """What came of it."""
        stage = self._stage
        warm = min(_WARM, self._messages // PARTS)
        sink, folder = EndpointSink(stage.receiver), stage.new_folder()
        destination = await sink.prepare(Load(self._messages - warm, warm), folder)
        filling = await self._fill()
        work = Work(stage.broker.url, SOURCE, destination, 16, folder)
        bridge = Bridge()
        with bridge.running(work, stage.scratch) as running:
            parts = await self._deliver(sink, running)
        arrivals = await sink.arrivals()
        return Outcome(
            messages=self._messages,
            missing=arrivals.missing,
            repeated=arrivals.repeated,
            left_in_queue=await stage.queues.depth(SOURCE),
            recorded=await bridge.recorded(work) or 0,
            filling_seconds=filling,
            seconds=sum(part.seconds for part in parts),
            parts=parts,
        )

    async def _fill(self) -> float:
        started = time.monotonic()
        task = self._progress.add_task("filling the queue", total=self._messages)
        await self._stage.queues.create(SOURCE)
        await self._stage.queues.fill(
            SOURCE, range(self._messages), lambda done: self._progress.update(task, completed=done)
        )
        self._progress.update(task, completed=self._messages)
        return time.monotonic() - started

    async def _deliver(self, sink: EndpointSink, running: Running) -> list[Part]:
        task = self._progress.add_task("delivering", total=self._messages)
        marks = [self._messages * number // PARTS for number in range(PARTS + 1)]
        parts: list[Part] = []
        await self._until(1, sink, running, task)  # starting up is no delivering
        for begin, end in pairwise(marks):
            started, used, first = time.monotonic(), running.cpu_seconds(), await sink.count()
            reached = await self._until(end, sink, running, task)
            seconds, count = time.monotonic() - started, max(1, reached - first)
            cpu_us = (running.cpu_seconds() - used) / count * 1e6
            peak = running.peak_memory_bytes() / 1e6
            parts.append(Part(end - begin, seconds, count / seconds, cpu_us, peak))
        return parts

    async def _until(self, mark: int, sink: EndpointSink, running: Running, task: TaskID) -> int:
        """How many have arrived as soon as these have; raises RunFailed where nothing comes any more."""
        count, moved_at = -1, time.monotonic()
        while count < mark:
            await asyncio.sleep(_LOOK_EVERY if mark - count > 10_000 else 0.05)
            running.check()
            before, count = count, await sink.count()
            self._progress.update(task, completed=count)
            if count != before:
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > _STALL_SECONDS:
                raise RunFailed(f"nothing has arrived for {_STALL_SECONDS} s; {count:,} did before")
        return count
