"""How long a hook has only failed, and which words that is worth."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.meta.words import LEVELS, DueWarnings, FailureRecord, words_for

DAYS = 5 * 86_400.0


def failing(share: float, **fields: Any) -> FailureRecord:
    """A hook that has failed for this share of the time."""
    record = FailureRecord(
        "crm", failing_since=1000.0, last_failure_at=1000.0 + share * DAYS, failed_attempts=9
    )
    return replace(record, **fields)


@pytest.mark.parametrize(
    ("share", "levels"),
    [(0.0, ()), (0.49, ()), (0.5, (50,)), (0.7, (50, 70)), (0.9, (50, 70, 90)), (1.0, LEVELS), (9.0, LEVELS)],
)
def test_each_level_that_was_reached_is_told(share, levels):
    assert words_for(failing(share), DAYS).levels == levels


def test_a_level_that_was_told_is_not_told_again():
    assert words_for(failing(0.75, warned=50, warned_since=1000.0), DAYS).levels == (70,)
    assert words_for(failing(2.0, warned=100, warned_since=1000.0), DAYS) == DueWarnings(since=1000.0)


def test_nothing_is_said_of_a_hook_that_hardly_was_tried():
    assert words_for(failing(3.0, failed_attempts=2), DAYS) == DueWarnings()


def test_a_hook_that_gets_no_events_any_more_is_not_said_to_fail_longer():
    record = failing(0.0001)
    assert words_for(record, DAYS).levels == ()


def test_zero_says_that_no_hook_is_ever_paused():
    assert words_for(failing(1.0), 0) == DueWarnings()


def test_who_resumes_or_changes_a_hook_gives_it_all_the_time_again():
    record = failing(1.2, warned=100, warned_since=1000.0, attended_at=1000.0 + 0.6 * DAYS)
    told = words_for(record, DAYS)
    assert (told.levels, told.since) == ((50,), 1000.0 + 0.6 * DAYS)
    assert not told.recovered


def test_the_first_success_after_a_warning_is_told():
    fine = FailureRecord("crm", last_success_at=5000.0, warned=70, warned_since=1000.0)
    assert words_for(fine, DAYS) == DueWarnings(recovered=True)
    assert words_for(fine, 0) == DueWarnings(recovered=True)


def test_a_success_without_a_warning_before_is_nothing_to_tell():
    assert words_for(FailureRecord("crm", last_success_at=5000.0), DAYS) == DueWarnings()


def test_a_success_is_told_even_where_it_fails_again_already():
    again = failing(0.1, failing_since=6000.0, last_success_at=5000.0, warned=50, warned_since=1000.0)
    assert words_for(again, DAYS).recovered


def test_a_longer_time_that_was_set_meanwhile_is_no_recovery():
    record = failing(0.75, last_success_at=999.0, warned=70, warned_since=1000.0)
    assert words_for(record, 10 * DAYS) == DueWarnings(since=1000.0)


@given(
    st.lists(st.floats(0.001, 3.0), min_size=1, max_size=20).map(sorted),
)
def test_whenever_it_is_looked_at_all_levels_up_to_the_last_are_told_once_and_in_order(shares):
    record = failing(0.0)
    told: list[int] = []
    for share in shares:
        seen = words_for(replace(record, last_failure_at=1000.0 + share * DAYS), DAYS)
        told += seen.levels
        if seen.levels:
            record = replace(record, warned=seen.levels[-1], warned_since=seen.since)
    reached = 100 * (1000.0 + shares[-1] * DAYS - 1000.0) / DAYS
    assert told == [level for level in LEVELS if level <= reached]
