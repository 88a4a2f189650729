"""What an attempt comes to."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.delivery import Answer, Delivered, Delivery, FailedForGood, Fault, Outcome, RetryLater
from bridge.core.event import Event, Message
from bridge.core.hook import Hook
from bridge.retry.policy import Policy, judge

WEBHOOK = {"type": "webhook", "url": "https://receiver.example/in"}


def policy(target: Any = None, **retry: Any) -> Policy:
    hook = {"name": "crm", "retry": retry, "target": target or WEBHOOK}
    return Policy.of(Hook.model_validate(hook))


def delivery(attempt: int = 1, retries: int = 0, received_at: float = 1000.0) -> Delivery:
    event = Event("e", "s", "t", "json", received_at, Message(b""))
    return Delivery("d", event, "crm", attempt=attempt, retries=retries)


def judged(answer: Answer, made: Delivery | None = None, by: Policy | None = None, **how: Any) -> Outcome:
    told: Any = {"now": 1000.0, "random": 0.0, "probe": False} | how
    return judge(answer, made or delivery(), by or policy(), **told)


def status(code: int, **more: Any) -> Answer:
    return Answer(Fault.STATUS, code=code, **more)


@pytest.mark.parametrize("probe", [False, True])
def test_no_fault_is_delivered(probe):
    assert judged(Answer(code=204), probe=probe) == Delivered()


@pytest.mark.parametrize("code", [400, 401, 403, 404, 408, 425, 429, 451, 500, 501, 502, 503, 504, 599, 200])
def test_a_status_that_does_not_deliver_is_retried(code):
    assert judged(status(code)) == RetryLater(5.0, f"status_{code}")


@pytest.mark.parametrize("fault", sorted(set(Fault) - {Fault.REDIRECT, Fault.STATUS}))
def test_every_other_fault_is_retried(fault):
    assert judged(Answer(fault)) == RetryLater(5.0, fault.value)


@pytest.mark.parametrize("probe", [False, True])
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(Fault.REDIRECT, code=302), "redirect_302"),
        (Answer(Fault.REDIRECT), "redirect"),
        (status(304), "status_304"),
        (status(422), "status_422"),
        (status(503), "status_503"),
        (Answer(Fault.EXIT, code=65, lasting=True), "exit_65"),
        (Answer(Fault.CONTENT, lasting=True), "content"),
    ],
)
def test_redirects_final_codes_and_lasting_faults_fail_for_good(answer, reason, probe):
    by = policy({**WEBHOOK, "final": [422, 503]})
    assert judged(answer, by=by, probe=probe) == FailedForGood(reason)


def test_an_exit_code_is_no_status_code():
    assert judged(Answer(Fault.EXIT, code=422), by=policy({**WEBHOOK, "final": [422]})) == RetryLater(
        5.0, "exit_422"
    )
    assert isinstance(judged(Answer(Fault.EXIT, code=410)), RetryLater)


@pytest.mark.parametrize("probe", [False, True])
def test_gone_fails_and_asks_that_the_hook_be_paused(probe):
    assert judged(status(410), probe=probe) == FailedForGood("gone", pause_hook=True)


def test_the_used_retries_choose_the_wait():
    assert judged(status(500), delivery(retries=3)) == RetryLater(7200.0, "status_500")
    assert judged(status(500), delivery(attempt=50, retries=1)) == RetryLater(300.0, "status_500")


def test_a_jittered_wait_is_planned_so_that_few_hops_make_it_up():
    assert judged(status(500), delivery(retries=8), random=0.5) == RetryLater(93_600.0, "status_500")


def test_used_up_retries_fail_for_good():
    assert judged(status(500), delivery(retries=9)) == FailedForGood("retries_exhausted")
    assert judged(status(500), by=policy(preset="none")) == FailedForGood("retries_exhausted")


def test_an_event_that_would_be_too_old_fails_for_good():
    by = policy(schedule=[60], max_attempts=9, max_age=100)
    assert judged(status(500), by=by, now=1040.0) == RetryLater(60.0, "status_500")
    assert judged(status(500), by=by, now=1041.0) == FailedForGood("too_old")


def test_retry_after_holds_the_hook_and_the_wait_is_no_shorter():
    assert judged(status(429, retry_after=120.0)) == RetryLater(120.0, "status_429", hold=120.0)
    assert judged(status(429, retry_after=60.0), delivery(retries=1)) == RetryLater(
        300.0, "status_429", hold=60.0
    )
    assert judged(status(503, retry_after=0.0)) == RetryLater(5.0, "status_503")


def test_retry_after_is_capped_at_a_day_or_as_configured():
    assert judged(status(503, retry_after=1e9)) == RetryLater(86_400.0, "status_503", hold=86_400.0)
    hook = Hook.model_validate({"name": "crm", "target": WEBHOOK})
    by = Policy.of(hook, retry_after_max=60.0)
    assert judged(status(503, retry_after=1e9), by=by) == RetryLater(60.0, "status_503", hold=60.0)


@pytest.mark.parametrize("odd", [-5.0, float("nan")])
def test_a_retry_after_that_says_nothing_holds_nothing(odd):
    assert judged(status(503, retry_after=odd)) == RetryLater(5.0, "status_503")


@pytest.mark.parametrize("answer", [Answer(Fault.REFUSED), Answer(Fault.TIMEOUT), status(503)])
def test_a_failed_probe_keeps_its_place_in_the_schedule(answer):
    outcome = judged(answer, delivery(attempt=30, retries=9), probe=True)
    assert isinstance(outcome, RetryLater)
    assert (outcome.wait, outcome.uses_retry) == (0.0, False)


def test_a_failed_probe_may_hold_the_hook():
    assert judged(status(429, retry_after=7.0), probe=True) == RetryLater(
        0.0, "status_429", uses_retry=False, hold=7.0
    )


def test_a_failed_probe_of_an_event_that_is_too_old_fails_for_good():
    by = policy(schedule=[60], max_age=100)
    assert judged(status(503), by=by, now=1101.0, probe=True) == FailedForGood("too_old")


@pytest.mark.parametrize("answer", [status(500), status(404), Answer(Fault.CONNECTION), Answer(Fault.BUG)])
def test_a_probe_that_fails_for_the_events_own_sake_goes_by_the_schedule(answer):
    outcome = judged(answer, probe=True)
    assert isinstance(outcome, RetryLater)
    assert (outcome.wait, outcome.uses_retry) == (5.0, True)


def test_script_and_queue_hooks_have_no_final_codes():
    assert policy({"type": "script", "command": ["true"]}).final == frozenset()
    assert policy({"type": "queue", "queue": "q"}).final == frozenset()


answers = st.builds(
    Answer,
    fault=st.none() | st.sampled_from(Fault),
    code=st.none() | st.integers(-255, 599),
    retry_after=st.none() | st.floats(),
    lasting=st.booleans(),
)


@given(answers, st.integers(0, 20), st.floats(0, 1e7), st.floats(0, 1, exclude_max=True), st.booleans())
def test_every_answer_comes_to_one_of_three_ends(answer, retries, age, random, probe):
    outcome = judged(answer, delivery(retries=retries), now=1000.0 + age, random=random, probe=probe)
    match outcome:
        case Delivered():
            assert answer.fault is None
        case RetryLater(wait=wait, reason=reason, hold=hold, uses_retry=uses_retry):
            assert reason
            assert 0 <= hold <= 86_400
            assert wait >= hold or not uses_retry
            assert retries < 9 or not uses_retry
        case FailedForGood(reason=reason):
            assert reason
        case _:
            pytest.fail(f"{outcome} is not for the judge to say")


def test_the_age_of_what_was_started_anew_counts_from_then():
    by = policy(schedule=[10.0], max_age=60.0, jitter=0.0)
    old = delivery(received_at=0.0)
    anew = replace(old, generation=2, restarted_at=990.0)

    assert judged(status(500), old, by) == FailedForGood("too_old")
    assert isinstance(judged(status(500), anew, by), RetryLater)
    assert judged(status(500), anew, by, now=1045.0) == FailedForGood("too_old")
