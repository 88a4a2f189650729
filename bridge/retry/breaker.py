"""The circuit breaker of a hook: stops attempts to a failing endpoint and probes it periodically.

Closed: all attempts are made. Open: none, until a probe is due. Half-open: one probe is in-flight.
"""

from dataclasses import dataclass
from typing import assert_never

from bridge.core.delivery import Answer, Fault

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
