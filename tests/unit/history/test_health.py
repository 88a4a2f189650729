"""How a hook fares, in whatever order that comes to be known."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.records import HookHealth
from bridge.history.sums import Fared, health_after

UNKNOWN = HookHealth("crm")


def test_failures_count_from_the_first_since_the_last_success():
    once = health_after(UNKNOWN, Fared(10.0, [11.0, 12.0], [12.5]))

    assert once == HookHealth(
        "crm",
        last_attempt_at=12.0,
        last_success_at=10.0,
        last_failure_at=12.0,
        failing_since=11.0,
        failed_attempts=2,
        failed_deliveries=1,
    )
    assert health_after(once, Fared(None, [13.0], [])).failed_attempts == 3


def test_a_success_ends_all_failing():
    failing = health_after(UNKNOWN, Fared(None, [11.0, 12.0], [12.5]))

    well = health_after(failing, Fared(13.0))

    assert (well.failing_since, well.failed_attempts, well.failed_deliveries) == (None, 0, 0)
    assert (well.last_success_at, well.last_failure_at, well.last_attempt_at) == (13.0, 12.0, 13.0)


def test_failures_before_a_known_success_change_nothing_but_their_own_time():
    well = health_after(UNKNOWN, Fared(13.0))

    late = health_after(well, Fared(None, [11.0], [11.5]))

    assert late == replace(well, last_failure_at=11.0)


def test_a_success_amid_known_failures_leaves_the_last_of_them():
    failing = health_after(UNKNOWN, Fared(None, [11.0, 12.0, 14.0], []))

    found = health_after(failing, Fared(13.0))

    assert (found.failing_since, found.failed_attempts) == (14.0, 1)


@given(
    st.lists(
        st.tuples(st.floats(1, 1000), st.booleans()), min_size=1, max_size=30, unique_by=lambda one: one[0]
    )
)
def test_in_the_order_of_time_nothing_is_guessed(attempts):
    attempts.sort()
    health = UNKNOWN
    for at, good in attempts:
        health = health_after(health, Fared(at) if good else Fared(None, [at], [at]))

    since = next((number for number, (_, good) in enumerate(reversed(attempts)) if good), len(attempts))
    failed = [at for at, _ in attempts[len(attempts) - since :]]
    assert health.failed_attempts == health.failed_deliveries == len(failed)
    assert health.failing_since == (failed[0] if failed else None)
    assert health.last_attempt_at == attempts[-1][0]


@given(st.permutations([(5.0, True), (6.0, False), (7.0, False), (8.0, True), (9.0, False)]))
def test_in_any_order_the_moments_come_out_right(attempts):
    health = UNKNOWN
    for at, good in attempts:
        health = health_after(health, Fared(at) if good else Fared(None, [at], []))

    assert (health.last_success_at, health.last_failure_at, health.last_attempt_at) == (8.0, 9.0, 9.0)
    assert (health.failing_since, health.failed_attempts) == (9.0, 1)
