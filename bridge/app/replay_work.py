"""One replay at work: batch by batch, at its pace, and no faster than the hooks take it."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from bridge.admin.replay_events import Asking, without
from bridge.admin.replays import ENDED, takes_part
from bridge.model.errors import HistoryUnavailable
from bridge.pipeline.hook import HookRunner
from bridge.pipeline.table import HookTable
from bridge.ports.backoff import Backoff
from bridge.ports.jobs import Lacking, Outbox, Replay, Replays, Restart
from bridge.rules.formats.parse import Bounds
from bridge.rules.retry.pacing import Pace

MOST_WAITING = 800
"""Copies in a lane with which a replay leaves it: a deeper one would take in the hook's new events, too."""
_BATCH = 200
_LEAST_ROOM = 50
_ROOM_EVERY = 0.05
_LOOK_EVERY = 1.0
_SETTLED_AFTER = 10.0
"""Seconds after which the history knows of a delivery, or this process has it under way."""
_OUTBOX_LOOK = 10_000


class Sender(Protocol):
    """Publishes copies of what was started anew."""

    async def send(self, restarts: Sequence[Restart]) -> int:
        """How many are in their lanes; the others stay in the outbox. Raises HistoryUnavailable."""
        ...


class ReplayWork:
    """What every replay of this process works with."""

    def __init__(
        self,
        replays: Replays,
        outbox: Outbox,
        table: HookTable,
        sender: Sender,
        *,
        bounds: Bounds,
        made_at: Callable[[str], float | None] = lambda _hook: None,
    ) -> None:
        """`bounds`: what is parsed of the bodies of events. `made_at` tells when
        a hook was made, in Unix seconds, as far as that is known.
        """
        self._replays = replays
        self._outbox = outbox
        self._table = table
        self._sender = sender
        self._bounds = bounds
        self._made_at = made_at

    async def go(self, replay: Replay, lost: Callable[[], bool]) -> Replay:
        """Take and publish until all is taken, the replay has ended, or somebody else has it (`lost`).

        Gives the replay as it stands then. Raises HistoryUnavailable; to be called again.
        """
        pace = Pace(replay.rate, time.monotonic())
        while replay.left and replay.status not in ENDED and not lost():
            now = time.monotonic()
            if not (due := pace.due(now, _BATCH)):
                await asyncio.sleep(min(pace.wait(now), _LOOK_EVERY))
                replay = await self._looked_again(replay) if pace.wait(now) > _LOOK_EVERY else replay
                continue
            replay, restarts = await self._step(replay, due)
            pace.went(len(restarts))
            await self._publish(restarts)
        return replay

    async def _step(self, replay: Replay, due: int) -> tuple[Replay, Sequence[Restart]]:
        """The next batch of the next hook that has room; waits a moment where none has."""
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
        """The replay as it stands now: it may have been cancelled while nothing was to be done for it."""
        return await self._replays.replay(replay.id) or replay

    # ---- deliveries that are missing ------------------------------------------------------------------

    async def _supply(
        self, replay: Replay, runner: HookRunner, limit: int
    ) -> tuple[Replay, Sequence[Restart]]:
        hook = runner.hook
        found = await self._replays.lacking(replay, hook.id, limit)
        settled = without(found, replay.left[hook.id], _held(runner), self._settled_before(hook.id))
        if found.events and not settled.events and settled.reached == replay.left[hook.id]:
            await asyncio.sleep(_ROOM_EVERY)
            return (await self._looked_again(replay)), ()
        wanted = await Asking(hook, self._bounds, self._table.routing).wanted(settled.events)
        lacking = Lacking(wanted, settled.reached)
        return await self._replays.supply(replay, hook.id, hook.target.type, lacking, time.time())

    def _settled_before(self, hook: str) -> float:
        """What was received before then is in the history, or under way here; before the hook was made nothing was."""
        return max(time.time() - _SETTLED_AFTER, self._made_at(hook) or 0.0)

    # ---- their copies ---------------------------------------------------------------------------------

    async def _publish(self, restarts: Sequence[Restart]) -> None:
        """Return once they are all on their way: while the broker is away nothing more goes into the outbox."""
        left = restarts
        backoff = Backoff()
        while left:
            try:
                if await self._sender.send(left) == len(left):
                    return
                left = await self._still_there(left)
            except HistoryUnavailable:
                pass  # they are in the outbox, whatever happens
            if left:
                await backoff.pause()

    async def _still_there(self, restarts: Sequence[Restart]) -> Sequence[Restart]:
        waiting = await self._outbox.outbox(time.time() + _LOOK_EVERY, _OUTBOX_LOOK)
        known = {(each.delivery_id, each.generation) for each in waiting}
        return [each for each in restarts if (each.delivery_id, each.generation) in known]


def _held(runner: HookRunner) -> set[str]:
    """Ids of the events that this process has under way for the hook."""
    return {work.delivery.event.id for work in (*runner.direct, *runner.running)}
