"""The fence: drops copies from a lane that, by the history, are stale."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from weakref import WeakValueDictionary

import structlog

from bridge.core.base import Backoff
from bridge.core.delivery import Delivery, Known
from bridge.core.errors import BridgeError, HistoryUnavailable
from bridge.core.ports import AckHandle, Copies, History
from bridge.pipeline.deliver import steady_time
from bridge.pipeline.hook_table import Deleted, HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.pipeline.settlement import InFlight, SettledCallback, Settlement, Work

log = structlog.get_logger(__name__)

_GATHER = 0.005
_LOOK_AGAIN = 0.5
"""Seconds between two checks of a copy whose delivery is under way with the same attempt or the one before it."""


def stale(delivery: Delivery, known: Known | None) -> bool:
    """Returns whether the copy is stale: its delivery has a later generation, is final, or had this attempt already.

    The last case is a crash between the confirm of a retry copy and the ack of the message before it: an attempt is committed
    only after its retry copy was confirmed, so the copy of that attempt may be dropped. The end of an earlier generation says
    nothing about a later one.
    """
    if known is None or known.generation < delivery.generation:
        return False
    return known.generation > delivery.generation or known.final or known.attempts >= delivery.attempt


class Fence:
    """Checks copies against the history in batches of one query each, and lets current ones through to their attempt."""

    def __init__(
        self,
        history: History,
        load: InFlight,
        let_through: Callable[[Work, Callable[[Work], None]], None],
        dropped: Callable[[Delivery], None],
        send_acks: Callable[[], Awaitable[None]],
    ) -> None:
        """`let_through(work, again)` takes copies to attempt, and calls `again` to have one checked once more; `dropped` is
        called with the delivery of every stale copy; `send_acks` sends the acks that are due.
        """
        self._history = history
        self._load = load
        self._let_through = let_through
        self._dropped = dropped
        self._send_acks = send_acks
        self._waiting: list[Work] = []
        self._under_way: WeakValueDictionary[tuple[str, int, int], Settlement] = WeakValueDictionary()
        self._arrived = asyncio.Event()

    def add(self, delivery: Delivery, ticket: AckHandle, on_settled: SettledCallback | None = None) -> None:
        """Accepts a copy, which is checked soon; `on_settled` is called when it is settled."""
        self.again(Work(delivery, Settlement(ticket, "", self._load, on_settled=on_settled), from_lane=True))

    def again(self, work: Work) -> None:
        """Checks a copy that has waited here once more: its delivery may have been retried or cancelled meanwhile."""
        self._waiting.append(work)
        self._arrived.set()

    async def run(self) -> None:
        """Checks accepted copies until cancelled."""
        while True:
            await self._arrived.wait()
            await asyncio.sleep(_GATHER)
            self._arrived.clear()
            await self._look()

    async def _look(self) -> None:
        batch, self._waiting = self._waiting, []
        known = await self._known([work.delivery.id for work in batch])
        valid = [work for work in batch if work.settlement.valid]
        newest = _newest(valid)
        for work in batch:
            if not work.settlement.valid:
                work.settlement.drop_one()
            elif self._overtaken(work, newest) or stale(work.delivery, known.get(work.delivery.id)):
                work.settlement.fate_committed()
                self._dropped(work.delivery)
            else:
                self._admit(work)
        await self._send_acks()

    def _overtaken(self, work: Work, newest: Mapping[tuple[str, int], int]) -> bool:
        """Returns whether the copy of the next attempt is here: the attempt of this one was made, and the process died before
        its commit.
        """
        delivery = work.delivery
        later = newest.get((delivery.id, delivery.generation), 0) > delivery.attempt
        return later or self._other(work, 1) is not None

    def _admit(self, work: Work) -> None:
        delivery, settlement = work.delivery, work.settlement
        if self._other(work, 0) is not None or self._other(work, -1) is not None:
            # The outcome of the attempt under way decides about this copy. A copy of the same attempt comes from a publish
            # whose confirm was lost, or parks the attempt under way and arrived before that was committed: then it is the only
            # trace of the delivery. A copy of the attempt before is repeated after a crash.
            asyncio.get_running_loop().call_later(_LOOK_AGAIN, self.again, work)
        else:
            self._under_way[delivery.id, delivery.generation, delivery.attempt] = settlement
            self._let_through(work, self.again)

    def _other(self, work: Work, step: int) -> Settlement | None:
        """Returns the message of another copy of the delivery that is under way here, whose attempt number is
        higher by `step`.
        """
        delivery = work.delivery
        other = self._under_way.get((delivery.id, delivery.generation, delivery.attempt + step))
        alive = other is not None and other is not work.settlement and other.open > 0 and other.valid
        return other if alive else None

    async def _known(self, ids: list[str]) -> dict[str, Known]:
        backoff = Backoff()
        while True:
            try:
                return await self._history.known(ids)
            except HistoryUnavailable:
                await backoff.pause()


def _newest(works: Iterable[Work]) -> dict[tuple[str, int], int]:
    """Returns the highest attempt of each delivery and generation."""
    found: dict[tuple[str, int], int] = {}
    for work in works:
        delivery = work.delivery
        key = delivery.id, delivery.generation
        if delivery.attempt > found.get(key, 0):
            found[key] = delivery.attempt
    return found


SHORT_WAIT = 5.0
"""Seconds: a copy that is due within them waits here; a copy that is due later goes onto the ladder again."""


class CopyAdmission:
    """Hands copies that the fence let through to their hook, when they are due."""

    def __init__(
        self,
        table: HookTable,
        copies: Copies,
        deleted: Deleted,
        turned_away: Callable[[HookWorker, Work], bool],
    ) -> None:
        """`turned_away(worker, work)` returns whether the hook does not ask for this copy, and if so has ended it."""
        self._table, self._copies, self._deleted = table, copies, deleted
        self._turned_away = turned_away
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def stop(self) -> None:
        """Returns all further copies to the broker."""
        self._stopping = True

    def let_through(self, work: Work, again: Callable[[Work], None]) -> None:
        """Attempts a copy that the fence let through, when it is due; `again` has the fence check it once more."""
        runner = self._table.get(work.delivery.hook)
        if work.delivery.hook in self._deleted:
            self._deleted.end(work)
            return
        if self._stopping or runner is None or not runner.serving:
            work.settlement.requeue()
            return
        runner.queue.copy_received()
        if self._turned_away(runner, work):
            return
        now = steady_time()
        work.delivery = by_this_clock(work.delivery, now)
        remaining = work.delivery.not_before - now
        if remaining <= 0:
            runner.enqueue(work)
        elif remaining < SHORT_WAIT:
            runner.queue.keep_until_due(work, remaining, again)
        else:
            task = asyncio.create_task(self._wait_longer(runner, work, remaining))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _wait_longer(self, runner: HookWorker, work: Work, remaining: float) -> None:
        """Puts the copy on the next step of its composed wait: no attempt was made, so nothing is recorded."""
        try:
            await self._copies.delay(work.delivery, remaining)
        except BridgeError as error:
            log.warning("lane.cannot_delay", hook=runner.hook.id, error=str(error))
            await asyncio.sleep(1)
            work.settlement.requeue()
        else:
            work.settlement.fate_committed()


def by_this_clock(delivery: Delivery, now: float) -> Delivery:
    """Returns the delivery with its wait restarted if it began in the future: the clock was set back since, for instance at a
    restart. The delivery waits its full time once more, instead of until the clock has caught up.
    """
    behind = delivery.waits_from - now
    if behind <= 0:
        return delivery
    return replace(delivery, waits_from=now, not_before=delivery.not_before - behind)
