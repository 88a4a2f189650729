"""Elements of an array keep their publisher's bytes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.event import Message
from bridge.formats.parse import elements, singles

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[]", []),
        (b" [ \n ] ", []),
        (b"[1]", [b"1"]),
        (b'[ {"a" : 1.00 } ,\n{"b":[1,2]}\t]', [b'{"a" : 1.00 }', b'{"b":[1,2]}']),
        (b'["a,b]","\\"}"]', [b'"a,b]"', b'"\\"}"']),
        (b'["\\\\",[",",[]],{}]', [b'"\\\\"', b'[",",[]]', b"{}"]),
        (b'\xef\xbb\xbf[{"a":"\\ud83d"},null]', [b'{"a":"\\ud83d"}', b"null"]),
        (b'[{"a":1,"a":2},12345678901234567890123]', [b'{"a":1,"a":2}', b"12345678901234567890123"]),
        ("[\"ž\",'€']".replace("'", '"').encode(), ['"ž"'.encode(), '"€"'.encode()]),
    ],
)
def test_elements_are_the_bytes_between_the_commas(body, expected):
    assert elements(body) == expected


@given(st.lists(json_values, max_size=6), st.sampled_from([None, 0, 3]), st.booleans())
def test_each_element_parses_to_what_it_is_in_the_whole(values, indent, ascii_only):
    body = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode()
    assert [json.loads(element) for element in elements(body)] == values


@given(st.binary() | st.text('[]{},"\\ 1').map(str.encode))
def test_bytes_that_are_no_array_do_not_raise(body):
    elements(body)


def test_deep_nesting_is_no_trouble():
    deep = b"[" * 5000 + b"]" * 5000
    assert elements(b"[" + deep + b"," + deep + b"]") == [deep, deep]


def test_single_messages_are_like_the_whole_but_for_body_and_content_type():
    whole = Message(body=b"[1, 2]", headers={"a": 1}, message_id="m", content_type="x", routing_key="r")
    first, second = singles(whole, "y")
    assert first == Message(body=b"1", headers={"a": 1}, message_id="m", content_type="y", routing_key="r")
    assert second.body == b"2"


@pytest.mark.parametrize(
    "element", [b"[" + b"{}," * 500 + b"{}]", b"[" + b"1," * 750 + b"1]", b'"' + b"\\\\" * 700 + b'"']
)
def test_a_large_array_is_taken_apart_in_little_time(element):
    body = b"[" + b",".join([element] * 5000) + b"]"
    assert elements(body) == [element] * 5000


def test_a_large_array_that_nests_too_deep_is_left_whole():
    assert elements(b"[" + b"[" * 5000 + b"]" * 5000 + b"," + b"1," * 600_000 + b"1]") == []
