"""Filters: what is refused when a hook is saved, and what comes of them for any event."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.event import Event, Message
from bridge.expressions.engine import FIELDS, MAX_SOURCE, EvaluationError, compile_filter
from bridge.expressions.values import plain, shown

CUSTOMER: Any = {
    "model": "models\\admin\\customers\\Customer",
    "result": "success",
    "attributes": {"id": "4711", "mrr": 12.5, "tags": ["a", "b"]},
    "attributes_additional": [],
    "customer_id": None,
    "count": 3,
}


def event(data: Any = None, headers: Any = None, **fields: Any) -> Event:
    known: dict[str, Any] = {
        "id": "0197",
        "source": "splynx",
        "type": "customers.customer.create",
        "format": "splynx",
        "received_at": 1741940813.0,
    }
    return Event(message=Message(body=b"", headers=headers or {}), data=data, **(known | fields))


def ask(source: str, about: Event) -> bool | EvaluationError:
    condition = compile_filter(source)
    return condition.ask(condition.view.of(about), about)


def unanswered(source: str, about: Event) -> EvaluationError:
    answer = ask(source, about)
    assert isinstance(answer, EvaluationError)
    return answer


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('event.data.result == "success"', True),
        ('event.data.result == "failure"', False),
        ("event.data.model == 'models\\\\admin\\\\customers\\\\Customer'", True),
        ("event.data.attributes.mrr > 10.0 && 'a' in event.data.attributes.tags", True),
        ("event.data.attributes.tags.exists(tag, tag == 'b')", True),
        ("event.data.customer_id == null", True),
        ("has(event.data.result)", True),
        ("has(event.data.missing)", False),
        ("has(event.data.missing) && event.data.missing == 1", False),
        ("event.data.count == 3", True),
        ("event.data.count > 2.5", True),
        ("event.data['result'] == 'success'", True),
        ("event.data.size() == 6", True),
        ("size(event.data) == 6", True),
        ("event . data . result == 'success'", True),
        ("event. // a comment\n data.result == 'success'", True),
        ("event.`data`.result == 'success'", True),
        ("'event.data.x' == 'event.data.x' && event.data.result == 'success'", True),
        ("event.type.startsWith('customers.')", True),
        ("event.type.matches('^customers\\\\.[a-z]+')", True),
        ("event.id == '0197' && event.source == 'splynx' && event.format == 'splynx'", True),
        ("event.publisher_id == null && event.identity == null && event.time == null", True),
        ("event.headers.size() == 0", True),
        ("event.received_at == timestamp('2025-03-14T08:26:53Z')", True),
        ("event.data.flag", None),
    ],
)
def test_a_filter_says_what_it_says(source, expected):
    answer = ask(source, event(CUSTOMER))
    assert (None if isinstance(answer, EvaluationError) else answer) is expected


def test_the_age_of_an_event_can_be_asked_for():
    source = "event.received_at - timestamp(event.time) < duration('1h')"
    assert ask(source, event(time="2025-03-14T08:26:50Z")) is True
    assert ask(source, event(time="2025-03-13T08:26:50Z")) is False


def test_an_expression_that_gives_a_stored_true_is_a_filter():
    assert ask("event.data.active", event({"active": True})) is True


@pytest.mark.parametrize("field", FIELDS)
def test_every_known_field_compiles_and_has_a_value(field):
    assert ask(f"event.{field} == event.{field}", event({"a": 1}, time="x", publisher_id="y")) is True


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("event.typo == 1", "line 1, column 6: no field event.typo; there are event.id, "),
        ("has(event.typo)", "no field event.typo"),
        ("true ||\n  event.typo.deeper == 1", "line 2, column 13: no field event.typo; "),
        ("event.dat == 1 && event.tpye == 'x'", "event.dat.*; line 1, column 24: no field event.tpye"),
        ("event == null", "event alone is no value"),
        ("event['data'] == 1", "event alone is no value"),
        ("has(event.data)", "every event has it"),
        ("evnt.data.x == 1", "undeclared reference to 'evnt.data.x'"),
        ("data.x == 1", "undeclared reference"),
        ("event.id.x == 'a'", "cannot be the operand of a select"),
        ("event.id == 1", "no matching overload for '_==_' applied to '\\(string, int\\)'"),
        ("event.data.x = 1", "line 1, column 14: Syntax error"),
        ("1 +", "line 1, column 4: Syntax error"),
        ("", "Syntax error"),
        ("   ", "Syntax error"),
        ("unknown(1)", "undeclared reference to 'unknown'"),
        ("event.id", "gives a STRING, it must give true or false"),
        ("1 + 1", "gives a INT"),
        ("event.data.x == 9223372036854775808", "invalid int literal"),
        ("(" * 40 + "true" + ")" * 40, "recursion limit"),
        ("event.data" + ".a" * 60 + " == 1", "recursion depth"),
        ("true\x00", "cannot stand there: '\\\\x00'"),
        ("event.id == '\ud800'", "cannot stand there: '\\\\ud800'"),
        ("true || " * 3000 + "true", f"the limit is {MAX_SOURCE}"),
    ],
)
def test_what_cannot_be_a_filter_is_refused_with_the_place_and_the_reason(source, said):
    with pytest.raises(ValueError, match=said):
        compile_filter(source)


def test_the_longest_allowed_filter_compiles():
    source = "event.data.a == 1".ljust(MAX_SOURCE)
    assert ask(source, event({"a": 1})) is True


@pytest.mark.parametrize(
    ("source", "data"),
    [
        ("event.data.missing == 1", CUSTOMER),
        ("event.data['missing'] == 1", CUSTOMER),
        ("event.data.attributes.missing.deeper == 1", CUSTOMER),
        ("event.data.attributes.tags[7] == 'a'", CUSTOMER),
        ("event.data.attributes_additional.sla == 'gold'", CUSTOMER),
        ("event.data.customer_id.deeper == 1", CUSTOMER),
        ("event.data.x == 1", None),
        ("event.data.x == 1", []),
        ("has(event.data.x)", "text"),
        ("event.headers.absent == 'x'", None),
    ],
)
def test_a_missing_key_is_no_match(source, data):
    assert unanswered(source, event(data)).missing


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("event.data.result > 1", "No matching overloads"),
        ("1 / (event.data.count - 3) == 1", "divide by zero"),
        ("event.data.result", "gave a STRING"),
        ("event.data", "gave a MAP"),
        ("event.data.result.matches('(')", "invalid regular expression"),
        ("timestamp(event.data.result) > event.received_at", ""),
    ],
)
def test_an_error_is_told_apart_from_a_missing_key(source, said):
    answer = unanswered(source, event(CUSTOMER))
    assert not answer.missing
    assert said in answer.detail


def test_a_filter_that_would_run_for_long_is_stopped():
    source = "event.data.rows.all(x, event.data.rows.all(y, x != -y - 1))"
    answer = unanswered(source, event({"rows": list(range(2000))}))
    assert "budget" in answer.detail


def test_a_detail_is_bounded():
    assert len(unanswered("event.data[event.data.k] == 1", event({"k": "x" * 10_000})).detail) <= 500


@pytest.mark.parametrize(
    ("value", "condition"),
    [
        (2**63, "event.data.v == 9223372036854775808u"),
        (2**64 - 1, "event.data.v > 1"),
        (2**64, "event.data.v == '18446744073709551616'"),
        (-(2**63), "event.data.v < 0"),
        (-(2**63) - 1, "event.data.v == '-9223372036854775809'"),
        (10**4000, "event.data.v.size() == 4001"),
        (Decimal("1.10"), "event.data.v == '1.10'"),
        (datetime(2025, 1, 2, tzinfo=UTC), "timestamp(event.data.v) == timestamp('2025-01-02T00:00:00Z')"),
        (b"\xff", "event.data.v == b'\\xff'"),
        (bytearray(b"\xff"), "event.data.v == b'\\xff'"),
        ("a\ud800", "event.data.v == 'a\\\\ud800'"),
        ("a\x00b", "event.data.v == 'a\\\\x00b'"),
        ({"a\x00": 1}, "event.data.v['a\\\\x00'] == 1"),
        ("a\\u0000b", "event.data.v == 'a\\\\u0000b'"),
        (b"a\x00b", "event.data.v == b'a\\x00b'"),
        (math.inf, "event.data.v > 1e308"),
        (math.nan, "event.data.v != event.data.v"),
        ([1, 2], "event.data.v[1] == 2"),
        ({5: 6}, "event.data.v['5'] == 6"),
        ({"\ud800": 1}, "event.data.v['\\\\ud800'] == 1"),
        (True, "event.data.v"),
        (None, "event.data.v == null"),
        (complex(1, 2), "event.data.v == '(1+2j)'"),
    ],
)
def test_any_value_can_be_asked_about_and_none_is_rounded(value, condition):
    assert ask(condition, event({"v": value})) is True
    in_headers = condition.replace("event.data.v", "event.headers.h.v")
    assert ask(in_headers, event(headers={"h": {"v": value}})) is True


def test_a_value_that_cel_cannot_hold_does_not_spoil_the_others():
    assert ask("event.data == event.data && event.data.ok", event({"big": 2**80, "ok": True})) is True


def nested(depth: int) -> Any:
    data: Any = {"ok": True}
    for _ in range(depth):
        data = {"n": data, "ok": True}
    return data


@pytest.mark.parametrize("depth", [50, 254, 255, 1000, 100_000])
def test_deep_nesting_can_be_asked_about(depth):
    assert ask("event.data.ok && event.data.n.n.ok && event.data != null", event(nested(depth))) is True
    assert ask("event.headers.ok", event(headers=nested(depth))) is True


def test_what_nests_too_deep_is_cut_off():
    copy = plain(nested(5000))
    depth = 0
    while copy is not None:
        copy = copy["n"]
        depth += 1
    assert depth == 1024


def test_text_fields_with_lone_surrogates_can_be_asked_about():
    odd = event(publisher_id="\ud800", identity="\udfff")
    assert ask("event.publisher_id == '\\\\ud800' && event.identity == '\\\\udfff'", odd) is True


def test_one_text_compiles_once():
    assert compile_filter("event.data.once == 1") is compile_filter("event.data.once == 1")


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("event.data.a == 1 && event.data.b.c == 2", {"a", "b"}),
        ("event.type == 'x'", set()),
        ("has(event.data.a)", {"a"}),
        ("event.data.a == 1 || event.data == null", None),
        ("event.data.a == 1 || event.data['b'] == 1", None),
        ("event.data.a == 1 || event.data.size() == 1", None),
        ("event.data.a == 1 || event.data . size () == 1", None),
        ("event.data.a == 'https://x'", None),
        ("event.data.a == 1 || event. // x\n data.b == 1", None),
    ],
)
def test_a_filter_is_shown_only_the_keys_it_can_look_at(source, keys):
    assert compile_filter(source).view.keys["data"] == (None if keys is None else frozenset(keys))


ANY_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc") | st.text(), inner),
    max_leaves=12,
)
FILTERS = [
    "event.data.a == 1",
    "event.data.a > 1 || event.data.b == 'x'",
    "event.data.a.b.c",
    "has(event.data.a) && event.data.a != event.data.b",
    "event.data.c.exists(x, x == event.data.a)",
    "event.data.b[0] == null",
    "event.data.a in [1, 2.5, 'x', null]",
]


@given(ANY_JSON, ANY_JSON, st.sampled_from(FILTERS))
def test_no_event_makes_a_filter_raise(data, headers, source):
    answer = ask(source, event(data, headers if isinstance(headers, dict) else {}))
    assert answer is True or answer is False or isinstance(answer, EvaluationError)


@given(ANY_JSON, st.sampled_from(FILTERS))
def test_seeing_only_the_keys_it_needs_changes_no_answer(data, source):
    """A bracket access to nothing beside the filter has the engine convert the whole document."""
    whole = f"({source}) && (event.data == event.data || true)"
    assert compile_filter(source).view.keys["data"] is not None
    assert compile_filter(whole).view.keys["data"] is None
    narrow, wide = ask(source, event(data)), ask(whole, event(data))
    assert isinstance(narrow, EvaluationError) is isinstance(wide, EvaluationError)
    if not isinstance(narrow, EvaluationError):
        assert narrow is wide


@given(ANY_JSON)
def test_what_needs_no_copy_would_be_copied_as_it_is(value):
    if shown(value) is value:
        assert repr(plain(value)) == repr(value)


@given(ANY_JSON)
def test_a_copy_needs_no_copy(value):
    copy = plain(value)
    assert shown(copy) == copy
    assert repr(plain(copy)) == repr(copy)


@pytest.mark.parametrize("row", [{"a": 1, "b": 2}, {"a": 2**70, "b": "\ud800"}])
def test_a_value_that_would_hold_up_others_is_an_error_where_an_expression_looks_at_it(row: Any):
    data = {"type": "order", "rows": [row] * 70_000}
    large = Event("id", "main", "t", "json", 0.0, Message(b""), data=data)
    looking, passing_by = (
        compile_filter("size(event.data.rows) > 3"),
        compile_filter('event.data.type == "order"'),
    )
    assert passing_by.ask(passing_by.view.of(large), large) is True
    answer = looking.ask(looking.view.of(large), large)
    assert isinstance(answer, EvaluationError)
    assert not answer.missing
    assert "TooManyValues" in answer.detail


def test_signs_in_a_text_are_no_values():
    event = Event("id", "main", "t", "json", 0.0, Message(b""), data={"csv": "a:1,b:2;" * 200_000})
    asked = compile_filter("size(event.data.csv) > 3")
    assert asked.ask(asked.view.of(event), event) is True
