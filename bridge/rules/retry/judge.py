"""What an attempt comes to."""

from dataclasses import dataclass

from bridge.model.delivery import (
    Answer,
    Delivered,
    Delivery,
    FailedForGood,
    Fault,
    Outcome,
    RetryLater,
)
from bridge.model.hook import Hook
from bridge.model.target import WebhookTarget
from bridge.rules.retry.breaker import speaks_of_outage
from bridge.rules.retry.ladder import fit
from bridge.rules.retry.schedule import End, Schedule, schedule_of

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
