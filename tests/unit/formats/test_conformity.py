"""Bodies against a schema: what does not fit is told with its path, and nothing a publisher sends raises."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.conformity import MAX_DETAIL, compile_schema

OBJECT = {
    "type": "object",
    "properties": {"data": {"properties": {"attributes": {"properties": {"id": {"type": "string"}}}}}},
}


def test_the_path_of_the_fault_is_told():
    fault = compile_schema(OBJECT)({"data": {"attributes": {"id": 5}}})
    assert fault == '$.data.attributes.id: 5 is not of type "string"'


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"a b": [0, "x"]}, '$["a b"][1]: "x" is not of type "integer"'),
        ({"k": ["s" * 21]}, '$.k[0]: a text of 21 characters is not of type "integer"'),
        ({"k": [{"password": "x"}]}, '$.k[0]: an object with 1 keys is not of type "integer"'),
        ({"k": [[1, 2]]}, '$.k[0]: an array of 2 is not of type "integer"'),
        ({"k": [1.5]}, '$.k[0]: 1.5 is not of type "integer"'),
        ({"k": [None]}, '$.k[0]: null is not of type "integer"'),
        ({'"\n': [True]}, '$["\\"\\n"][0]: true is not of type "integer"'),
    ],
)
def test_a_fault_shows_short_values_and_of_others_the_size(value, fault):
    assert compile_schema({"additionalProperties": {"items": {"type": "integer"}}})(value) == fault


@pytest.mark.parametrize(
    "value", [{"x" * 10_000: 1}, {"a": "x" * 1_000_000}, {f"key{n}": n for n in range(1000)}]
)
def test_what_is_told_is_bounded(value):
    fault = compile_schema({"additionalProperties": False})(value)
    assert fault is not None
    assert len(fault) <= MAX_DETAIL


def test_of_a_choice_the_branch_that_got_furthest_tells_the_fault():
    schema = {"anyOf": [{"type": "null"}, {"oneOf": [OBJECT, {"type": "array"}]}]}
    assert compile_schema(schema)({"data": {"attributes": {"id": 5}}}) == (
        '$.data.attributes.id: 5 is not of type "string"'
    )


@pytest.mark.parametrize(
    "schema", [{"items": {"type": "string"}}, {"anyOf": [{"items": {"type": "string"}}]}]
)
def test_a_million_faults_take_no_longer_than_a_few(schema):
    check = compile_schema(schema)
    started = time.monotonic()
    assert check([1] * 1_000_000) == '$[0]: 1 is not of type "string"'
    assert check(["x"] * 999_999 + [1]) == "$: does not fit, somewhere behind the first 20 of an array"
    assert check([{f"k{n}": 1} for n in range(2000)] * 20) is not None
    assert time.monotonic() - started < 3


def test_a_regular_expression_is_bounded():
    check = compile_schema({"pattern": "^(a+)+(?=b)$"})
    started = time.monotonic()
    assert check("a" * 100_000 + "c") is not None
    assert time.monotonic() - started < 3


def test_a_lone_surrogate_is_checked_like_any_other_character():
    check = compile_schema({"properties": {"a": {"type": "string"}}, "required": ["a"]})
    assert check({"a": "\ud800"}) is None
    assert check({"\ud800": 1}) == '$: "a" is a required property'


def test_integers_of_any_size_are_integers():
    check = compile_schema({"type": "integer", "maximum": 10**30})
    assert check(10**30) is None
    assert check(10**30 + 1) is not None


@pytest.mark.parametrize("depth", [100, 200, 300, 1000])
@pytest.mark.parametrize("schema", [{"items": {"$ref": "#"}}, {"const": 1}, {"uniqueItems": True}])
def test_deep_nesting_does_not_raise(schema, depth):
    value: Any = "\ud800"
    for _ in range(depth):
        value = [value]
    fault = compile_schema(schema)(value)
    assert fault is None or fault.startswith("$: ")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "obj"}, 'no JSON Schema: $.type: "obj" is not'),
        ({"properties": {"a": {"type": 5}}}, "no JSON Schema: $.properties.a.type: 5 is not"),
        ([], "no JSON Schema: $: "),
        (5, "no JSON Schema: $: 5 is not"),
        ({"pattern": "("}, 'no JSON Schema: $.pattern: "(" is not a "regex"'),
        ({"$ref": "#/$defs/x"}, "Pointer '/$defs/x' does not exist"),
        ({"$ref": "other.json"}, "Resource 'other.json' is not present"),
        ({"$ref": "file:///etc/passwd"}, "Retrieval is disabled"),
        ({"$ref": "http://127.0.0.1:1/x"}, "Retrieval is disabled"),
        (
            {"$schema": "http://json-schema.org/draft-07/schema#"},
            "draft-07/schema# is not known; only https://",
        ),
        ({"$schema": 5}, "5 is not known"),
        ({"const": "\ud800"}, "no JSON Schema: "),
    ],
)
def test_what_is_no_schema_is_refused_and_nothing_is_fetched(schema, message):
    with pytest.raises(ValueError) as told:
        compile_schema(schema)
    assert message in str(told.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(anything)
def test_no_body_raises(value):
    for schema in (OBJECT, {"type": "null"}, {"additionalProperties": {"minimum": 3}}, True, False):
        fault = compile_schema(schema)(value)
        assert fault is None or (fault.startswith("$") and len(fault) <= MAX_DETAIL)
        if fault:
            json.dumps(fault)
