"""A dead endpoint is left alone, and looked at now and then."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bridge.core.delivery import Answer, Fault
from bridge.retry.policy import CircuitBreaker, Closed, HalfOpen, Open, Rules, speaks_of_outage

DOWN = Answer(Fault.REFUSED)
FINE = Answer()


def opened(rules: Rules | None = None, now: float = 0.0) -> CircuitBreaker:
    breaker = CircuitBreaker(rules or Rules())
    for _ in range(5):
        breaker.learn(DOWN, now, probe=False)
    assert not breaker.closed
    return breaker


@pytest.mark.parametrize(
    "answer",
    [
        *(Answer(fault) for fault in (Fault.REFUSED, Fault.DNS, Fault.TLS, Fault.TIMEOUT)),
        *(Answer(Fault.STATUS, code=code) for code in (429, 502, 503, 504)),
    ],
)
def test_these_speak_of_an_outage(answer):
    assert speaks_of_outage(answer)


@pytest.mark.parametrize(
    "answer",
    [
        FINE,
        Answer(code=503),  # a hook may list it as success
        *(Answer(Fault.STATUS, code=code) for code in (400, 404, 408, 410, 425, 500, 501)),
        *(
            Answer(fault, code=503)
            for fault in Fault
            if fault not in (Fault.REFUSED, Fault.DNS, Fault.TLS, Fault.TIMEOUT, Fault.STATUS)
        ),
    ],
)
def test_these_do_not(answer):
    assert not speaks_of_outage(answer)


def test_five_in_a_row_open_it_and_four_do_not():
    breaker = CircuitBreaker(Rules())
    for _ in range(3):
        for _ in range(4):
            breaker.learn(DOWN, 0.0, probe=False)
        breaker.learn(FINE, 0.0, probe=False)
    assert breaker.closed
    for _ in range(5):
        assert breaker.closed
        breaker.learn(DOWN, 0.0, probe=False)
    assert not breaker.closed


def test_half_of_the_last_twenty_open_it():
    breaker = CircuitBreaker(Rules())
    for _ in range(9):
        breaker.learn(FINE, 0.0, probe=False)
        breaker.learn(DOWN, 0.0, probe=False)
    breaker.learn(FINE, 0.0, probe=False)
    assert breaker.closed
    breaker.learn(DOWN, 0.0, probe=False)
    assert not breaker.closed


def test_less_than_half_never_opens_it():
    breaker = CircuitBreaker(Rules())
    for _ in range(100):
        for answer in (DOWN, DOWN, FINE, FINE, FINE):
            breaker.learn(answer, 0.0, probe=False)
    assert breaker.closed


def test_the_first_of_twenty_no_longer_counts_after_twenty_more():
    breaker = CircuitBreaker(Rules())
    for answer in [*[DOWN, DOWN, FINE] * 4, *[FINE] * 20, *[DOWN, FINE] * 4]:
        breaker.learn(answer, 0.0, probe=False)
    assert breaker.closed


def test_a_fault_of_the_event_itself_ends_a_row():
    breaker = CircuitBreaker(Rules())
    for answer in [DOWN, DOWN, DOWN, DOWN, Answer(Fault.STATUS, code=500), DOWN]:
        breaker.learn(answer, 0.0, probe=False)
    assert breaker.closed


def test_the_first_probe_is_due_after_a_second_and_there_is_just_one():
    breaker = opened(now=100.0)
    assert breaker.probe_at == 101.0
    assert not breaker.probe_due(100.9)
    assert not breaker.start_probe(100.9)
    assert breaker.probe_due(101.0)
    assert breaker.start_probe(101.0)
    assert breaker.probing
    assert not breaker.probe_due(500.0)
    assert not breaker.start_probe(500.0)


def test_waits_between_probes_double_up_to_a_minute():
    breaker, now, waits = opened(), 0.0, []
    for _ in range(9):
        waits.append(breaker.probe_at - now)
        now = breaker.probe_at
        assert breaker.start_probe(now)
        breaker.learn(DOWN, now, probe=True)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_successful_probe_closes_it_and_forgets():
    breaker = opened()
    assert breaker.start_probe(1.0)
    breaker.learn(FINE, 2.0, probe=True)
    assert breaker.closed
    for _ in range(4):
        breaker.learn(DOWN, 3.0, probe=False)
    assert breaker.closed
    breaker.learn(DOWN, 3.0, probe=False)
    assert breaker.probe_at == 4.0


def test_a_probe_that_meets_a_fault_of_the_event_itself_closes_it_too():
    breaker = opened()
    assert breaker.start_probe(1.0)
    breaker.learn(Answer(Fault.STATUS, code=500), 2.0, probe=True)
    assert breaker.closed


@pytest.mark.parametrize("answer", [FINE, DOWN])
def test_what_was_sent_before_it_opened_and_ends_late_changes_nothing(answer):
    breaker = opened()
    breaker.learn(answer, 0.5, probe=False)
    assert breaker.probe_at == 1.0
    assert breaker.start_probe(1.0)
    breaker.learn(answer, 1.5, probe=False)
    assert breaker.probing


def test_while_a_probe_is_under_way_the_time_to_look_again_lies_ahead():
    breaker = opened()
    assert breaker.start_probe(50.0)
    assert breaker.probe_at == 110.0


def test_steady_success_makes_no_new_state():
    breaker = CircuitBreaker(Rules())
    for _ in range(20):
        breaker.learn(FINE, 0.0, probe=False)
    state = breaker.state
    breaker.learn(FINE, 0.0, probe=False)
    assert breaker.state is state


def test_its_rules_can_be_set():
    rules = Rules(failures=2, window=4, share=0.75, first_probe=3.0, longest_probe=5.0)
    breaker = CircuitBreaker(rules)
    breaker.learn(DOWN, 0.0, probe=False)
    breaker.learn(DOWN, 0.0, probe=False)
    assert breaker.probe_at == 3.0
    assert breaker.start_probe(3.0)
    breaker.learn(DOWN, 3.0, probe=True)
    assert breaker.probe_at == 8.0


class BreakerMachine(RuleBasedStateMachine):
    """Against a naive account of what happened."""

    @initialize(
        failures=st.integers(1, 6),
        window=st.integers(1, 8),
        share=st.sampled_from([0.25, 0.5, 0.75, 1.0]),
        first=st.sampled_from([1.0, 7.0]),
        longest=st.sampled_from([7.0, 60.0]),
    )
    def start(self, failures: int, window: int, share: float, first: float, longest: float) -> None:
        self.chosen = Rules(failures, window, share, first, longest)
        self.breaker = CircuitBreaker(self.chosen)
        self.now = 0.0
        self.history: list[bool] = []
        self.failed_probes = 0
        self.since = 0.0

    @rule(seconds=st.floats(0, 100))
    def time_goes_by(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.breaker.closed)
    @rule(failed=st.booleans())
    def an_attempt_ends(self, failed: bool) -> None:
        self.breaker.learn(DOWN if failed else FINE, self.now, probe=False)
        self.history.append(failed)
        if self._should_open():
            assert not self.breaker.closed
            self.failed_probes, self.since = 0, self.now
        else:
            assert self.breaker.closed

    @precondition(lambda self: not self.breaker.closed)
    @rule(failed=st.booleans())
    def an_old_attempt_ends_late(self, failed: bool) -> None:
        before = self.breaker.state
        self.breaker.learn(DOWN if failed else FINE, self.now, probe=False)
        assert self.breaker.state == before

    @rule()
    def somebody_asks_for_a_probe(self) -> None:
        due = isinstance(self.breaker.state, Open) and self.now >= self._probe_at()
        assert self.breaker.probe_due(self.now) is due
        assert self.breaker.start_probe(self.now) is due
        assert not self.breaker.start_probe(self.now)

    @precondition(lambda self: self.breaker.probing)
    @rule(failed=st.booleans())
    def the_probe_ends(self, failed: bool) -> None:
        self.breaker.learn(DOWN if failed else FINE, self.now, probe=True)
        assert self.breaker.closed is not failed
        self.failed_probes, self.since = self.failed_probes + 1, self.now
        self.history = []

    @invariant()
    def an_open_breaker_tells_when_it_probes_and_always_will(self) -> None:
        match self.breaker.state:
            case Open(wait=wait, probe_at=probe_at):
                assert probe_at == self._probe_at()
                assert 0 < wait <= max(self.chosen.first_probe, self.chosen.longest_probe)
            case HalfOpen():
                assert self.breaker.probing
            case Closed(seen=seen):
                assert seen <= self.chosen.window

    def _should_open(self) -> bool:
        row = self.history[-self.chosen.failures :]
        recent = self.history[-self.chosen.window :]
        often = len(recent) == self.chosen.window and sum(recent) >= self.chosen.share * self.chosen.window
        return self.history[-1] and ((len(row) == self.chosen.failures and all(row)) or often)

    def _probe_at(self) -> float:
        wait = self.chosen.first_probe
        for _ in range(self.failed_probes):
            wait = min(wait * 2, self.chosen.longest_probe)
        return self.since + wait


TestBreakerMachine = BreakerMachine.TestCase
