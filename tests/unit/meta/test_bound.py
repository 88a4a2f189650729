"""How often the same may be told."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.meta.words import AT_ONCE, REFILL, RateLimiter


def test_ten_may_follow_each_other_and_the_next_is_kept_back():
    bound = RateLimiter()
    assert [bound.take("crm", 0.0) for _ in range(AT_ONCE)] == [0] * AT_ONCE
    assert bound.take("crm", 1.0) is None
    assert bound.take("other", 1.0) == 0


def test_the_next_one_that_is_told_says_how_many_were_kept_back():
    bound = RateLimiter()
    for _ in range(AT_ONCE + 3):
        bound.take("crm", 0.0)
    assert bound.take("crm", REFILL + 1) == 3
    assert bound.take("crm", REFILL + 1) is None


@given(st.lists(st.floats(0, 100), max_size=200))
def test_in_the_long_run_one_a_minute_is_told(waits):
    bound, now, told = RateLimiter(), 0.0, 0
    for wait in waits:
        now += wait
        told += bound.take("crm", now) is not None
    assert told <= AT_ONCE + now / REFILL + 1


def test_keys_that_were_not_used_for_long_are_forgotten():
    bound = RateLimiter()
    for number in range(10_000):
        bound.take(number, 0.0)
    bound.take("late", 10_000.0)
    assert len(bound._left) == 1
