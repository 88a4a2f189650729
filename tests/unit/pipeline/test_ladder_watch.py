"""Which messages should have left a step of the ladder: one lane that refuses holds up the others behind it."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.pipeline.monitors import LadderWatch

STEP = 5
LATE = 10.0
"""Seconds that are put up with beyond the step's own."""


def test_what_is_there_a_step_and_ten_seconds_later_is_overdue():
    watch = LadderWatch()
    for _ in range(40):
        watch.published(STEP)
    assert watch.overdue(STEP, 40, 0.0) == 0
    assert watch.overdue(STEP, 40, STEP + LATE - 1) == 0
    assert watch.overdue(STEP, 32, STEP + LATE) == 32  # the window of one worker that moves what is due
    assert watch.overdue(STEP, 0, STEP + LATE + 1) == 0


def test_what_came_since_is_not_taken_for_what_was_there():
    watch = LadderWatch()
    assert watch.overdue(STEP, 3, 0.0) == 0
    for _ in range(100):
        watch.published(STEP)
    assert watch.overdue(STEP, 100, STEP + LATE) == 0
    assert watch.overdue(STEP, 101, STEP + LATE + 0.5) == 1


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60))
def test_a_step_that_lets_all_go_in_time_is_never_overdue(published: list[int]):
    watch = LadderWatch()
    for second, count in enumerate(published):
        for _ in range(count):
            watch.published(STEP)
        depth = sum(published[max(0, second - STEP) : second + 1])
        assert watch.overdue(STEP, depth, float(second)) == 0


def test_what_leaves_a_step_before_its_time_is_missed_once_two_looks_agree():
    watch = LadderWatch()
    assert watch.gone(30, 0, 0.0) == 0
    for _ in range(8):
        watch.published(30)
    assert watch.gone(30, 8, 5.0) == 0
    assert watch.gone(30, 0, 10.0) == 0  # perhaps a queue without a leader
    assert watch.gone(30, 8, 15.0) == 0
    assert watch.gone(30, 3, 20.0) == 0
    assert watch.gone(30, 3, 25.0) == 5
    assert watch.gone(30, 0, 35.0) == 0  # their time is over


def test_what_was_put_there_after_the_depth_was_read_is_not_missed():
    watch = LadderWatch()
    for look in range(6):
        assert watch.gone(60, 0 if look < 2 else 9, 5.0 * look) == 0
        if look == 1:
            for _ in range(9):
                watch.published(60)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=60), st.sampled_from([5, 10, 30]))
def test_of_a_step_that_keeps_all_for_its_time_nothing_is_ever_missed(published: list[int], step: int):
    watch = LadderWatch()
    for second, count in enumerate(published):
        for _ in range(count):
            watch.published(step)
        assert watch.gone(step, sum(published[max(0, second - step + 1) : second + 1]), float(second)) == 0
