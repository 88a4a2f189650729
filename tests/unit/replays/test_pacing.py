"""Pacing: even, accurate, and without bursts."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.replays.runner import Pace

RATES = st.floats(min_value=0.1, max_value=5000)


def run(pace: Pace, seconds: float, most: int = 10_000, late: float = 0.0) -> list[tuple[float, int]]:
    """What goes at which time, where whoever asks waits as told, and `late` seconds longer."""
    now, went = 0.0, []
    while now < seconds:
        count = pace.due(now, most)
        pace.went(count)
        if count:
            went.append((now, count))
        now += max(pace.wait(now), 1e-4) + late
    return went


@given(rate=RATES)
def test_so_many_go_as_the_rate_says(rate: float) -> None:
    seconds = max(20.0, 20 / rate)
    total = sum(count for _, count in run(Pace(rate, 0.0), seconds))
    assert abs(total - rate * seconds) <= max(1.0, 0.02 * rate * seconds)


@given(rate=RATES)
def test_they_are_spread_evenly_over_each_second(rate: float) -> None:
    assert max(count for _, count in run(Pace(rate, 0.0), 10.0)) <= max(1, 0.11 * rate + 1)


@given(rate=st.floats(min_value=10, max_value=1000), late=st.floats(min_value=0, max_value=0.3))
def test_whoever_comes_late_each_time_still_keeps_the_rate(rate: float, late: float) -> None:
    total = sum(count for _, count in run(Pace(rate, 0.0), 30.0, late=late))
    assert abs(total - rate * 30) <= 0.05 * rate * 30


def test_a_long_delay_is_not_made_up_for() -> None:
    pace = Pace(10.0, 0.0)
    assert pace.due(3600.0, 1000) == 11


def test_without_a_rate_all_may_go_at_once() -> None:
    pace = Pace(None, 0.0)
    assert pace.due(0.0, 200) == 200
    pace.went(200)
    assert pace.due(0.0, 200) == 200
    assert pace.wait(0.0) == 0.0
