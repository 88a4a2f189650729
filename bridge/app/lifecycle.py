"""The lifecycle of a bridge: its services start in order, run, and stop in order."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from bridge.app.stages import Parts
from bridge.core.delivery import Parked
from bridge.core.errors import BridgeError
from bridge.pipeline.backpressure import release_waiting
from bridge.telemetry import events

log = structlog.get_logger(__name__)

_POLITE = 5.0


@dataclass(frozen=True, slots=True)
class Service:
    """A part of a bridge with a life of its own.

    `start` is awaited, and raises a BridgeError, written for the operator, if the bridge cannot start. Then `run` runs in a task
    until it is cancelled: after the drain, or before it if `while_serving`. An error that ends `run` ends the bridge.
    """

    name: str
    start: Callable[[], Awaitable[object]] | None = None
    run: Callable[[], Coroutine[Any, Any, None]] | None = None
    while_serving: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the shutdown; `within`: the seconds that it may take, None if it has a bound of its own."""

    name: str
    run: Callable[[], Awaitable[object]]
    within: float | None = _POLITE


@dataclass(frozen=True, slots=True)
class Plan:
    """The services in the order of their start, and the steps of the shutdown in their order.

    `drain` runs first, while the services still run; then their tasks are cancelled, the last first; then comes `close`.
    `stopping` is called before all of it, `stopped` after it.
    """

    services: Sequence[Service]
    drain: Sequence[Step]
    close: Sequence[Step]
    stopping: Callable[[], None] = lambda: None
    stopped: Callable[[], None] = lambda: None


class Bridge:
    """A bridge: call `start`, then wait for `failed` or a signal, then call `stop`."""

    def __init__(self, dependencies: Plan, build: Callable[[], Awaitable[Plan]]) -> None:
        """`build` returns the plan of the bridge once the services of `dependencies` have started."""
        self._plan = dependencies
        self._build = build
        self._tasks: dict[asyncio.Task[None], Service] = {}
        self._stopping = False
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Starts all services; raises a BridgeError, written for the operator, if one is unavailable."""
        await self._start_all()
        self._plan = await self._build()
        await self._start_all()

    async def _start_all(self) -> None:
        for service in self._plan.services:
            if service.start is not None:
                await service.start()
            if service.run is not None:
                task = asyncio.create_task(service.run(), name=service.name)
                self._tasks[task] = service
                task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Ends the bridge if a service fails: a bridge without one of its parts must not look healthy."""
        if self._stopping or self.failed.done():
            return
        error = BridgeError(f"{task.get_name()} was cut off") if task.cancelled() else task.exception()
        if error is not None:
            self.failed.set_exception(error)

    async def stop(self) -> None:
        """Ends all services, as far as they have started; within a bound."""
        self._stopping = True
        self._plan.stopping()
        for task, service in self._tasks.items():
            if service.while_serving:
                task.cancel()
        for step in self._plan.drain:
            await _within_bound(step)
        for task in reversed(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for step in self._plan.close:
            await _within_bound(step)
        self._plan.stopped()


async def _within_bound(step: Step) -> None:
    """Waits for a bounded time: a broker that does not respond redelivers what it holds."""
    try:
        async with asyncio.timeout(step.within):
            await step.run()
    except TimeoutError:
        log.warning("stop.broker_is_silent", waited=step.within, step=step.name)


# The end of what is in flight: finished, parked or returned to the broker.


_LOOK_EVERY = 0.02
_LAST_PARKINGS = 5.0
_LAST_COMMIT = 10.0


class Drain:
    """The steps that end the work in flight, in the order of its methods."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._parking: list[asyncio.Task[None]] = []
        self._unfinished = 0

    async def return_waiting(self) -> None:
        """Returns messages to the broker of which nothing has started, and parks what waits of others."""
        spent = self._parts.sources.sources.spent
        await release_waiting(self._parts.pipeline.delivering, "stopping", park=True, spent=spent)

    async def finish_attempts(self) -> None:
        """Waits for attempts under way, at most `limits.drain` seconds."""
        await self._settle_down(self._parts.given.settings.limits.drain)

    async def park_unfinished(self) -> None:
        """Cancels the attempts that are left, and parks their deliveries."""
        delivering = self._parts.pipeline.delivering
        for runner in self._parts.hooks.runners.all_runners():
            for work in await runner.close():
                self._unfinished += 1
                if not work.from_lane:
                    # The message may carry deliveries that are done: parking the rest repeats only the attempt that was cut
                    # off.
                    parking = delivering.conclude(runner, work, Parked("stopping"))
                    self._parking.append(asyncio.create_task(parking))
        await self._settle_down(_LAST_PARKINGS)

    async def commit(self) -> None:
        """Commits the history, and sends the acks that follow from it."""
        try:
            async with asyncio.timeout(_LAST_COMMIT):
                await self._parts.pipeline.recorder.drained()
        except TimeoutError:
            log.warning(
                "stop.history_not_flushed", effect="unsettled messages are handed out again by the broker"
            )
        await self._parts.broker.send_acks()

    async def cancel_parking(self) -> None:
        """Ends what could not be parked in time."""
        for task in self._parking:
            task.cancel()
        await asyncio.gather(*self._parking, return_exceptions=True)

    def report(self) -> None:
        """Logs that the bridge has stopped, and how many attempts it cut off."""
        events.stopped(self._unfinished)

    async def _settle_down(self, bound: float) -> None:
        for _ in range(int(bound / _LOOK_EVERY) + 1):
            if not self._busy():
                return
            await asyncio.sleep(_LOOK_EVERY)

    def _busy(self) -> bool:
        stages = self._parts.pipeline
        parking = any(not task.done() for task in self._parking)
        reading = self._parts.sources.sources.busy or stages.large_bodies.busy or stages.redeliveries.busy
        return parking or reading or any(runner.busy for runner in self._parts.hooks.runners.all_runners())
