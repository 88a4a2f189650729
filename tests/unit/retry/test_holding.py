"""No message of a lane is held for longer than the broker bears, whatever its hook's attempts take."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.retry.policy import MOST, fitting_prefetch, lane_prefetch

PATIENCE = st.floats(min_value=60, max_value=7 * 86_400)
SHARES = st.floats(min_value=0.0001, max_value=0.5)
CONCURRENCY = st.integers(min_value=1, max_value=1000)


@given(patience=PATIENCE, share=SHARES, concurrency=CONCURRENCY)
def test_if_every_attempt_takes_its_whole_timeout_the_last_one_ends_in_time(
    patience: float, share: float, concurrency: int
):
    """`share`: what a timeout is of the patience; over a half is refused when the configuration is read."""
    timeout = share * patience
    rounds = math.ceil(lane_prefetch(concurrency, None, timeout, patience / 4) / concurrency)
    assert rounds * timeout <= 0.75 * patience


@given(patience=PATIENCE, concurrency=CONCURRENCY, rate=st.floats(min_value=0.001, max_value=1000))
def test_what_waits_for_its_rate_comes_to_its_turn_in_time(patience: float, concurrency: int, rate: float):
    prefetch = lane_prefetch(concurrency, rate, 1.0, patience / 4)
    assert prefetch == 1 or prefetch / rate <= patience / 4


@pytest.mark.parametrize(
    ("concurrency", "timeout", "prefetch"),
    [(1, 15, 8), (16, 15, 128), (16, 100, 64), (16, 600, 32), (16, 800, 16), (1, 900, 1), (1000, 900, MOST)],
)
def test_of_the_usual_half_hour(concurrency: int, timeout: float, prefetch: int):
    assert lane_prefetch(concurrency, None, timeout, 1800 / 4) == prefetch


@pytest.mark.parametrize(
    ("messages", "octets", "prefetch", "expected"),
    [
        (0, 0, 32, 32),  # nothing is known yet
        (32, 32 * 2_000, 32, 500),  # small ones: all that is configured
        (32, 32 * 2_100_000, 32, 22),  # too heavy by more than a quarter: less
        (32, 32 * 2_000_000, 24, 24),
        (20, 20 * 2_000_000, 30, 30),  # a little too heavy: no new consumer for that
        (4, 4 * 1_000_000, 10, 10),  # lighter, but nothing waits for more
        (9, 9 * 1_000_000, 10, 48),  # lighter, and used up
        (9, 9 * 3_000_000, 10, 10),  # a little lighter
        (1, 200_000_000, 500, 1),  # larger than all of the share: one at a time
    ],
)
def test_the_prefetch_follows_the_weight_of_messages(
    messages: int, octets: int, prefetch: int, expected: int
):
    assert fitting_prefetch(messages, octets, prefetch, share=48_000_000, most=500) == expected


@given(
    st.integers(0, 1000),
    st.integers(0, 10**10),
    st.integers(1, 1000),
    st.integers(1, 10**9),
    st.integers(1, 1000),
)
def test_a_fitting_prefetch_stays_fit(messages: int, octets: int, prefetch: int, share: int, most: int):
    fit = fitting_prefetch(messages, octets, prefetch, share=share, most=most)
    assert 1 <= fit <= max(most, prefetch)
    assert fitting_prefetch(messages, octets, fit, share=share, most=most) == fit
