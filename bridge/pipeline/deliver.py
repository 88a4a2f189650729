"""The way of an event through the bridge, from the queue to its settled end. Read this file first.

    entrances     `route`: a decoded message of a source, from intake.py (which has it from poison.py and dedupe.py)
                  `deliver`: a delivery that has a slot, from hook_worker.py: straight from a source, or a copy that
                  lanes.py consumed and fencing.py let through
    steps         `deliver` runs them in their order: `_record_started`, `_perform`, `_normalize_state`,
                  `_report_finished`, `conclude`
    exits         `record`: to recorder.py, which commits it, and settlement.py, which acks the message then
                  `park`: into the hook's lane, as a copy that the broker confirmed; recorded as well
                  `quarantine`: a message that cannot be handled, kept whole; recorded as well
                  `drop_one` of the settlement: the broker hands the message out again

One rule holds everywhere: a broker message is acknowledged only when every delivery it carries has a durable
fate (it succeeded, failed for good, or its copy was confirmed by the broker) and that fate is committed in the
history. A crash at any point repeats work and never loses it.
"""

import random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import assert_never

from bridge.core.base import Backoff
from bridge.core.budget import Turn
from bridge.core.delivery import (
    DUPLICATE,
    Answer,
    Attempt,
    Counted,
    Delivered,
    Delivery,
    FailedForGood,
    Fault,
    Outcome,
    Parked,
    Quarantined,
    Record,
    RetryLater,
    Skipped,
    Unmatched,
    status_after,
)
from bridge.core.errors import BridgeError, PublishTooLarge
from bridge.core.event import Message, Refused, Undecodable
from bridge.core.ports import Copies
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.pipeline.recorder import Recorder
from bridge.pipeline.settlement import Remaining, Settlement, Work, awaited, described
from bridge.pipeline.watch import PipelineWatch
from bridge.retry.policy import judge

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_AT_ZERO = time.time() - time.clock_gettime(_STEADY)
_AT_ONCE = 64
"""Events of one message that are matched, and deliveries that start, in one iteration of the event loop."""


@dataclass(frozen=True, slots=True)
class Delivering:
    """Runs the stages in order. Its parts are injected; state that changes is in the workers of the hooks."""

    table: HookTable
    copies: Copies
    recorder: Recorder
    watch: PipelineWatch
    new_id: Callable[[], str]
    remember_pause: Callable[[str, str], None]
    turn: Turn = field(default_factory=Turn)

    # ---- entrance: a message of a source --------------------------------------------------------------

    def route(
        self,
        remaining: Sequence[Remaining],
        refused: Sequence[Refused],
        settlement: Settlement,
        counted: Iterable[Counted] = (),
    ) -> Awaitable[None] | None:
        """Starts a delivery for each event and each hook that asked for it and has no committed fate of it.

        Each delivery holds a share of the message, as does each part that is `refused` and each value that is `counted`.
        Returns None once all have started, or, if they are too many for one iteration of the event loop, an awaitable that
        starts them; each event of many is matched with the hooks that are active when it starts. Raises unexpected errors:
        before any delivery has started, or after the shares of those that have not started are dropped.
        """
        if len(remaining) + len(refused) > _AT_ONCE:
            each_matched = ((one, self._runners_of(one)) for one in remaining)
            return self._start_in_turns(each_matched, refused, settlement, counted)
        # All events are matched before the first delivery starts: the message must not be settled in between.
        matched = list(map(self._runners_of, remaining))
        counted = [*counted]
        left = sum(map(len, matched)) + len(refused) + len(counted)
        if left > _AT_ONCE:
            return self._start_in_turns(zip(remaining, matched, strict=True), refused, settlement, counted)
        settlement.hand_out(left)
        try:
            for one, runners in zip(remaining, matched, strict=True):
                for runner in runners:
                    self._start(one, runner, settlement)
                    left -= 1
            for each in refused:
                self.quarantine(each.why, each.message, settlement)
                left -= 1
            for entry in counted:
                self.recorder.add(entry, settlement)
                left -= 1
        finally:
            if left:
                settlement.drop(left)
        return None

    async def _start_in_turns(
        self,
        matched: Iterable[tuple[Remaining, Sequence[HookWorker | None]]],
        refused: Sequence[Refused],
        settlement: Settlement,
        counted: Iterable[Counted],
    ) -> None:
        """Starts the deliveries in order, yielding to the event loop, and ends the reader's share after the last one; drops the
        rest once the broker redelivers the message.
        """
        starts = chain(
            ([partial(self._start_later, one, runner) for runner in runners] for one, runners in matched),
            ([partial(self.quarantine, each.why, each.message)] for each in refused),
            ([partial(self.recorder.add, entry)] for entry in counted),
        )
        left = 1
        try:
            for some in starts:
                settlement.hand_out(len(some) + 1)
                left += len(some)
                await self.turn.own()
                for start in some:
                    await self.turn.own()
                    if not settlement.valid:
                        return
                    start(settlement)
                    left -= 1
            left = 0
            settlement.hand_out(0)
        finally:
            settlement.drop(left)

    def _start_later(self, one: Remaining, runner: HookWorker | None, settlement: Settlement) -> None:
        """Starts a delivery matched in an earlier iteration: a reload may have replaced or removed the hook since."""
        current = None if runner is None else self.table.get(runner.hook.id)
        if runner is None or current is not None:
            self._start(one, current, settlement)
        else:
            work = Work(Delivery(self.new_id(), one.event, runner.hook.id), settlement)
            self.park(runner, (work,), "hook_removed")

    def _runners_of(self, one: Remaining) -> Sequence[HookWorker | None]:
        """Returns the workers of the hooks that have work to do for the event; a single None if no hook asked for it."""
        if one.settled is None:
            return ()
        runners = self.table.match(one.event)
        if one.settled:
            return [runner for runner in runners if runner.hook.id not in one.settled]
        return runners if runners or one.before else (None,)

    def _start(self, one: Remaining, runner: HookWorker | None, settlement: Settlement) -> None:
        if runner is None:
            self.watch.unmatched(one.event)
            self.recorder.add(Unmatched(one.event), settlement)
            return
        work = Work(Delivery(self.new_id(), one.event, runner.hook.id), settlement)
        if one.duplicate:
            self.record(runner, work, Skipped(DUPLICATE))
        else:
            self.start(runner, work)

    def start(self, runner: HookWorker, work: Work) -> None:
        """Attempts the delivery straight from the source while the hook is healthy, else parks it."""
        if not runner.hook.enabled:
            self.record(runner, work, Skipped("hook_disabled"))
        elif reason := work.settlement.park_reason or runner.why_park(time.monotonic()):
            self.park(runner, (work,), reason)
        else:
            runner.enqueue(work)

    def start_all(self, runner: HookWorker, works: Sequence[Work]) -> None:
        """Starts deliveries that waited for the worker which this one replaces: after the first one, all in the same way."""
        for first in works[:1]:
            self.start(runner, first)
        if reason := runner.why_park(time.monotonic()):
            self.park(runner, works[1:], reason)
        else:
            runner.enqueue_all(works[1:])

    def turned_away(self, runner: HookWorker, work: Work) -> bool:
        """Matches a provisional copy; returns True if the hook does not ask for it: the delivery is SKIPPED."""
        if not work.delivery.provisional:
            return False
        if self.table.asks(runner.hook.id, work.delivery.event):
            work.delivery = replace(work.delivery, provisional=False)
            return False
        work.settlement.started = True
        self.record(runner, work, Skipped("not_matched"))
        return True

    # ---- entrance: a delivery that has a slot, and the steps of its attempt ----------------------------

    async def deliver(self, runner: HookWorker, work: Work) -> None:
        """Runs the steps of one attempt. Never raises for anything that a target does."""
        # Bodies are built and signed, programs started: hundreds of attempts may begin at once.
        await self.turn.own()
        if not work.settlement.ticket.valid:
            work.settlement.drop_one()
            return  # The broker redelivers the message anyway: an attempt now would be a certain duplicate.
        if reason := runner.why_wait(work, time.monotonic()):
            await self.conclude(runner, work, Parked(reason))
            return
        at, started = self._record_started(work)
        answer = await awaited(self._perform, self._perform_failed, runner, work)
        ended = time.monotonic()
        outcome = self._normalize_state(runner, work, answer, ended)
        attempt = _attempt_of(work.delivery, answer, at, ended - started)
        self._report_finished(runner, work, outcome, attempt)
        await self.conclude(runner, work, outcome, attempt)

    def _record_started(self, work: Work) -> tuple[float, float]:
        """Prevents the return of the message to the broker; returns the start in Unix and in monotonic seconds."""
        work.settlement.started = True
        return time.time(), time.monotonic()

    async def _perform(self, runner: HookWorker, work: Work) -> Answer:
        assert runner.target is not None
        return await runner.target.attempt(work.delivery)

    def _perform_failed(self, runner: HookWorker, _: Work, error: Exception) -> Answer:
        """Turns a bug in a target into an answer, so that the delivery is retried."""
        self.watch.bug(runner, error)
        return Answer(Fault.BUG, error=described(error))

    def _normalize_state(self, runner: HookWorker, work: Work, answer: Answer, ended: float) -> Outcome:
        """Reports the answer to the hook's breaker, and returns the outcome of the delivery."""
        runner.learn(answer, ended, probe=work.probe)
        if answer.done:
            work.delivery = replace(work.delivery, done=answer.done)
        jitter = random.random()  # noqa: S311 - not secrecy
        return judge(answer, work.delivery, runner.policy, now=time.time(), random=jitter, probe=work.probe)

    def _report_finished(self, runner: HookWorker, work: Work, outcome: Outcome, attempt: Attempt) -> None:
        """Counts and logs the attempt."""
        self.watch.attempted(runner, work.delivery, outcome, attempt)

    async def conclude(
        self, runner: HookWorker, work: Work, outcome: Outcome, attempt: Attempt | None = None
    ) -> None:
        """Makes the outcome durable, then records it; the recorder settles the message after its commit."""
        work.settlement.started = True
        fate: Outcome | None = outcome
        match outcome:
            case Delivered() | Skipped():
                pass
            case FailedForGood(reason=reason, pause_hook=pause):
                # An attempt with the former configuration of a hook says nothing about the present one.
                if pause and not runner.paused and self.table.get(runner.hook.id) is runner:
                    self.watch.paused(runner, reason)
                    runner.pause(reason)
                    self.remember_pause(runner.hook.id, reason)
            case RetryLater(wait=wait, hold=hold):
                if hold:
                    runner.hold(time.monotonic() + hold)
                copy = next_copy(work.delivery, outcome, attempt, steady_time())
                fate = await self._secure(runner, work, outcome, partial(self.copies.delay, copy, wait))
            case Parked():
                copy = next_copy(work.delivery, outcome, attempt, steady_time())
                fate = await self._secure(runner, work, outcome, partial(self.copies.park, copy))
            case _:
                assert_never(outcome)
        # Without a confirmed copy the redelivered message is the only trace of the delivery: if the attempt were recorded, the
        # fence would drop that message as stale.
        if fate is None:
            work.settlement.drop_one()
        else:
            self.record(runner, work, fate, attempt)

    async def _secure(
        self, runner: HookWorker, work: Work, outcome: Outcome, publish: Callable[[], Awaitable[None]]
    ) -> Outcome | None:
        """Publishes a copy until the broker has confirmed it; returns None once the message can no longer be settled here."""
        backoff = Backoff()
        while work.settlement.valid:
            try:
                await publish()
            except PublishTooLarge as error:
                return FailedForGood(f"cannot wait on the broker: {error}")
            except BridgeError as error:
                self.watch.copy_failed(runner, error)
                await backoff.pause()
            else:
                # The lane belongs to the present worker of the hook, which may have been replaced since.
                (self.table.get(runner.hook.id) or runner).copy_sent(outcome, work.delivery.event.received_at)
                self.watch.copy_sent(runner, outcome)
                return outcome
        return None

    # ---- exits ----------------------------------------------------------------------------------------

    def record(
        self, runner: HookWorker, work: Work, outcome: Outcome, attempt: Attempt | None = None
    ) -> None:
        """Records a durable outcome; the message is settled after the commit."""
        now = time.time()
        reason, next_attempt_at = _told(outcome, now)
        record = Record(
            delivery=work.delivery,
            target=runner.hook.target.type,
            status=status_after(outcome, work.delivery),
            reason=reason,
            at=now,
            attempt=attempt,
            next_attempt_at=next_attempt_at,
            waited=work.from_lane,
        )
        self.recorder.add(record, work.settlement)

    def park(self, runner: HookWorker, works: Sequence[Work], reason: str) -> None:
        """Copies deliveries into their hook's lane, in their order, in the background."""
        if works:
            runner.park(works, partial(self._park, runner, reason))

    async def _park(self, runner: HookWorker, reason: str, work: Work) -> None:
        await self.turn.own()  # thousands may begin at once
        if runner.hook.fault is not None and runner.hook.fault.provisional:
            work.delivery = replace(work.delivery, provisional=True)
        await awaited(self.conclude, self._park_failed, runner, work, Parked(reason))

    def _park_failed(self, runner: HookWorker, work: Work, _: Parked, error: Exception) -> None:
        self.watch.bug(runner, error)
        work.settlement.drop_one()

    def quarantine(self, fault: Undecodable, message: Message, settlement: Settlement) -> None:
        """Keeps in quarantine a message that cannot be handled, whole and with the reason."""
        self.watch.quarantined(settlement.source, fault)
        entry = Quarantined(
            self.new_id(), settlement.source, fault.reason, fault.detail, time.time(), message
        )
        self.recorder.add(entry, settlement)


def _attempt_of(delivery: Delivery, answer: Answer, at: float, seconds: float) -> Attempt:
    """Returns the attempt as the history keeps it."""
    return Attempt(
        number=delivery.attempt,
        started_at=at,
        duration_ms=seconds * 1000,
        outcome=answer.fault.value if answer.fault else "delivered",
        code=answer.code,
        response=answer.response,
        error=answer.error,
        evidence=answer.evidence,
    )


def steady_time() -> float:
    """Returns the Unix time at the start of the process plus the monotonic time since: waits must not change when the system
    clock is set.
    """
    return _AT_ZERO + time.clock_gettime(_STEADY)


def next_copy(
    delivery: Delivery, outcome: RetryLater | Parked, attempt: Attempt | None, now: float
) -> Delivery:
    """Returns the delivery as its copy carries it: attempt and used wait counted, with the time of the next attempt."""
    match outcome:
        case RetryLater(wait=wait, reason=reason, uses_retry=uses_retry):
            return replace(
                delivery,
                attempt=delivery.attempt + (attempt is not None),
                retries=delivery.retries + uses_retry,
                not_before=now + wait,
                waits_from=now,
                error=reason,
            )
        case Parked():
            return delivery
        case _:
            assert_never(outcome)


def _told(outcome: Outcome, now: float) -> tuple[str, float | None]:
    """Returns the reason of an outcome and the time of the next attempt, as the history stores them."""
    match outcome:
        case Delivered():
            return "", None
        case RetryLater(wait=wait, reason=reason):
            return reason, now + wait
        case FailedForGood(reason=reason) | Skipped(reason=reason) | Parked(reason=reason):
            return reason, None
        case _:
            assert_never(outcome)
