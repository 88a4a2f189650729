"""A hook's circuit breaker: an endpoint that is down is left alone and looked at now and then.

Closed: all attempts go. Open: none, until a probe is due. Half-open: one probe is under way.
"""

from dataclasses import dataclass
from typing import assert_never

from bridge.core.delivery import Answer, Fault

_DOWN = frozenset({Fault.REFUSED, Fault.DNS, Fault.TLS, Fault.TIMEOUT})
_OVERLOADED = frozenset({429, 502, 503, 504})


def speaks_of_outage(answer: Answer) -> bool:
    """Whether the endpoint is down or overloaded, whatever was sent to it.

    All other faults may lie with the one event, and an endpoint that answers is there.
    """
    return answer.fault in _DOWN or (answer.fault is Fault.STATUS and answer.code in _OVERLOADED)


@dataclass(frozen=True, slots=True)
class Rules:
    """When a breaker opens and how it probes; waits in seconds, doubling from the first to the longest."""

    failures: int = 5
    """In a row that open it."""
    window: int = 20
    share: float = 0.5
    """Of the last `window` attempts that opens it, once there were so many."""
    first_probe: float = 1.0
    longest_probe: float = 60.0


@dataclass(frozen=True, slots=True)
class Closed:
    """`recent` holds the last attempts as bits, 1 is a failure; `seen` is how many there are, at most `window`."""

    in_a_row: int = 0
    recent: int = 0
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Open:
    """The next probe is due at `probe_at`, `wait` seconds after the breaker opened or the last one failed."""

    wait: float
    probe_at: float


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """A probe is under way since `since`; `wait` seconds were waited for it."""

    wait: float
    since: float


State = Closed | Open | HalfOpen


def after_attempt(state: State, rules: Rules, now: float, *, failed: bool, probe: bool) -> State:
    """The state once an attempt ended.

    What was sent before the breaker opened and ends only now says nothing new.
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
        return state  # nothing but successes: the usual case makes no new object
    recent = (state.recent << 1 | failed) & ((1 << rules.window) - 1)
    seen = min(state.seen + 1, rules.window)
    in_a_row = state.in_a_row + 1 if failed else 0
    often = seen == rules.window and recent.bit_count() >= rules.share * rules.window
    if failed and (in_a_row >= rules.failures or often):
        return Open(rules.first_probe, now + rules.first_probe)
    return Closed(in_a_row, recent, seen)


def probe_started(state: Open, now: float) -> HalfOpen:
    """The state once the probe that was due is under way."""
    return HalfOpen(state.wait, now)


class Breaker:
    """The state of one hook's breaker as it goes on; all times are from one monotonic clock."""

    __slots__ = ("_rules", "state")

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.state: State = Closed()

    @property
    def closed(self) -> bool:
        """All attempts may go."""
        return isinstance(self.state, Closed)

    @property
    def probing(self) -> bool:
        """A probe is under way."""
        return isinstance(self.state, HalfOpen)

    @property
    def probe_at(self) -> float:
        """When to look again: the next probe's time, or while one is under way when the next could be at the
        latest if it failed now; 0 while closed.
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
        """Whether one delivery may be attempted to see if the endpoint is back."""
        return isinstance(self.state, Open) and now >= self.state.probe_at

    def start_probe(self, now: float) -> bool:
        """Take the probe that is due; False: none is, or another took it."""
        if isinstance(self.state, Open) and now >= self.state.probe_at:
            self.state = probe_started(self.state, now)
            return True
        return False

    def learn(self, answer: Answer, now: float, *, probe: bool) -> None:
        """Count what an attempt met; every probe that was started must come back here."""
        failed = speaks_of_outage(answer)
        self.state = after_attempt(self.state, self._rules, now, failed=failed, probe=probe)
