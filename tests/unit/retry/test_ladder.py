"""Waits composed of fixed steps: never early, little late, few hops."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.retry.policy import PRESETS, STEPS, fit, next_step

DAY = 86_400.0
WAITS = st.floats(0, 1.2 * DAY) | st.integers(0, 120_000).map(float) | st.sampled_from(STEPS).map(float)
HOPS_UP_TO_A_DAY = 6


def walk(wait: float, loss: float = 0.0) -> tuple[float, int]:
    """When a copy that is due after `wait` is attempted, and its hops; each hop takes `loss` longer."""
    elapsed, hops = 0.0, 0
    while step := next_step(wait - elapsed):
        elapsed += step + loss
        hops += 1
    return max(elapsed, wait), hops


@given(WAITS)
def test_what_is_planned_is_never_early_and_at_most_a_tenth_or_two_seconds_late(wait):
    assert wait <= fit(wait) <= wait + max(0.1 * wait, 2.0)


@given(WAITS)
def test_a_planned_wait_is_kept_by_its_hops_to_the_second(wait):
    planned = fit(wait)
    assert walk(planned)[0] == pytest.approx(planned, abs=1e-6)


@given(WAITS)
@example(100_000.0)
@example(545.0)
def test_few_hops_make_up_a_wait_of_a_day(wait):
    assert walk(fit(wait))[1] <= HOPS_UP_TO_A_DAY


@given(WAITS, st.floats(0, 0.4))
def test_hops_that_lose_time_add_no_hops_and_are_late_by_no_more_than_they_lost(wait, loss):
    planned = fit(wait)
    due, hops = walk(planned, loss)
    assert planned <= due <= planned + hops * loss + 1e-6
    assert hops <= HOPS_UP_TO_A_DAY


@given(st.floats(0, 10 * DAY), st.floats(0, 0.4))
def test_any_remainder_is_waited_for_and_late_by_at_most_two_seconds_and_what_was_lost(remaining, loss):
    due, hops = walk(remaining, loss)
    assert remaining <= due <= remaining + 2 + hops * loss + 1e-6


@given(st.floats(max_value=4.999, allow_nan=False))
def test_under_five_seconds_the_lane_waits(remaining):
    assert next_step(remaining) is None


@pytest.mark.parametrize(
    ("remaining", "step"),
    [
        (5, 5),
        (7.9, 5),
        (8, 10),
        (10, 10),
        (28, 30),
        (27.9, 10),
        (3598.5, 3600),
        (36_000, 36_000),
        (1e9, 36_000),
    ],
)
def test_the_longest_step_that_is_not_two_seconds_too_long_comes_next(remaining, step):
    assert next_step(remaining) == step


@pytest.mark.parametrize(
    ("wait", "planned"),
    [
        (0.0, 0.0),
        (-1.0, 0.0),
        (4.9, 4.9),
        (5.0, 5.0),
        (5.25, 5.25),
        (8.1, 10.0),
        (12.0, 12.0),
        (57.0, 60.0),
        (315.0, 330.0),
        (7200.0, 7200.0),
        (86_400.0, 86_400.0),
        (90_720.0, 93_600.0),
    ],
)
def test_waits_are_planned_for_as_told(wait, planned):
    assert fit(wait) == planned


@pytest.mark.parametrize("step", STEPS)
def test_a_wait_that_is_a_step_is_one_hop(step):
    assert fit(float(step)) == step
    assert walk(float(step)) == (step, 1)


@pytest.mark.parametrize("preset", PRESETS)
@given(random=st.floats(0, 1, exclude_max=True))
def test_the_waits_of_every_preset_take_few_hops(preset, random):
    schedule = PRESETS[preset]
    for wait in schedule.waits:
        assert walk(fit(wait * (1 + schedule.jitter * random)))[1] <= HOPS_UP_TO_A_DAY
