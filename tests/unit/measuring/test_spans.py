"""Spans put together from whole steps."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bridge.measuring.spans import (
    DAY,
    FAR,
    HOUR,
    HOURS_KEPT,
    MINUTE,
    MINUTES_KEPT,
    BucketRange,
    pieces,
    widened,
)

NOW = 1_746_428_889.25
_MOMENTS = st.none() | st.floats(0, NOW + DAY)


@given(_MOMENTS, _MOMENTS)
def test_pieces_join_to_the_whole_span(since, until):
    begin, end = widened(since, until, NOW)

    found = pieces(begin, end)

    if begin < end:
        assert found[0].start == begin
        assert found[-1].end == end
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(piece.start % piece.step == 0 and piece.end % piece.step == 0 for piece in found)


@given(_MOMENTS, _MOMENTS)
def test_a_month_is_days_and_a_few_hours_and_minutes(since, until):
    found = pieces(*widened(since, until, NOW))

    assert len(found) <= 5
    finer = [piece for piece in found if piece.step != DAY]
    assert sum((piece.end - piece.start) // piece.step for piece in finer) <= 4 * 60


@given(_MOMENTS, _MOMENTS)
def test_nothing_is_asked_of_steps_that_are_no_longer_kept(since, until):
    for piece in pieces(*widened(since, until, NOW)):
        if piece.step == MINUTE:
            assert piece.start >= NOW - MINUTES_KEPT - HOUR
        if piece.step == HOUR:
            assert piece.start >= NOW - HOURS_KEPT - DAY


@given(st.floats(0, NOW), st.floats(0, 400 * DAY))
def test_a_widened_span_has_the_given_one_within_it(since, length):
    begin, end = widened(since, since + length, NOW)

    assert begin <= since
    assert since + length <= end


def test_all_time_is_days_alone():
    assert pieces(*widened(None, None, NOW)) == [BucketRange(DAY, 0, FAR)]


def test_a_span_that_ends_before_it_begins_has_nothing():
    assert pieces(*widened(NOW, NOW - 5 * DAY, NOW)) == []
