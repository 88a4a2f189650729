"""The parsed copy: exact, and never an exception."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.parse import Bounds, parse

json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(json_values)
def test_what_json_writes_comes_back_unchanged(value):
    assert parse(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_no_bytes_raise(body):
    parse(body)


@given(st.integers(min_value=-(10**40), max_value=10**40))
def test_no_integer_is_rounded(number):
    parsed = parse(b'{"id":%d}' % number)
    assert parsed == {"id": number}
    assert type(parsed["id"]) is int


@pytest.mark.parametrize("edge", [2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1])
def test_integers_at_the_edges_of_64_bits_are_exact(edge):
    assert parse(str(edge).encode()) == edge


def test_a_long_run_of_digits_in_text_stays_text():
    assert parse(b'{"iccid":"89490200001234567890"}') == {"iccid": "89490200001234567890"}


long_digits = st.integers(min_value=10**18, max_value=10**22)
blanks = st.text(" \n\t", max_size=80)


@given(
    st.lists(st.tuples(blanks, long_digits, st.sampled_from(["%d", "-%d", '"%d"', '"no. %d, %d"', "0.%d"])))
)
def test_integers_are_exact_wherever_long_runs_of_digits_stand_in_texts(items):
    parts = [blank + shape.replace("%d", str(number)) for blank, number, shape in items]
    body = f"[{','.join(parts)}]"
    assert parse(body.encode()) == json.loads(body)


def test_an_integer_that_python_refuses_stays_the_text_it_was():
    assert parse(b"[" + b"7" * 5000 + b"]") == ["7" * 5000]


@pytest.mark.parametrize("text", ["1e400", "-1e400"])
def test_a_number_beyond_a_double_is_not_made_infinite(text):
    assert parse(text.encode()) == text


def test_nan_is_parsed():
    parsed = parse(b'{"type":"event","data":{"x":NaN}}')
    assert math.isnan(parsed["data"]["x"])


def test_a_lone_surrogate_comes_through():
    assert parse(b'{"a":"\\ud800"}') == {"a": "\ud800"}


def test_the_last_of_duplicate_keys_wins():
    assert parse(b'{"a":1,"a":2}') == {"a": 2}
    assert parse(b'{"a":1,"a":12345678901234567890123}') == {"a": 12345678901234567890123}


@pytest.mark.parametrize("value", ['{"a":1}', '{"a":123456789012345678901}'])
def test_a_byte_order_mark_is_skipped(value):
    assert parse(b"\xef\xbb\xbf" + value.encode()) == json.loads(value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"not json",
        b'{"type":"event"',
        b"\xff\xfe{\x00}\x00",
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"a":"\xed\xa0\x80"}',
        b"1 2",
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b'{"a":"\x00"}',
    ],
)
def test_what_is_not_json_is_none(body):
    assert parse(body) is None


@pytest.mark.parametrize("depth", [2_000, 100_000])
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("core", ["1", "123456789012345678901"])
def test_nesting_too_deep_is_none(depth, brackets, core):
    opening, closing = brackets
    assert parse((opening * depth + core + closing * depth).encode()) is None


def test_nesting_of_a_thousand_is_parsed():
    parsed = parse(b"[" * 1000 + b"]" * 1000)
    for _ in range(999):
        [parsed] = parsed
    assert parsed == []


def test_many_brackets_side_by_side_are_not_deep():
    body = b"[" + b"[]," * 3000 + b"123456789012345678901]"
    assert parse(body)[-1] == 123456789012345678901


@pytest.mark.parametrize(
    ("part", "most"), [(b"{}", 62_500), (b"[]", 62_500), (b"1", 250_000), (b'"a"', 250_000)]
)
def test_what_would_fill_the_memory_is_none(part: bytes, most: int):
    assert len(parse(b"[" + (part + b",") * (most - 2) + b"1]")) == most - 1
    assert parse(b"[" + (part + b",") * (most + 1) + b"1]") is None


def test_more_bytes_than_may_be_parsed_are_none():
    bounds = Bounds(inflated=100)
    assert bounds.exceeded(b'"' + b"a" * 98 + b'"') == ""
    assert (
        bounds.exceeded(b'"' + b"a" * 99 + b'"')
        == "the body has 101 bytes to be parsed, and limits.inflated is 100"
    )


@pytest.mark.parametrize("text", [b"[{," * 300_000, b'\\",' * 300_000, b"\\\\,[" * 300_000])
def test_signs_within_texts_are_no_values(text: bytes):
    assert parse(b'["' + text + b'"]') == [json.loads(b'"' + text + b'"')]


def test_a_text_that_never_ends_hides_no_values():
    assert Bounds().exceeded(b'["' + b'",""' * 2_000_000) != ""
