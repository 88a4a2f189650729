"""The worker of a hook: its slots, its breaker and its rate limit."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, assert_never

from aiolimiter import AsyncLimiter

from bridge.core.budget import Turn
from bridge.core.delivery import Answer, Outcome, Parked
from bridge.core.hook import Hook
from bridge.core.ports import Target
from bridge.core.target import QueueTarget, WebhookTarget
from bridge.meta.words import Facts, MetaType, breaker_closed, breaker_opened
from bridge.pipeline.hook_queue import HookQueue, Lane
from bridge.pipeline.settlement import Work, awaited
from bridge.retry.policy import CircuitBreaker, Closed, HalfOpen, Open, Policy, State
from bridge.telemetry import events
from bridge.telemetry.metrics import HookMetrics

Park = Callable[[Work], Coroutine[Any, Any, None]]

_ALONE = 1.0
"""Seconds for which the first attempt at a webhook whose behaviour is unknown occupies the hook alone."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits beyond which a delivery goes through the lane although its hook is healthy; times in seconds."""

    longest_direct_timeout: float = 30.0
    deepest_lane: int = 1000
    slow_after: float = 1.0


class HookWorker:
    """Runs the attempts of one hook in `concurrency` workers, half of them for the lane while it holds messages."""

    _alone: asyncio.TimerHandle | None = None
    _closed = False

    def __init__(
        self,
        hook: Hook,
        target: Target | None,
        deliver: Callable[["HookWorker", Work], Awaitable[None]],
        *,
        policy: Policy,
        breaker: CircuitBreaker,
        thresholds: Thresholds,
        metrics: HookMetrics,
        changed: Callable[["HookWorker"], None],
        notify: Callable[["HookWorker", MetaType, Facts], None] = lambda _runner, _kind, _facts: None,
        pause: str = "",
        turn: Turn | None = None,
    ) -> None:
        """`target` None: this process does not serve the target; `pause`: the reason for which the bridge paused the hook,
        empty if it did not; `turn`: the share of the event loop for parking many deliveries.

        `deliver` makes one attempt and never raises. `changed` is called when the consumption of the lane may have to change,
        `notify` when the breaker opened or closed.
        """
        self.hook = hook
        self.target = target
        self.policy, self.breaker = policy, breaker
        self.metrics = metrics
        self.queue = HookQueue()
        self.pause_reason = pause
        self.held_until = 0.0
        self._running: dict[Work, float] = {}
        self._deliver, self._changed, self._notify = deliver, changed, notify
        self._thresholds = thresholds
        self._limiter = _limiter(hook.rate)
        self._too_slow = _timeout(hook) > thresholds.longest_direct_timeout
        self._workers: set[asyncio.Task[None]] = set()
        self._parks: set[asyncio.Task[None]] = set()
        self._to_park: deque[tuple[Sequence[Work], Park, Callable[[], None]]] = deque()
        self._turn = turn or Turn()
        self._idle: list[asyncio.Future[None]] = []
        self._met = not isinstance(hook.target, WebhookTarget)
        self._opened_at = 0.0

    # ---- direct or parked -----------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Returns whether the hook is paused, by its configuration or at run time."""
        return self.hook.paused or bool(self.pause_reason)

    @property
    def serving(self) -> bool:
        """Returns whether this process attempts deliveries of the hook."""
        return self.target is not None and self.hook.enabled and not self.paused

    def why_park(self, now: float) -> str:
        """Returns the reason for which a delivery that arrives now must be parked; empty if it may go straight
        to the target.
        """
        if self.target is None:
            return "broken" if self.hook.fault is not None else "not_served"
        if self.pause_reason or self.hook.paused:
            return "paused"
        if self._too_slow:
            return "long_timeout"
        if not isinstance(self.breaker.state, Closed):
            # If no other delivery waits, the event itself is the probe.
            probe = self.queue.lane_is_empty and not self.queue.has_direct and self.breaker.probe_due(now)
            return "" if probe else "breaker_open"
        if self.held_until > now:
            return "held"
        return self._lane_reason()

    def _lane_reason(self) -> str:
        """Returns the reason for which the lane is in use: once used, it stays in use until it is empty."""
        queue, lane = self.queue, self.queue.lane
        if lane.reason and queue.lane_is_empty:
            queue.use_lane("")
        if not lane.reason:
            if lane.depth > self._thresholds.deepest_lane:
                queue.use_lane("lane_deep")
            elif self._limiter is not None and (
                queue.has_direct or not queue.lane_is_empty or not self._limiter.has_capacity()
            ):
                queue.use_lane("rate")
        return lane.reason

    def slow_attempts(self, now: float) -> list[Work]:
        """Returns the attempts that have been in progress for longer than a second."""
        limit = now - self._thresholds.slow_after
        return [work for work, started in self._running.items() if started < limit]

    # ---- slots ----------------------------------------------------------------------------------------

    def enqueue(self, work: Work) -> None:
        """Queues a delivery, which is attempted as soon as a slot is free."""
        if self._closed:
            work.settlement.drop_one()  # the process ends: the broker redelivers the message
            return
        self.queue.add(work)
        while self._idle:
            idle = self._idle.pop()
            if not idle.done():
                idle.set_result(None)
                return
        if not self._workers and not self._met:
            # An endpoint that is gone (410) or limits its rate (429) must not receive requests from all slots at once.
            self._alone = asyncio.get_running_loop().call_later(_ALONE, self._meet)
            self._hire()
        elif self._met and len(self._workers) < self.hook.concurrency:
            self._hire()

    def enqueue_all(self, works: Sequence[Work]) -> None:
        """Queues deliveries that waited for the worker which this one replaces."""
        if works:
            self.enqueue(works[0])
            self.queue.add_direct(works[1:])
            if self._met:
                self._meet()

    def _hire(self) -> None:
        task = asyncio.create_task(self._work(), name=f"hook {self.hook.id}")
        self._workers.add(task)
        task.add_done_callback(self._workers.discard)

    def _meet(self) -> None:
        """Frees the other slots: the endpoint has answered, or is slow to."""
        self._met = True
        if self._alone is not None:
            self._alone.cancel()
        waiting = 0 if self._closed else len(self.queue)
        for _ in range(min(waiting, self.hook.concurrency - len(self._workers))):
            self._hire()

    async def _work(self) -> None:
        running, queue, in_flight = self._running, self.queue, self.metrics.in_flight
        deliver, failed = self._deliver, HookWorker._failed
        while True:
            if self._limiter is not None and queue:
                # The rate limiter comes before the queue: waiting deliveries must stay in the queue, so that they can be
                # returned or parked.
                await self._limiter.acquire()
            work = queue.next()
            if work is None:
                idle = asyncio.get_running_loop().create_future()
                self._idle.append(idle)
                await idle
                continue
            running[work] = time.monotonic()
            in_flight.value += 1
            try:
                await awaited(deliver, failed, self, work)
            finally:
                in_flight.value -= 1
                del running[work]

    def _failed(self, work: Work, error: Exception) -> None:
        """Handles a bug: the message stays unsettled, so that the broker redelivers it."""
        events.hook_failed(self.hook.id, error)
        work.settlement.drop_one()

    # ---- breaker and holds ----------------------------------------------------------------------------

    def why_wait(self, work: Work, now: float) -> str:
        """Returns the reason for which this attempt must not begin, empty if it may; a probe is marked as one.

        Called right before the attempt, because the state of the hook may have changed while the delivery waited for its slot.
        """
        if self.pause_reason or self.hook.paused:
            return "paused"
        if self.held_until > now:
            return "held"
        if isinstance(self.breaker.state, Closed):
            return ""
        work.probe = self.breaker.start_probe(now)
        if work.probe:
            self.metrics.breaker_state.value = 1
        return "" if work.probe else "breaker_open"

    def learn(self, answer: Answer, now: float, *, probe: bool) -> None:
        """Reports the answer of an attempt to the breaker."""
        if not self._met:
            self._meet()
        before = self.breaker.state
        self.breaker.learn(answer, now, probe=probe)
        after = self.breaker.state
        if type(before) is not type(after):
            self._tell_breaker(before, after, str(answer.fault), now)
            self._changed(self)

    def _tell_breaker(self, before: State, after: State, reason: str, now: float) -> None:
        match after:
            case Closed():
                self.metrics.breaker_state.value = 0
                open_for = now - self._opened_at
                events.breaker_closed(self.hook.id, open_for)
                self._notify(self, MetaType.BREAKER_CLOSED, breaker_closed(self.hook, open_for, time.time()))
            case Open(wait=wait):
                if isinstance(before, Closed):
                    self._opened_at = now
                    events.breaker_opened(self.hook.id, reason, wait)
                    facts = breaker_opened(self.hook, reason, wait, time.time())
                    self._notify(self, MetaType.BREAKER_OPEN, facts)
                self.metrics.breaker_state.value = 2
            case HalfOpen():
                self.metrics.breaker_state.value = 1
            case _:
                assert_never(after)

    def hold(self, until: float) -> None:
        """Delays all attempts until that monotonic time."""
        if until > self.held_until:
            self.held_until = until
            self._changed(self)

    def pause(self, reason: str) -> None:
        """Pauses the hook: its deliveries stay in the lane until it is resumed; an empty reason resumes it."""
        self.pause_reason = reason
        self._paused_or_not()

    def switch(self, hook: Hook) -> None:
        """Replaces the hook by one that differs only in being enabled or paused; breaker, target and attempts
        in progress stay.
        """
        self.hook = hook
        self._paused_or_not()

    def _paused_or_not(self) -> None:
        self.metrics.paused.value = self.paused
        self._changed(self)

    # ---- lane -----------------------------------------------------------------------------------------

    @property
    def lane(self) -> Lane:
        """Returns the state of the hook's lane."""
        return self.queue.lane

    def park(self, works: Sequence[Work], park: Park) -> None:
        """Parks deliveries in their order, in the background; `park` publishes the copy of one."""
        for work in works:
            work.settlement.started = True
        ended = self.queue.parking_started(len(works))
        if len(works) == 1 and not self._to_park:
            self._spawn(park(works[0]), ended)
            return
        self._to_park.append((works, park, ended))
        if len(self._to_park) == 1:
            self._spawn(self._park_in_turns(), lambda: None)

    async def _park_in_turns(self) -> None:
        while self._to_park:
            works, park, ended = self._to_park[0]
            for work in works:
                await self._turn.own()
                self._spawn(park(work), ended)
            self._to_park.popleft()

    def _spawn(self, parking: Coroutine[Any, Any, None], ended: Callable[[], None]) -> None:
        task = asyncio.create_task(parking)
        self._parks.add(task)
        task.add_done_callback(partial(self._parked, ended))

    def _parked(self, ended: Callable[[], None], task: asyncio.Task[None]) -> None:
        ended()
        self._parks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            events.hook_failed(self.hook.id, error)

    def copy_sent(self, outcome: Outcome, received_at: float) -> None:
        """Notes that a copy was confirmed in the lane or on the ladder."""
        if isinstance(outcome, Parked):
            self.queue.copy_confirmed(received_at)
        if self.queue.confirm_lane():
            self._changed(self)

    # ---- deliveries in flight -------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Returns the number of attempts in progress."""
        return len(self._running)

    @property
    def busy(self) -> bool:
        """Returns whether an attempt or a parking is in progress."""
        return bool(self._running or self._parks)

    @property
    def unrecorded(self) -> int:
        """Returns the number of deliveries straight from a source that wait here or are in progress, and may not be in the
        history yet.
        """
        under_way = sum(not work.from_lane for work in self._running)
        return len(self.queue.direct) + len(self._parks) + under_way

    def events_here(self) -> set[str]:
        """Returns the ids of the events whose deliveries wait here straight from a source, or are attempted."""
        return {work.delivery.event.id for work in (*self.queue.direct, *self._running)}

    def oldest_event(self) -> float:
        """Returns the receive time of the oldest event that waits for this hook, Unix seconds; 0 if none waits."""
        received = [work.delivery.event.received_at for work in self._running]
        oldest = min([self.queue.oldest_direct, self.lane.oldest or inf, *received])
        return 0.0 if oldest == inf else oldest

    # ---- stop -----------------------------------------------------------------------------------------

    async def close(self) -> list[Work]:
        """Cancels the attempts in progress and closes the target; returns the cancelled attempts."""
        self._closed = True
        if self._alone is not None:
            self._alone.cancel()
        cut_off = list(self._running)
        tasks = [*self._workers, *self._parks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.target is not None:
            await self.target.close()
        return cut_off


def _limiter(rate: float | None) -> AsyncLimiter | None:
    if rate is None:
        return None
    return AsyncLimiter(rate, 1.0) if rate >= 1 else AsyncLimiter(1.0, 1.0 / rate)


def _timeout(hook: Hook) -> float:
    return 0.0 if isinstance(hook.target, QueueTarget) else hook.target.timeout
