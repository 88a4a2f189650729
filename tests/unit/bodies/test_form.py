"""Form posts, golden values from PHP's own sources and from what Splynx sends."""

import json
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.bodies.body import Body
from bridge.bodies.builder import php_form
from bridge.core.delivery import Answer
from bridge.core.target import Signature
from bridge.signing.profiles import signer
from tests.support.bodies import ANYTHING, VECTORS, build, built_by, event, parsed, refusal, splynx

UPDATE = "webhook_event_customer_update_unicode"


def test_a_splynx_event_becomes_the_form_that_splynx_posts():
    vector = json.loads((VECTORS / "splynx.json").read_bytes())[1]
    built = built_by(build("form", "splynx"), splynx(UPDATE))
    assert built == Body(vector["body"].encode(), vector["content_type"])
    headers = signer("splynx", [vector["secret"]], Signature()).headers(built.content, "id", "0", "type")
    assert dict(headers) == vector["headers"]


def test_the_form_of_a_splynx_queue_message_names_its_type():
    content = built_by(build("form", "splynx"), splynx("queue_customer_create")).content
    assert content.startswith(b"type=event&call=&data%5Bsource%5D=admin&")
    assert b"attributes_additional" not in content


def test_a_splynx_envelope_that_nobody_recognised_is_posted_whole_too():
    sent = parsed({"type": "", "call": "a/b"})
    assert built_by(build("form", "splynx"), sent).content == b"type=event&call=a%2Fb"


def test_an_event_that_is_not_splynxs_is_posted_in_its_envelope():
    sent = event(b'{"event":"x","data":{"type":""}}', {"type": "", "a": 1}, fmt="plinqx")
    assert built_by(build("form", "splynx"), sent).content == b"type=event&data%5Btype%5D=&data%5Ba%5D=1"


def test_other_profiles_post_the_data_alone():
    assert built_by(build("form"), splynx(UPDATE)).content.startswith(b"source=api&model=models%5Cadmin")


@pytest.mark.parametrize(
    ("fields", "query"),
    [
        ({}, ""),
        ({"a": {"b": [1, {"c": "d"}]}}, "a%5Bb%5D%5B0%5D=1&a%5Bb%5D%5B1%5D%5Bc%5D=d"),
        ({"a": None, "b": [], "c": {}, "d": [None, 0], "e": [[], {"f": None}]}, "d%5B1%5D=0"),
        ({"t": True, "f": False, "n": -7, "e": ""}, "t=1&f=0&n=-7&e="),
        ({"text": "a b+c~d-e_f.g*h/é🚀"}, "text=a+b%2Bc%7Ed-e_f.g%2Ah%2F%C3%A9%F0%9F%9A%80"),
        ({"a b[~]": {"c d": 1, "": 2}}, "a+b%5B%7E%5D%5Bc+d%5D=1&a+b%5B%7E%5D%5B%5D=2"),
        ({"": {"a": 1}, "0": 2}, "%5Ba%5D=1&0=2"),
        ({"": 1}, "=1"),
        ({"x": [1.0, 0.1, 12.50, 1e-7, 1e25, -0.0]}, "1 0.1 12.5 1.0E-7 1.0E%2B25 -0"),
        ({"big": 123456789012345678901234567890}, "big=123456789012345678901234567890"),
        ({"nan": float("nan"), "inf": float("-inf")}, "nan=NAN&inf=-INF"),
        ({"lines": "a\r\nb\tc\x00"}, "lines=a%0D%0Ab%09c%00"),
        ({"cut": "\ud83d"}, "cut=%5Cud83d"),
    ],
)
def test_php_writes_it_like_this(fields, query):
    if "x" in fields:
        query = "&".join(f"x%5B{index}%5D={each}" for index, each in enumerate(query.split()))
    assert php_form(fields).decode() == query


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        return [leaf for key, each in value.items() for leaf in leaves(each, (*path, key))]
    return [(path, value)]


@given(
    st.recursive(
        st.dictionaries(st.text(), st.text(), min_size=1),
        lambda inner: st.dictionaries(st.text(), inner, min_size=1),
        max_leaves=6,
    )
)
def test_names_and_values_read_back_in_their_order(fields):
    pairs = [pair.split("=") for pair in php_form(fields).decode().split("&")]
    read = [(name.replace("%5B", "\n%5B").split("\n"), value) for name, value in pairs]
    assert [unquote_plus(value) for _, value in read] == [value for _, value in leaves(fields)]
    assert [unquote_plus(name) for name, _ in pairs] == [
        path[0] + "".join(f"[{key}]" for key in path[1:]) for path, _ in leaves(fields)
    ]


@given(ANYTHING)
def test_a_form_is_made_or_refused_for_good(data):
    made = build("form")(event(b"x", data))
    if isinstance(made, Answer):
        assert made.lasting
    else:
        parse_qsl(made.content.decode("ascii"))


@pytest.mark.parametrize("data", [[1, 2], "text", 3, True])
def test_what_has_no_named_fields_is_refused_for_good(data):
    assert "named fields" in refusal(build("form"), parsed(data))


def test_what_is_not_json_is_refused_for_good():
    assert "not JSON" in refusal(build("form"), event(b"a=b"))
    assert "not JSON" in refusal(build("form", "splynx"), event(b"a=b", fmt="splynx"))


def test_thousands_of_levels_are_no_harm():
    deep: Any = "x"
    for _ in range(1000):
        deep = {"a": deep}
    assert php_form(deep).endswith(b"%5Ba%5D=x")
