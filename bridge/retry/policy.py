"""The retry policy turns the Answer of an attempt into an Outcome; the circuit breaker, the retry ladder, and prefetch limits
of lanes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from bridge.core.delivery import Answer, Delivered, Delivery, FailedForGood, Fault, Outcome, RetryLater
from bridge.core.hook import Hook, Retry
from bridge.core.target import WebhookTarget

# The circuit breaker of a hook stops attempts to a failing endpoint and probes it periodically. Closed: all attempts are made.
# Open: none, until a probe is due. Half-open: one probe is in-flight.


_DOWN = frozenset({Fault.REFUSED, Fault.DNS, Fault.TLS, Fault.TIMEOUT})
_OVERLOADED = frozenset({429, 502, 503, 504})


def speaks_of_outage(answer: Answer) -> bool:
    """Returns whether the endpoint is down or overloaded, independent of the event.

    Other faults may be caused by the one event, and prove that the endpoint responds.
    """
    return answer.fault in _DOWN or (answer.fault is Fault.STATUS and answer.code in _OVERLOADED)


@dataclass(frozen=True, slots=True)
class Rules:
    """The thresholds and waits of a circuit breaker; waits in seconds, doubling from the first to the longest."""

    failures: int = 5
    """The number of consecutive failures that opens it."""
    window: int = 20
    share: float = 0.5
    """The share of failures in the last `window` attempts that opens it, once the window is full."""
    first_probe: float = 1.0
    longest_probe: float = 60.0


@dataclass(frozen=True, slots=True)
class Closed:
    """`recent` is a bit mask of the last attempts, 1 is a failure; `seen` is their number, at most `window`."""

    in_a_row: int = 0
    recent: int = 0
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """The next probe is due at `probe_at`, `wait` seconds after opening or after the last failed probe."""

    wait: float
    probe_at: float


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """The half-open state: a probe is in-flight since `since`, after a wait of `wait` seconds."""

    wait: float
    since: float


State = Closed | Open | HalfOpen


def after_attempt(state: State, rules: Rules, now: float, *, failed: bool, probe: bool) -> State:
    """Returns the state after an attempt ended.

    Attempts that started before the breaker opened do not count.
    """
    match state:
        case Closed():
            return _counted(state, rules, now, failed=failed)
        case HalfOpen(wait=wait) if probe:
            longer = min(wait * 2, rules.longest_probe)
            return Open(longer, now + longer) if failed else Closed()
        case Open() | HalfOpen():
            return state
        case _:
            assert_never(state)


def _counted(state: Closed, rules: Rules, now: float, *, failed: bool) -> State:
    if not failed and not state.recent and state.seen == rules.window:
        return state  # the usual case, only successes, creates no new object
    recent = (state.recent << 1 | failed) & ((1 << rules.window) - 1)
    seen = min(state.seen + 1, rules.window)
    in_a_row = state.in_a_row + 1 if failed else 0
    often = seen == rules.window and recent.bit_count() >= rules.share * rules.window
    if failed and (in_a_row >= rules.failures or often):
        return Open(rules.first_probe, now + rules.first_probe)
    return Closed(in_a_row, recent, seen)


def probe_started(state: Open, now: float) -> HalfOpen:
    """Returns the state after the due probe started."""
    return HalfOpen(state.wait, now)


class CircuitBreaker:
    """The circuit breaker of one hook; all times are of one monotonic clock, in seconds."""

    __slots__ = ("_rules", "state")

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.state: State = Closed()

    @property
    def closed(self) -> bool:
        """Returns whether all attempts may be made."""
        return isinstance(self.state, Closed)

    @property
    def probing(self) -> bool:
        """Returns whether a probe is in-flight."""
        return isinstance(self.state, HalfOpen)

    @property
    def probe_at(self) -> float:
        """Returns the time of the next probe, or, while one is in-flight, the earliest time of the probe after it
        if it failed now; 0 while closed.
        """
        match self.state:
            case Closed():
                return 0.0
            case Open(probe_at=probe_at):
                return probe_at
            case HalfOpen(since=since):
                return since + self._rules.longest_probe
            case _:
                assert_never(self.state)

    def probe_due(self, now: float) -> bool:
        """Returns whether one delivery may be attempted as a probe."""
        return isinstance(self.state, Open) and now >= self.state.probe_at

    def start_probe(self, now: float) -> bool:
        """Start the due probe; returns False if none is due or another caller took it."""
        if isinstance(self.state, Open) and now >= self.state.probe_at:
            self.state = probe_started(self.state, now)
            return True
        return False

    def learn(self, answer: Answer, now: float, *, probe: bool) -> None:
        """Record the result of an attempt; must be called for every started probe."""
        failed = speaks_of_outage(answer)
        self.state = after_attempt(self.state, self._rules, now, failed=failed, probe=probe)


# The retry schedule.


class End(StrEnum):
    """The reason why no further attempt is made."""

    RETRIES_EXHAUSTED = "retries_exhausted"
    TOO_OLD = "too_old"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits between attempts, in seconds; the last one repeats up to `max_attempts`.

    `jitter` lengthens each wait by a random share of it up to that value. `max_age` is in seconds.
    """

    waits: tuple[float, ...]
    max_attempts: int
    max_age: float | None = None
    jitter: float = 0.0

    def next_wait(
        self, retries_used: int, *, event_age: float, random: float, at_least: float = 0.0
    ) -> float | End:
        """Returns the seconds until the next attempt, at least `at_least`, or the reason why there is none.

        `retries_used` counts earlier waits; attempts without a wait, such as probes, do not count. The event must not
        exceed `max_age` when the wait ends; after a manual retry `event_age` counts from the retry. `random` is in [0,
        1).
        """
        if retries_used + 1 >= self.max_attempts or not self.waits:
            return End.RETRIES_EXHAUSTED
        wait = self.waits[min(retries_used, len(self.waits) - 1)]
        wait = max(wait * (1 + self.jitter * random), at_least)
        return End.TOO_OLD if self.too_old(event_age + wait) else wait

    def too_old(self, event_age: float) -> bool:
        """Returns whether an event of this age, in seconds, gets no further attempt."""
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
    # as observed: at once, then after 1 minute, 10 minutes, 1 hour
    "splynx": _of(0.0, _MINUTE, 10 * _MINUTE, _HOUR),
    # min(1000 * 2^n, 32000) ms and a jitter of up to the same, two retries
    "phlix": _of(1.0, 2.0, jitter=1.0),
    # `retries` 3, `retry_delay` 60 of the newest edition
    "cockpit": _of(_MINUTE, _MINUTE, _MINUTE),
    "none": _of(),
}


def schedule_of(retry: Retry) -> Schedule:
    """Returns the schedule that a hook configures; missing fields are the preset's, finally those of `standard`."""
    start = _of(*retry.schedule) if retry.schedule is not None else PRESETS[retry.preset or "standard"]
    return Schedule(
        waits=start.waits,
        max_attempts=start.max_attempts if retry.max_attempts is None else retry.max_attempts,
        max_age=retry.max_age,
        jitter=start.jitter if retry.jitter is None else retry.jitter,
    )


RETRY_AFTER_MAX = 86_400.0
"""The longest Retry-After that is honoured, in seconds."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The retry policy of a hook: its schedule, and the status codes that are final.

    `retry_after_max` is the longest Retry-After that is honoured, in seconds.
    """

    schedule: Schedule
    final: frozenset[int] = frozenset()
    retry_after_max: float = RETRY_AFTER_MAX

    @classmethod
    def of(cls, hook: Hook, *, retry_after_max: float = RETRY_AFTER_MAX) -> "Policy":
        """Returns the policy of a hook."""
        final = hook.target.final if isinstance(hook.target, WebhookTarget) else ()
        return cls(schedule_of(hook.retry), frozenset(final), retry_after_max)


def judge(
    answer: Answer, delivery: Delivery, policy: Policy, *, now: float, random: float, probe: bool
) -> Outcome:
    """Returns the outcome of an attempt: delivered, to be retried, or failed permanently.

    `delivery` is in its state at the attempt, `now` in Unix seconds, `random` in [0, 1); `probe`: the attempt was a
    probe of the circuit breaker.
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
    """Returns the reason: the fault, with status or exit code if these are the fault."""
    if answer.fault in (Fault.STATUS, Fault.EXIT, Fault.REDIRECT) and answer.code is not None:
        return f"{answer.fault}_{answer.code}"
    return str(answer.fault)


# The ladder: how a wait is composed of the steps of the delay queues, and how much is fetched ahead.


MOST = 200
_MOST_ROUNDS = 8
_LESS = 0.75


def lane_prefetch(concurrency: int, rate: float | None, timeout: float, longest_hold: float) -> int:
    """Returns the prefetch that keeps all slots busy while commits are pending, within the broker's consumer timeout.

    `timeout` of an attempt and `longest_hold`, a quarter of the broker's consumer timeout, are in seconds; `rate` is
    attempts per second, None: unlimited. All messages start within `longest_hold`; if that allows less than two rounds
    of attempts, the prefetch is two rounds if both end within three quarters of the consumer timeout, else one.
    """
    rounds = min(_MOST_ROUNDS, int(longest_hold / max(timeout, 1.0)))
    if rounds < 2:
        rounds = 2 if 2 * timeout <= 3 * longest_hold else 1
    turns = MOST if rate is None else int(rate * longest_hold)
    return max(1, min(rounds * concurrency, MOST, turns))


def fitting_prefetch(messages: int, byte_count: int, prefetch: int, *, share: int, most: int) -> int:
    """Returns the prefetch with which messages take up to `share` bytes, at most `most`.

    The average size of the held messages is the estimate. Each change renews the consumer, so small changes are
    ignored, and the prefetch is raised only if the present one is exhausted.
    """
    if not messages:
        return prefetch
    fit = max(1, min(most, share * messages // max(byte_count, 1)))
    if fit < prefetch * _LESS:
        return fit
    used_up = 2 * messages >= prefetch
    return fit if used_up and fit > prefetch and (fit == most or fit >= 2 * prefetch) else prefetch


# The retry ladder: a wait is composed of delay queues with fixed TTLs: never early, little late, few hops.


STEPS = (5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 36_000)
"""The TTL of each delay queue in seconds."""

MOST_LATE_SHARE = 0.1
MOST_LATE_SECONDS = 2.0
"""A wait may be lengthened by a tenth or by this many seconds, whichever is more."""


def fit(wait: float) -> float:
    """Returns the wait to plan instead of `wait`: equal or a little longer, so that few hops compose it.

    Greedy from the longest step down; at each step one more hop may end the wait if that is not too late. The fewest
    hops win, then the earliest; the rest that is waited for at the lane counts as one hop.
    """
    if wait < STEPS[0]:
        return max(wait, 0.0)
    latest = wait + max(wait * MOST_LATE_SHARE, MOST_LATE_SECONDS)
    plans = []
    planned = hops = 0
    for step in reversed(STEPS):
        count = int((wait - planned) // step)
        planned += count * step
        hops += count
        if planned + step <= latest:
            plans.append((hops + 1, float(planned + step)))
    plans.append((hops + (planned < wait), wait))
    return min(plans)[1]


def next_step(remaining: float) -> int | None:
    """Returns the TTL of the delay queue for a copy due in `remaining` seconds; None: too short, the copy waits in its
    lane.

    A step may exceed `remaining` by up to two seconds: earlier hops took slightly longer than their TTLs, which must
    not add many short hops.
    """
    if remaining < STEPS[0]:
        return None
    return next(step for step in reversed(STEPS) if step <= remaining + MOST_LATE_SECONDS)
