"""A hook at work: its slots, its breaker, its rate, and what waits for it in this process."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, assert_never

from aiolimiter import AsyncLimiter

from bridge.core.delivery import Answer, Outcome, Parked
from bridge.core.hook import Hook
from bridge.core.ports import Target
from bridge.core.target import QueueTarget, WebhookTarget
from bridge.meta.words import Facts, MetaType, breaker_closed, breaker_opened
from bridge.pipeline.settlement import Work
from bridge.retry.breaker import Breaker, Closed, HalfOpen, Open, State
from bridge.retry.policy import Policy
from bridge.telemetry import events
from bridge.telemetry.metrics import HookMetrics

# What this process knows of a hook's lane: how much waits there, and since when it is served through it.


@dataclass(slots=True)
class Lane:
    """A hook's lane as seen from here. `depth` is the broker's last count, corrected by what we did since."""

    exists: bool = False
    depth: int = 0
    parking: int = 0
    waiting: deque[Work] = field(default_factory=deque)
    """Copies consumed from the lane that wait for a slot."""
    later: set[Work] = field(default_factory=set)
    """Copies consumed a little before their time."""
    mode: str = ""
    """Why everything goes through the lane until it is empty; empty: it need not."""
    oldest: float = 0.0
    """When the oldest event that may wait there was received, Unix seconds; 0 where nothing waits."""

    @property
    def empty(self) -> bool:
        """Nothing waits in the lane, on its way into it, or here from it."""
        return self.depth <= 0 and not self.parking and not self.waiting and not self.later

    def found(self, depth: int, now: float) -> None:
        """The lane was there already, with so many messages; none of them is older than it is known here."""
        self.exists = True
        self.depth = depth
        if depth:
            self.oldest = self.oldest or now

    def copy_sent(self, received_at: float) -> None:
        """A copy was confirmed in the lane."""
        self.exists = True
        self.depth += 1
        if not self.oldest or received_at < self.oldest:
            self.oldest = received_at

    def copy_came(self) -> None:
        """A copy was consumed from the lane."""
        self.depth = max(0, self.depth - 1)

    def counted(self, depth: int) -> None:
        """The broker counted so many ready messages."""
        self.depth = depth
        if self.empty:
            self.oldest = 0.0


_ALONE = 1.0
"""Seconds for which the first attempt at a webhook, of which nothing is known yet, is the only one."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a delivery goes through the lane although its hook is well; times in seconds."""

    longest_direct_timeout: float = 30.0
    deepest_lane: int = 1000
    slow_after: float = 1.0


class HookWorker:
    """Runs one hook's attempts in `concurrency` workers, half of them for the lane while it holds messages."""

    _alone: asyncio.TimerHandle | None = None
    _closed = False

    def __init__(
        self,
        hook: Hook,
        target: Target | None,
        deliver: Callable[["HookWorker", Work], Awaitable[None]],
        *,
        policy: Policy,
        breaker: Breaker,
        thresholds: Thresholds,
        metrics: HookMetrics,
        changed: Callable[["HookWorker"], None],
        told: Callable[["HookWorker", MetaType, Facts], None] = lambda _runner, _kind, _facts: None,
    ) -> None:
        """`target` None: this process does not serve it.

        `deliver` makes one attempt and never raises. `changed` hears when the lane may have to be consumed or
        left alone from now on, `told` that its breaker opened or closed.
        """
        self.hook = hook
        self.target = target
        self.policy = policy
        self.breaker = breaker
        self.metrics = metrics
        self.lane = Lane()
        self.direct: deque[Work] = deque()
        self.running: dict[Work, float] = {}
        self.pause_reason = ""
        self.held_until = 0.0
        self._deliver = deliver
        self._changed = changed
        self._told = told
        self._thresholds = thresholds
        self._limiter = _limiter(hook.rate)
        self._too_slow = _timeout(hook) > thresholds.longest_direct_timeout
        self._workers: set[asyncio.Task[None]] = set()
        self._parks: set[asyncio.Task[None]] = set()
        self._idle: list[asyncio.Future[None]] = []
        self._lane_turn = False
        self._met = not isinstance(hook.target, WebhookTarget)
        self._opened_at = 0.0

    # ---- what may go straight to the target -----------------------------------------------------------

    @property
    def paused(self) -> bool:
        """By its configuration, or by what was said since."""
        return self.hook.paused or bool(self.pause_reason)

    @property
    def serving(self) -> bool:
        """Whether this process attempts its deliveries at all."""
        return self.target is not None and self.hook.enabled and not self.paused

    def why_park(self, now: float) -> str:
        """Why a delivery that arrives now must wait in the lane; empty: it may go straight to the target."""
        if self.target is None:
            return "broken" if self.hook.fault is not None else "not_served"
        if self.paused:
            return "paused"
        if self._too_slow:
            return "long_timeout"
        if not self.breaker.closed:
            # With nothing waiting elsewhere the event itself is the probe.
            probe = self.lane.empty and not self.direct and self.breaker.probe_due(now)
            return "" if probe else "breaker_open"
        if self.held_until > now:
            return "held"
        return self._lane_mode()

    def _lane_mode(self) -> str:
        """A hook that once went through its lane goes on so until the lane is empty."""
        lane = self.lane
        if lane.mode and lane.empty:
            lane.mode = ""
        if not lane.mode:
            if lane.depth > self._thresholds.deepest_lane:
                lane.mode = "lane_deep"
            elif self._limiter is not None and (
                self.direct or not lane.empty or not self._limiter.has_capacity()
            ):
                lane.mode = "rate"
        return lane.mode

    def slow_attempts(self, now: float) -> list[Work]:
        """What has been under way for longer than a second."""
        limit = now - self._thresholds.slow_after
        return [work for work, started in self.running.items() if started < limit]

    # ---- slots ----------------------------------------------------------------------------------------

    def enqueue(self, work: Work) -> None:
        """Have this attempted as soon as a slot is free."""
        if self._closed:
            work.settlement.drop_one()  # the process ends: the broker hands it out again
            return
        (self.lane.waiting if work.from_lane else self.direct).append(work)
        while self._idle:
            idle = self._idle.pop()
            if not idle.done():
                idle.set_result(None)
                return
        if not self._workers and not self._met:
            # Whoever has gone (410) or asks to be left alone (429) is not to meet all slots at once.
            self._alone = asyncio.get_running_loop().call_later(_ALONE, self._meet)
            self._hire()
        elif self._met and len(self._workers) < self.hook.concurrency:
            self._hire()

    def _hire(self) -> None:
        task = asyncio.create_task(self._work(), name=f"hook {self.hook.id}")
        self._workers.add(task)
        task.add_done_callback(self._workers.discard)

    def _meet(self) -> None:
        """The endpoint answered, or is slow to: the other slots may be used from now on."""
        self._met = True
        if self._alone is not None:
            self._alone.cancel()
        waiting = 0 if self._closed else len(self.direct) + len(self.lane.waiting)
        for _ in range(min(waiting, self.hook.concurrency - len(self._workers))):
            self._hire()

    async def _work(self) -> None:
        running, in_flight = self.running, self.metrics.in_flight
        while True:
            if self._limiter is not None and (self.direct or self.lane.waiting):
                # Before anything is taken: what waits for its turn must be there for whoever hands it back.
                await self._limiter.acquire()
            work = self._next()
            if work is None:
                idle = asyncio.get_running_loop().create_future()
                self._idle.append(idle)
                await idle
                continue
            running[work] = time.monotonic()
            in_flight.value += 1
            try:
                await self._deliver(self, work)
            except Exception as error:  # noqa: BLE001 - a bug must cost no worker; the message stays unsettled
                events.hook_failed(self.hook.id, error)
                work.settlement.drop_one()
            finally:
                in_flight.value -= 1
                del running[work]

    def _next(self) -> Work | None:
        """Turn by turn from the lane and from the sources while both have something."""
        self._lane_turn = not self._lane_turn
        lane = self.lane.waiting
        first, second = (lane, self.direct) if self._lane_turn else (self.direct, lane)
        if first:
            return first.popleft()
        return second.popleft() if second else None

    # ---- what an attempt says about the hook ----------------------------------------------------------

    def why_wait(self, work: Work, now: float) -> str:
        """Why this attempt must not begin after all; empty: it may, and a probe is marked as one.

        Asked right before the attempt, for much may have been learnt while the delivery waited for its slot.
        """
        if self.pause_reason or self.hook.paused:
            return "paused"
        if self.held_until > now:
            return "held"
        if self.breaker.closed:
            return ""
        work.probe = self.breaker.start_probe(now)
        if work.probe:
            self.metrics.breaker_state.value = 1
        return "" if work.probe else "breaker_open"

    def learn(self, answer: Answer, now: float, *, probe: bool) -> None:
        """Tell the breaker what an attempt met."""
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
                self._told(self, MetaType.BREAKER_CLOSED, breaker_closed(self.hook, open_for, time.time()))
            case Open(wait=wait):
                if isinstance(before, Closed):
                    self._opened_at = now
                    events.breaker_opened(self.hook.id, reason, wait)
                    facts = breaker_opened(self.hook, reason, wait, time.time())
                    self._told(self, MetaType.BREAKER_OPEN, facts)
                self.metrics.breaker_state.value = 2
            case HalfOpen():
                self.metrics.breaker_state.value = 1
            case _:
                assert_never(after)

    def hold(self, until: float) -> None:
        """No attempt before that (monotonic) time."""
        if until > self.held_until:
            self.held_until = until
            self._changed(self)

    def pause(self, reason: str) -> None:
        """What waits stays in the lane until the hook is resumed; empty: resume."""
        self.pause_reason = reason
        self._paused_or_not()

    def switch(self, hook: Hook) -> None:
        """The same hook, but for its being enabled or paused: breaker, target and what is under way stay."""
        self.hook = hook
        self._paused_or_not()

    def _paused_or_not(self) -> None:
        self.metrics.paused.value = self.paused
        self._changed(self)

    # ---- the way into the lane ------------------------------------------------------------------------

    def spawn_park(self, parking: Coroutine[Any, Any, None]) -> None:
        """Run the parking of one delivery in the background."""
        lane = self.lane  # which may have a new owner by the time the copy is confirmed
        lane.parking += 1
        task = asyncio.create_task(parking)
        self._parks.add(task)
        task.add_done_callback(partial(self._parked, lane))

    def _parked(self, lane: Lane, task: asyncio.Task[None]) -> None:
        lane.parking -= 1
        self._parks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            events.hook_failed(self.hook.id, error)

    def copy_sent(self, outcome: Outcome, received_at: float) -> None:
        """A copy is confirmed in the lane or on the ladder."""
        new = not self.lane.exists
        if isinstance(outcome, Parked):
            self.lane.copy_sent(received_at)
        self.lane.exists = True
        if new:
            self._changed(self)

    # ---- the end --------------------------------------------------------------------------------------

    def take_waiting(self) -> list[Work]:
        """Take out the deliveries of sources that wait here and were not started."""
        waiting = list(self.direct)
        self.direct.clear()
        return waiting

    def take_lane(self) -> list[Work]:
        """Take out the copies that wait here and were not started."""
        waiting = [*self.lane.waiting, *self.lane.later]
        self.lane.waiting.clear()
        self.lane.later.clear()
        return waiting

    @property
    def busy(self) -> bool:
        """An attempt or a parking is under way."""
        return bool(self.running or self._parks)

    @property
    def unrecorded(self) -> int:
        """Deliveries straight from a source that wait here or are under way: the history may not know them yet."""
        under_way = sum(not work.from_lane for work in self.running)
        return len(self.direct) + len(self._parks) + under_way

    async def close(self) -> list[Work]:
        """Cancel what is still under way, let go of the target; gives the attempts that were cut off."""
        self._closed = True
        if self._alone is not None:
            self._alone.cancel()
        cut_off = list(self.running)
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
