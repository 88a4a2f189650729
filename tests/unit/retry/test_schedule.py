"""When the next attempt is made, and when there is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.hook import Retry
from bridge.retry.policy import PRESETS, End, Schedule, schedule_of

HOUR = 3600.0


def waits(schedule: Schedule, random: float = 0.0) -> list[float]:
    found: list[float] = []
    while not isinstance(wait := schedule.next_wait(len(found), event_age=0, random=random), End):
        found.append(wait)
    return found


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        (
            "standard",
            [5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR],
        ),
        ("splynx", [0, 60, 600, 3600]),
        ("phlix", [1, 2]),
        ("cockpit", [60, 60, 60]),
        ("none", []),
    ],
)
def test_a_preset_waits_as_its_system_does(preset, expected):
    assert waits(schedule_of(Retry(preset=preset))) == expected


def test_standard_is_the_default_and_all_presets_are_known():
    assert schedule_of(Retry()) == PRESETS["standard"]
    assert set(PRESETS) == {"standard", "splynx", "phlix", "cockpit", "none"}


def test_jitter_lengthens_by_at_most_its_share():
    assert waits(schedule_of(Retry()), random=0.5)[:2] == pytest.approx([5.25, 315])
    assert waits(schedule_of(Retry(preset="phlix")), random=0.5) == [1.5, 3]
    assert waits(schedule_of(Retry(schedule=[10], jitter=0.2)), random=0.5) == [11]
    assert waits(schedule_of(Retry(preset="standard", jitter=0)), random=0.9)[0] == 5


def test_the_last_wait_repeats_up_to_max_attempts():
    assert waits(schedule_of(Retry(schedule=[1, 2], max_attempts=6))) == [1, 2, 2, 2, 2]


def test_max_attempts_cuts_a_schedule_short():
    assert waits(schedule_of(Retry(preset="standard", max_attempts=3))) == [5, 300]
    assert waits(schedule_of(Retry(max_attempts=1))) == []


def test_a_schedule_without_waits_has_none_to_repeat():
    assert waits(schedule_of(Retry(preset="none", max_attempts=5))) == []


def test_exhaustion_says_so():
    assert schedule_of(Retry(preset="none")).next_wait(0, event_age=0, random=0) is End.RETRIES_EXHAUSTED


def test_no_attempt_is_planned_for_when_the_event_is_too_old():
    schedule = schedule_of(Retry(schedule=[60], max_attempts=100, max_age=600))
    assert schedule.next_wait(0, event_age=540, random=0) == 60
    assert schedule.next_wait(0, event_age=540.1, random=0) is End.TOO_OLD
    assert schedule.next_wait(0, event_age=0, random=0, at_least=601) is End.TOO_OLD
    assert not schedule.too_old(600)
    assert schedule.too_old(600.1)


def test_a_wait_is_as_long_as_it_must_be():
    schedule = schedule_of(Retry(schedule=[60]))
    assert schedule.next_wait(0, event_age=0, random=0, at_least=90) == 90
    assert schedule.next_wait(0, event_age=0, random=0, at_least=30) == 60


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=10),
    st.none() | st.integers(1, 30),
    st.none() | st.floats(0, 1),
    st.floats(0, 1, exclude_max=True),
)
def test_every_schedule_ends_after_its_attempts(schedule, max_attempts, jitter, random):
    made = schedule_of(Retry(schedule=schedule, max_attempts=max_attempts, jitter=jitter))
    found = waits(made, random)
    assert len(found) == (len(schedule) if max_attempts is None else max_attempts - 1)
    for number, wait in enumerate(found):
        planned = schedule[min(number, len(schedule) - 1)]
        assert planned <= wait <= planned * (1 + (jitter or 0))
