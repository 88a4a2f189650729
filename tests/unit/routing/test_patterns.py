"""AMQP topic patterns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.routing.table import PatternIndex, check, matches

words = st.sampled_from(["a", "b", "", "*", "#"])
types = st.lists(words, min_size=1, max_size=6).map(".".join)
patterns = st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=6).map(".".join)


def by_definition(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return any(by_definition(pattern[1:], words[skipped:]) for skipped in range(len(words) + 1))
    return bool(words) and pattern[0] in ("*", words[0]) and by_definition(pattern[1:], words[1:])


@pytest.mark.parametrize(
    ("pattern", "event_type", "expected"),
    [
        ("customers.*", "customers.create", True),
        ("customers.*", "customers", False),
        ("customers.*", "customers.customer.create", False),
        ("customers.#", "customers", True),
        ("customers.#", "customers.customer.create", True),
        ("#.create", "create", True),
        ("#.create", "customers.customer.create", True),
        ("collections.save.#", "collections.save", True),
        ("*.*.create", "customers.customer.create", True),
        ("*", "one", True),
        ("*", "one.two.three", True),
        ("#", "", True),
        ("*", "", True),
        ("a.*", "a.", True),
        ("*.*", "one", False),
        ("customers.create", "Customers.create", False),
        ("a.b", "a.#", False),
        ("a.#.b", "a.b", True),
        ("a.#.#", "a", True),
    ],
)
def test_patterns_match_as_on_a_topic_exchange(pattern, event_type, expected):
    assert matches(pattern, event_type) is expected


@given(patterns, types)
def test_every_pattern_matches_what_its_definition_says(pattern, event_type):
    expected = pattern == "*" or by_definition(pattern.split("."), event_type.split("."))
    assert matches(pattern, event_type) is expected


@given(st.lists(patterns, max_size=12), types)
def test_an_index_finds_just_the_patterns_that_match_alone(several, event_type):
    index = PatternIndex()
    for number, pattern in enumerate(several):
        index.add(pattern, number)
    expected = {number for number, pattern in enumerate(several) if matches(pattern, event_type)}
    assert index.find(event_type) == expected


def test_many_wildcards_in_a_pattern_do_not_make_it_slow():
    pattern = ".".join(["#.a"] * 60)
    check(pattern)
    assert not matches(pattern, ".".join(["a"] * 127 + ["b"]))


@pytest.mark.parametrize("pattern", ["*", "#", "a", "a.*", "a.#.b", "with space.x", "ž.*", "a" * 255])
def test_good_patterns_are_accepted(pattern):
    check(pattern)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "cannot be empty"),
        ("customers.", "empty word"),
        (".customers", "empty word"),
        ("a..b", "empty word"),
        ("cust*", "whole words; 'cust\\*'"),
        ("a.##", "whole words"),
        (" a", "space around"),
        ("a\n", "space around"),
        ("a\x00b", "character"),
        ("a\ud800", "character"),
        ("a" * 256, "more than 255 bytes"),
        ("ž" * 128, "more than 255 bytes"),
    ],
)
def test_bad_patterns_are_refused_with_the_reason(pattern, said):
    with pytest.raises(ValueError, match=said):
        check(pattern)
