"""The runner of replays: each is run by one replica, and taken over by another if that one ends."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from bridge.core.base import Backoff
from bridge.core.errors import HistoryUnavailable
from bridge.core.ports import Control
from bridge.core.records import Lacking, Replay, ReplayStatus, Restart
from bridge.deliveries.outbox import SqlOutbox
from bridge.formats.parse import Bounds
from bridge.history.leases import SqlReplicas
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.replays.service import ENDED, ReplayMatcher, takes_part, without
from bridge.replays.store import SqlReplays

# One replay: batch by batch, at its rate, with backpressure from the hooks' lanes.


MOST_WAITING = 800
"""The maximum depth of a lane that a replay fills: a deeper lane would also capture the hook's new events."""
_BATCH = 200
_LEAST_ROOM = 50
_ROOM_EVERY = 0.05
_SETTLED_EVERY = 1.0
_SETTLED_AFTER = 10.0
"""Seconds after which a delivery is in the history, or in-flight in this process."""
_OUTBOX_LOOK = 10_000


class Sender(Protocol):
    """The publisher of copies of replayed deliveries."""

    async def send(self, restarts: Sequence[Restart]) -> int:
        """Returns how many copies are in their lanes; the rest stays in the outbox. Raises HistoryUnavailable."""


class ReplayRunner:
    """The runner shared by all replays of this process."""

    def __init__(
        self,
        replays: SqlReplays,
        outbox: SqlOutbox,
        table: HookTable,
        sender: Sender,
        *,
        bounds: Bounds,
        made_at: Callable[[str], float | None] = lambda _hook: None,
    ) -> None:
        """`bounds` limit the parsing of bodies; `made_at` returns the Unix time of a hook's creation, if known."""
        self._replays = replays
        self._outbox = outbox
        self._table = table
        self._sender = sender
        self._bounds = bounds
        self._made_at = made_at

    async def go(self, replay: Replay, lost: Callable[[], bool]) -> Replay:
        """Take and publish batches until the replay is done or ended, or another replica took over (`lost`).

        Returns the replay's current state. Raises HistoryUnavailable, after which it may be called again.
        """
        pace = Pace(replay.rate, time.monotonic())
        while replay.left and replay.status not in ENDED and not lost():
            now = time.monotonic()
            if not (due := pace.due(now, _BATCH)):
                await asyncio.sleep(min(pace.wait(now), _SETTLED_EVERY))
                replay = await self._looked_again(replay) if pace.wait(now) > _SETTLED_EVERY else replay
                continue
            replay, restarts = await self._step(replay, due)
            pace.went(len(restarts))
            await self._publish(restarts)
        return replay

    async def _step(self, replay: Replay, due: int) -> tuple[Replay, Sequence[Restart]]:
        """Take the next batch of the next hook with room in its lane; waits a moment if none has."""
        for hook in replay.left:
            runner = takes_part(self._table, hook)
            if runner is None:
                return await self._replays.leave_out(replay, hook, time.time()), ()
            if (room := MOST_WAITING - runner.lane.depth - runner.lane.parking) >= _LEAST_ROOM:
                limit = min(due, room)
                if replay.which.missing:
                    return await self._supply(replay, runner, limit)
                return await self._replays.take(replay, hook, limit, time.time())
        await asyncio.sleep(_ROOM_EVERY)
        return (await self._looked_again(replay)), ()

    async def _looked_again(self, replay: Replay) -> Replay:
        """Returns the replay's current state: it may have been cancelled while it waited."""
        return await self._replays.replay(replay.id) or replay

    # Missing deliveries.

    async def _supply(
        self, replay: Replay, runner: HookWorker, limit: int
    ) -> tuple[Replay, Sequence[Restart]]:
        hook = runner.hook
        found = await self._replays.lacking(replay, hook.id, limit)
        settled = without(found, replay.left[hook.id], runner.events_here(), self._settled_before(hook.id))
        if found.events and not settled.events and settled.reached == replay.left[hook.id]:
            await asyncio.sleep(_ROOM_EVERY)
            return (await self._looked_again(replay)), ()
        wanted = await ReplayMatcher(hook, self._bounds, self._table.routing).wanted(settled.events)
        lacking = Lacking(wanted, settled.reached)
        return await self._replays.supply(replay, hook.id, hook.target.type, lacking, time.time())

    def _settled_before(self, hook: str) -> float:
        """Returns the time before which all events are in the history or in flight here; at least the hook's creation."""
        return max(time.time() - _SETTLED_AFTER, self._made_at(hook) or 0.0)

    # Copies.

    async def _publish(self, restarts: Sequence[Restart]) -> None:
        """Publishes until all copies are confirmed: without a broker nothing more goes into the outbox."""
        left = restarts
        backoff = Backoff()
        while left:
            try:
                if await self._sender.send(left) == len(left):
                    return
                left = await self._still_there(left)
            except HistoryUnavailable:
                pass  # they stay in the outbox in any case
            if left:
                await backoff.pause()

    async def _still_there(self, restarts: Sequence[Restart]) -> Sequence[Restart]:
        waiting = await self._outbox.outbox(time.time() + _SETTLED_EVERY, _OUTBOX_LOOK)
        known = {(each.delivery_id, each.generation) for each in waiting}
        return [each for each in restarts if (each.delivery_id, each.generation) in known]


log = structlog.get_logger(__name__)

_LOOK_EVERY = 2.0
_LEASE_SECONDS = 6.0
"""A lease lost to a slow database does no harm: a replay is only advanced from its stored position."""
_AT_ONCE = 8
"""Maximum replays that one process runs concurrently."""
_LONGEST_ERROR = 500


class ReplayScheduler:
    """The scheduler of replays, one for each process."""

    def __init__(
        self,
        replays: SqlReplays,
        leases: SqlReplicas,
        control: Control,
        work: ReplayRunner,
        *,
        replica: str,
        lease_seconds: float = _LEASE_SECONDS,
    ) -> None:
        """`replica` is this process; after `lease_seconds` without renewal another one takes over."""
        self._replays = replays
        self._leases = leases
        self._work = work
        self._replica = replica
        self._lease_seconds = lease_seconds
        self._wanted = asyncio.Event()
        self._running: set[str] = set()
        control.listen("jobs", self._heard)

    async def run(self) -> None:
        """Find replays and run them until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wanted.clear()
                try:
                    await self._look(tasks)
                except HistoryUnavailable as error:
                    log.info("replay.not_read", error=str(error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_EVERY):
                        await self._wanted.wait()

    def _heard(self, about: str) -> None:
        """Handle a control message; one about a single delivery is ignored."""
        if not about:
            self._wanted.set()

    async def _look(self, tasks: asyncio.TaskGroup) -> None:
        for replay in await self._replays.unfinished():
            if replay.id in self._running or len(self._running) >= _AT_ONCE:
                continue
            if await self._leases.lease(_lease(replay.id), self._replica, self._lease_seconds):
                self._running.add(replay.id)
                tasks.create_task(self._run(replay.id), name=f"replay {replay.id}")

    async def _run(self, replay_id: str) -> None:
        """Run a replay until it ends or another replica has it. Never raises."""
        keeping = asyncio.create_task(self._keep(replay_id))
        backoff = Backoff()
        try:
            while not keeping.done():
                try:
                    if await self._gone_on(replay_id, keeping):
                        break
                except HistoryUnavailable as error:
                    log.info("replay.waits", replay=replay_id, error=str(error))
                except Exception as error:  # noqa: BLE001 - a bug must cost no more than this replay
                    await self._give_up(replay_id, error)
                await backoff.pause()
        finally:
            keeping.cancel()
            with contextlib.suppress(HistoryUnavailable):
                await self._leases.release(_lease(replay_id), self._replica)
            self._running.discard(replay_id)

    async def _gone_on(self, replay_id: str, keeping: asyncio.Task[None]) -> bool:
        """Run the replay while the lease is held; returns whether it has ended."""
        replay = await self._replays.replay(replay_id)
        if replay is None or replay.status in ENDED:
            return True
        log.info("replay.resumed", replay=replay_id, done=replay.done, total=replay.total)
        replay = await self._work.go(replay, keeping.done)
        if replay.left or replay.status in ENDED:
            return replay.status in ENDED
        if await self._replays.end_replay(replay_id, ReplayStatus.DONE, time.time()):
            log.info("replay.completed", replay=replay_id, done=replay.done, left_out=replay.left_out)
        return True

    async def _give_up(self, replay_id: str, error: Exception) -> None:
        told = f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]
        log.error("replay.failed", replay=replay_id, error=told)
        with contextlib.suppress(HistoryUnavailable):
            await self._replays.end_replay(replay_id, ReplayStatus.FAILED, time.time(), told)

    async def _keep(self, replay_id: str) -> None:
        """Renew the lease; returns once another replica holds it."""
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            with contextlib.suppress(HistoryUnavailable):
                if not await self._leases.lease(_lease(replay_id), self._replica, self._lease_seconds):
                    return


def _lease(replay_id: str) -> str:
    return f"replay {replay_id}"


# Rate pacing: a number per second, spread evenly.


_BURST = 1.0
"""The burst in seconds' worth that may be caught up on after a delay."""
_STEP = 0.1
"""The batch in seconds' worth at high rates: each step costs a transaction."""


class Pace:
    """A token bucket that spreads its rate evenly; callers pass the time, in monotonic seconds."""

    def __init__(self, rate: float | None, now: float) -> None:
        """Start the pace: `rate` per second; None: unlimited."""
        self._rate = rate
        self._next = now

    def due(self, now: float, most: int) -> int:
        """Returns how many may start now, at most `most`."""
        if self._rate is None:
            return most
        self._next = max(self._next, now - _BURST)
        if now < self._next:
            return 0
        return min(most, int((now - self._next) * self._rate) + 1)

    def went(self, count: int) -> None:
        """Record that this many started."""
        if self._rate is not None:
            self._next += count / self._rate

    def wait(self, now: float) -> float:
        """Returns the seconds until more may start."""
        if self._rate is None:
            return 0.0
        together = max(0.0, _STEP - 1 / self._rate)
        return max(0.0, self._next + together - now)
