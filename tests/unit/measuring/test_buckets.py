"""Durations in buckets, and percentiles told from them."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.measuring.spans import EDGES, LAST, LEAST_MS, MOST_MS, bounds, bucket_of, percentile

_DURATIONS = st.floats(0, 2 * MOST_MS, allow_nan=False)


@given(_DURATIONS)
def test_every_duration_lies_within_the_bounds_of_its_bucket(duration):
    low, high = bounds(bucket_of(duration))

    assert low <= min(duration, MOST_MS) <= high


@given(_DURATIONS, _DURATIONS)
def test_a_longer_duration_never_falls_into_an_earlier_bucket(one, other):
    assert (bucket_of(one) <= bucket_of(other)) or one > other


def test_buckets_join_without_a_gap_and_are_a_fifth_wide():
    for number in range(1, LAST):
        low, high = bounds(number)
        assert low == bounds(number - 1)[1]
        assert high / low < 1.2


@pytest.mark.parametrize(
    ("duration", "number"),
    [
        (0.0, 0),
        (LEAST_MS, 0),
        (0.501, 1),
        (1.0, 4),
        (2.0, 8),
        (MOST_MS, LAST - 1),
        (MOST_MS + 1, LAST),
        (1e12, LAST),
    ],
)
def test_known_durations_fall_into_known_buckets(duration, number):
    """Databases hold these numbers: they must never change."""
    assert bucket_of(duration) == number
    assert len(EDGES) == 82


@given(st.lists(st.floats(0.001, MOST_MS), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_percentile_is_no_further_from_the_true_one_than_its_bucket_is_wide(durations, share):
    counted = Counter(map(bucket_of, durations))

    told = percentile(counted, share)

    ordered = sorted(durations)
    place = next(at for at in range(len(ordered)) if (at + 1) / len(ordered) >= share - 1e-9)
    low, high = bounds(bucket_of(ordered[place]))
    assert told is not None
    assert low * 0.999 <= told <= high * 1.001


@given(
    st.dictionaries(st.integers(0, LAST), st.integers(1, 1000), min_size=1), st.floats(0, 1), st.floats(0, 1)
)
def test_a_greater_share_never_has_a_smaller_percentile(counted, one, other):
    lesser, greater = percentile(counted, min(one, other)), percentile(counted, max(one, other))

    assert lesser is not None
    assert greater is not None
    assert lesser <= greater + 1e-6


def test_nothing_has_no_percentile():
    assert percentile({}, 0.5) is None
    assert percentile({3: 0}, 0.5) is None


def test_what_took_longer_than_all_buckets_is_told_as_their_end():
    assert percentile({LAST: 5}, 0.95) == MOST_MS
