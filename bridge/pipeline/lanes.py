"""The lane scheduler: decides which lanes are consumed, and with which prefetch, by the state of each hook."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol

import structlog

from bridge.core.budget import Budget, Held
from bridge.core.delivery import Delivery
from bridge.core.errors import BridgeError
from bridge.core.event import Message, Undecodable
from bridge.core.ports import AckHandle, Receive
from bridge.formats.registry import Heavy
from bridge.pipeline.fencing import CopyAdmission, Fence
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.pipeline.poison import PoisonMessageGuard
from bridge.pipeline.reading import CopyReader, LargeBodyReader, Resume
from bridge.pipeline.settlement import SettledCallback, awaited, contained, undecodable_for
from bridge.retry.policy import fitting_prefetch, lane_prefetch
from bridge.wire.copies import FORGED, copy_digest

log = structlog.get_logger(__name__)

_LANES_AT_ONCE = 100
_FIRST = 16
"""The prefetch of a lane until the size of its messages is known."""
_SHARE = 0.25
"""The share of the memory budget for the copies of all lanes together."""
_LIGHT = 8192


class LaneConsumers(Protocol):
    """The consumers on lanes, as the broker adapter provides them."""

    async def consume(self, hook: str, prefetch: int, receive: Receive) -> None:
        """Consumes the hook's lane with this prefetch, which replaces an earlier one."""
        ...

    async def leave(self, hook: str) -> None:
        """Stops consuming the lane; tickets given out stay valid."""
        ...

    async def resize(self, hook: str, prefetch: int) -> None:
        """Changes the prefetch of the lane; messages held here stay."""
        ...

    def held(self, hook: str) -> Held:
        """Returns what is held here of the lane."""
        ...

    async def depths(self, hooks: Sequence[str]) -> dict[str, int]:
        """Returns the ready messages of each of these hooks' lanes that exists, whichever process made it."""
        ...


class LaneScheduler:
    """Consumes each lane with the prefetch that its hook can handle: none, one for a probe, or a few rounds of
    its concurrency.
    """

    def __init__(
        self,
        *,
        consumers: LaneConsumers,
        admission: CopyAdmission,
        fence: Fence,
        table: HookTable,
        guard: PoisonMessageGuard,
        quarantine: Callable[[Undecodable, Message, AckHandle, SettledCallback | None], None],
        unverified: Callable[[Message, AckHandle, SettledCallback | None, Resume], None],
        reader: CopyReader,
        longest_hold: float,
        budget: Budget,
        large_bodies: LargeBodyReader,
    ) -> None:
        """`unverified` takes copies without a valid signature; `longest_hold`: maximum seconds that a copy may wait here for
        its attempt.
        """
        self._consumers = consumers
        self._admission, self._fence = admission, fence
        self._table, self._guard = table, guard
        self._quarantine, self._unverified = quarantine, unverified
        self._reader = reader
        self._longest_hold = longest_hold
        self._budget, self._large_bodies, self._turn = budget, large_bodies, large_bodies.turn
        self._behind: dict[str, deque[tuple[Message, AckHandle, SettledCallback | None]]] = {}
        self._fit: dict[str, int] = {}
        self._setting = asyncio.Lock()
        self._prefetch: dict[str, int] = {}
        self._dirty: dict[str, None] = {}
        self._changed = asyncio.Event()
        self._searched = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def changed(self, runner: HookWorker) -> None:
        """Notes that the state of this hook changed; its lane is checked soon."""
        self._dirty[runner.hook.id] = None
        self._changed.set()

    async def run(self) -> None:
        """Adjusts the consumers to the state of their hooks until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._dirty:
                hook = next(iter(self._dirty))
                del self._dirty[hook]
                try:
                    await self._step(hook)
                except BridgeError as error:
                    log.warning("lane.not_available", hook=hook, error=str(error))
                    self._later(hook, 2.0)

    def lane_made(self, hook: str) -> None:
        """Notes that another process made this hook's lane; empty: any lanes may exist."""
        runner = self._table.get(hook)
        if not hook:
            self._searched.set()
        elif runner is not None and not runner.lane.exists:
            runner.queue.lane_found(0, time.time())  # the next count corrects its depth
            self.changed(runner)

    async def find_lanes(self) -> None:
        """Finds hooks that have a lane from an earlier run or another process, and consumes those: now, and after each
        `lane_made`, until cancelled.
        """
        while True:
            self._searched.clear()
            waiting = [runner for runner in self._table if not runner.lane.exists]
            while waiting:
                batch, waiting = waiting[:_LANES_AT_ONCE], waiting[_LANES_AT_ONCE:]
                try:
                    depths = await self._consumers.depths([runner.hook.id for runner in batch])
                except BridgeError:
                    waiting += batch
                    await asyncio.sleep(1)
                    continue
                for runner in batch:
                    if runner.hook.id in depths:
                        runner.queue.lane_found(depths[runner.hook.id], time.time())
                        self.changed(runner)
            await self._searched.wait()

    async def stop(self) -> None:
        """Stops consuming all lanes, and returns to the broker the copies that have not started."""
        self._stopping = True
        self._admission.stop()
        for timer in self._timers.values():
            timer.cancel()
        self._guard.requeue(self)
        for hook in list(self._prefetch):
            await self._set(hook, 0)

    def fit(self) -> None:
        """Fits the prefetch of each lane to the memory budget."""
        known = [(hook, self._consumers.held(hook)) for hook in self._prefetch]
        busy = [each for each in known if each[1].messages]
        for hook, held in busy:
            runner = self._table.get(hook)
            if runner is not None and runner.breaker.closed:
                share = self._budget.share(_SHARE / len(busy))
                fit = fitting_prefetch(*held, share=share, most=self._longest(runner))
                if fit != held.prefetch:
                    self._fit[hook] = fit
                    self.changed(runner)

    # ---- consuming lanes ------------------------------------------------------------------------------

    async def _step(self, hook: str) -> None:
        runner = self._table.get(hook)
        wanted = 0 if runner is None or self._stopping else self._wanted(runner)
        if wanted != self._prefetch.get(hook, 0):
            await self._set(hook, wanted)

    def _wanted(self, runner: HookWorker) -> int:
        """Returns the prefetch that suits the hook now; starts a timer where it changes with time alone."""
        if not runner.lane.exists or not runner.serving:
            return 0
        now = time.monotonic()
        if runner.held_until > now:
            self._later(runner.hook.id, runner.held_until - now)
            return 0
        if runner.breaker.closed:
            return self._depth(runner)
        if runner.breaker.probe_due(now):
            return 1
        self._later(runner.hook.id, runner.breaker.probe_at - now)
        # During a probe the lane must stay consumed, since the message of the probe must stay ours.
        return self._prefetch.get(runner.hook.id, 0) if runner.breaker.probing else 0

    def _depth(self, runner: HookWorker) -> int:
        return min(self._longest(runner), self._fit.get(runner.hook.id, _FIRST))

    def _longest(self, runner: HookWorker) -> int:
        hook = runner.hook
        return lane_prefetch(hook.concurrency, hook.rate, hook.target.timeout, self._longest_hold)

    async def _set(self, hook: str, prefetch: int) -> None:
        async with self._setting:
            if prefetch > self._prefetch.get(hook, 0) > 1 and not self._stopping:
                # A lower prefetch means a new consumer, and messages that have not started are returned: nobody else would get
                # what a cancelled consumer still holds of a quorum queue if its node goes down, and attempts under way end here
                # in any case.
                self._prefetch[hook] = prefetch
                await self._consumers.resize(hook, prefetch)
                return
            await self._consumers.leave(hook)
            runner = self._table.get(hook)
            if runner is not None:
                for work in runner.queue.take_copies():
                    work.settlement.requeue()
            if prefetch and not self._stopping:
                self._prefetch[hook] = prefetch
                await self._consumers.consume(hook, prefetch, self.receive)
            else:
                self._prefetch.pop(hook, None)

    def _later(self, hook: str, seconds: float) -> None:
        if (timer := self._timers.pop(hook, None)) is not None:
            timer.cancel()

        def look() -> None:
            self._timers.pop(hook, None)
            self._dirty[hook] = None
            self._changed.set()

        self._timers[hook] = asyncio.get_running_loop().call_later(max(0.005, seconds), look)

    # ---- handling copies ------------------------------------------------------------------------------

    name = "lanes"

    def receive(self, message: Message, ticket: AckHandle) -> None:
        """Accepts one message from the broker's callback."""
        if message.redelivered or self._guard.holding:
            self._guard.take(self, message, ticket)
        else:
            self.admit(message, ticket)

    def digest(self, message: Message) -> str:
        """Returns a digest that is the same on each redelivery of the copy."""
        return copy_digest(self.name, message)

    def is_urgent(self, _message: Message) -> bool:
        """Returns False: no copy comes near the delivery limit of a lane."""
        return False

    def has_last_turn(self, _message: Message) -> bool:
        """Returns False, as above."""
        return False

    def admit(self, message: Message, ticket: AckHandle, on_settled: SettledCallback | None = None) -> None:
        """Passes the copy to the fence; `on_settled` is called when it is settled."""
        lane = message.routing_key
        if (behind := self._behind.get(lane)) is not None:
            behind.append((message, ticket, on_settled))
            return
        if not self._turn.is_over():
            contained(self._read_at_once, self._failed, message, ticket, on_settled)
        else:
            self._read_in_another_turn(message, ticket, on_settled)

    def _read_at_once(self, message: Message, ticket: AckHandle, on_settled: SettledCallback | None) -> None:
        try:
            self._admit(self._reader.read_at_once(message), message, ticket, on_settled)
        except Heavy:
            self._read_in_another_turn(message, ticket, on_settled)

    def _failed(
        self, message: Message, ticket: AckHandle, on_settled: SettledCallback | None, error: Exception
    ) -> None:
        """Handles a bug: the copy goes to quarantine."""
        self._quarantine(undecodable_for(error), message, ticket, on_settled)

    def _read_in_another_turn(
        self, message: Message, ticket: AckHandle, on_settled: SettledCallback | None
    ) -> None:
        lane = message.routing_key
        self._behind[lane] = deque([(message, ticket, on_settled)])
        self._spawn(self._read_later(lane))

    async def _read_later(self, lane: str) -> None:
        """Reads a copy in a later iteration of the event loop, or a large one in a thread; the later copies of the lane follow
        in order.
        """
        behind = self._behind[lane]
        while behind:
            await awaited(self._read_next, self._failed, *behind.popleft())
        del self._behind[lane]

    async def _read_next(
        self, message: Message, ticket: AckHandle, on_settled: SettledCallback | None
    ) -> None:
        await self._turn.own()
        try:
            read = self._reader.read_at_once(message)
        except Heavy:
            read = await self._large_bodies.read(message, partial(self._reader.read, message), open_here=0)
        if ticket.valid:
            self._admit(read, message, ticket, on_settled)
        elif on_settled is not None:
            on_settled(False)

    def _admit(
        self,
        read: Delivery | Undecodable,
        message: Message,
        ticket: AckHandle,
        on_settled: SettledCallback | None,
    ) -> None:
        match read:
            case Undecodable(reason=reason) if reason == FORGED:
                self._unverified(message, ticket, on_settled, self._fence.add)
            case Undecodable() as fault:
                self._quarantine(fault, message, ticket, on_settled)
            case Delivery() as delivery:
                if delivery.event.weight > _LIGHT:
                    ticket.grow(delivery.event.weight)
                self._fence.add(delivery, ticket, on_settled)

    def refuse(
        self, why: Undecodable, message: Message, ticket: AckHandle, on_settled: SettledCallback | None = None
    ) -> None:
        """Ends the delivery without an attempt, and keeps the copy whole in quarantine."""
        self._quarantine(why, message, ticket, on_settled)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def overtaken(self, deliveries: Collection[str]) -> None:
        """Notes that these deliveries were retried or cancelled: their copies that wait for a slot are checked again."""
        for runner in self._table:
            for work in runner.queue.take_copies_of(deliveries):
                self._fence.again(work)
