"""What an attempt comes to."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.delivery import Answer, Delivered, Delivery, FailedForGood, Fault, Outcome, RetryLater
from bridge.core.hook import Hook, Retry
from bridge.core.target import WebhookTarget
from bridge.retry.breaker import speaks_of_outage
from bridge.retry.ladder import fit

# When a failed attempt is tried again.


class End(StrEnum):
    """Why there is no further attempt."""

    RETRIES_EXHAUSTED = "retries_exhausted"
    TOO_OLD = "too_old"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits between the attempts, in seconds; the last one repeats while `max_attempts` allows.

    A wait is lengthened by a random part of it, up to the share `jitter`. `max_age` is in seconds.
    """

    waits: tuple[float, ...]
    max_attempts: int
    max_age: float | None = None
    jitter: float = 0.0

    def next_wait(
        self, retries_used: int, *, event_age: float, random: float, at_least: float = 0.0
    ) -> float | End:
        """Seconds until the next attempt, not under `at_least`, or why there is none.

        `retries_used` is how many waits were used before this one; attempts that used none, as probes do, do
        not count. The event must not be older than `max_age` when the wait is over; where the delivery was started
        anew, `event_age` counts from then. `random` is in [0, 1).
        """
        if retries_used + 1 >= self.max_attempts or not self.waits:
            return End.RETRIES_EXHAUSTED
        wait = self.waits[min(retries_used, len(self.waits) - 1)]
        wait = max(wait * (1 + self.jitter * random), at_least)
        return End.TOO_OLD if self.too_old(event_age + wait) else wait

    def too_old(self, event_age: float) -> bool:
        """Whether an event of this age, in seconds, gets no further attempt."""
        return self.max_age is not None and event_age > self.max_age


def _of(*waits: float, jitter: float = 0.0) -> Schedule:
    return Schedule(waits, max_attempts=len(waits) + 1, jitter=jitter)


_MINUTE = 60.0
_HOUR = 3600.0

PRESETS: Mapping[str, Schedule] = {
    "standard": _of(
        *(5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR),
        *(10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
        jitter=0.1,
    ),
    # as seen by a third party: at once, then after 1 minute, 10 minutes, 1 hour
    "splynx": _of(0.0, _MINUTE, 10 * _MINUTE, _HOUR),
    # min(1000 * 2^n, 32000) ms and a random part of up to the same, two retries
    "phlix": _of(1.0, 2.0, jitter=1.0),
    # `retries` 3, `retry_delay` 60 of its newest edition
    "cockpit": _of(_MINUTE, _MINUTE, _MINUTE),
    "none": _of(),
}


def schedule_of(retry: Retry) -> Schedule:
    """The schedule that a hook asks for; what it leaves out is the preset's, `standard` at last."""
    start = _of(*retry.schedule) if retry.schedule is not None else PRESETS[retry.preset or "standard"]
    return Schedule(
        waits=start.waits,
        max_attempts=start.max_attempts if retry.max_attempts is None else retry.max_attempts,
        max_age=retry.max_age,
        jitter=start.jitter if retry.jitter is None else retry.jitter,
    )


RETRY_AFTER_MAX = 86_400.0
"""Seconds of a Retry-After that are honoured."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a hook wants of its failures: the schedule, and the status codes that end it.

    `retry_after_max` is the longest Retry-After that is honoured, in seconds.
    """

    schedule: Schedule
    final: frozenset[int] = frozenset()
    retry_after_max: float = RETRY_AFTER_MAX

    @classmethod
    def of(cls, hook: Hook, *, retry_after_max: float = RETRY_AFTER_MAX) -> "Policy":
        """The policy that the hook was configured with."""
        final = hook.target.final if isinstance(hook.target, WebhookTarget) else ()
        return cls(schedule_of(hook.retry), frozenset(final), retry_after_max)


def judge(
    answer: Answer, delivery: Delivery, policy: Policy, *, now: float, random: float, probe: bool
) -> Outcome:
    """Delivered, to be retried, or failed for good.

    `delivery` is as it was when it was attempted, `now` is in Unix seconds, `random` in [0, 1), `probe` tells
    that the attempt was to find out whether the endpoint is back.
    """
    if answer.fault is None:
        return Delivered()
    if answer.fault is Fault.STATUS and answer.code == 410:
        return FailedForGood("gone", pause_hook=True)
    if _is_lasting(answer, policy):
        return FailedForGood(_reason(answer))
    age = now - (delivery.restarted_at or delivery.event.received_at)
    return _retry(answer, delivery, policy, age, random, probe=probe)


def _is_lasting(answer: Answer, policy: Policy) -> bool:
    """Whether the same attempt could never succeed."""
    if answer.lasting or answer.fault is Fault.REDIRECT:
        return True
    code = answer.code
    return answer.fault is Fault.STATUS and code is not None and (300 <= code < 400 or code in policy.final)


def _retry(
    answer: Answer, delivery: Delivery, policy: Policy, age: float, random: float, *, probe: bool
) -> RetryLater | FailedForGood:
    hold = min(max(0.0, answer.retry_after or 0.0), policy.retry_after_max)
    if probe and speaks_of_outage(answer) and not policy.schedule.too_old(age):
        return RetryLater(0.0, _reason(answer), uses_retry=False, hold=hold)
    wait = policy.schedule.next_wait(delivery.retries, event_age=age, random=random, at_least=hold)
    if isinstance(wait, End):
        return FailedForGood(wait.value)
    return RetryLater(fit(wait), _reason(answer), hold=hold)


def _reason(answer: Answer) -> str:
    """The fault, with the status or exit code where that is the fault."""
    if answer.fault in (Fault.STATUS, Fault.EXIT, Fault.REDIRECT) and answer.code is not None:
        return f"{answer.fault}_{answer.code}"
    return str(answer.fault)
