"""Templates: what is refused when a hook is saved, and what comes of them for any event."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.event import Event
from bridge.expressions.engine import FIELDS, EvaluationError
from bridge.expressions.template import MAX_OUTPUT, MAX_SOURCE, compile_template
from tests.support.bodies import ANYTHING, JSON_VALUES, event

ORDER: Any = {
    "total": 12.5,
    "id": 4711,
    "name": 'Dewey "D" Cheatham\n🚀',
    "nothing": None,
    "paid": True,
    "lines": [{"sku": "b", "amount": 2}, {"sku": "a", "amount": 1}],
    "big": 123456789012345678901234567890,
    "unsigned": 18446744073709551615,
    "cut": "\ud83d",
    "zip code": "01234",
}


def order(**fields: Any) -> Event:
    return event(b"", ORDER, headers={"raw": b"\xff\x00", "h": "x"}, **fields)


def render(source: str, about: Event | None = None) -> str:
    text = compile_template(source).render(about or order())
    assert isinstance(text, str), text
    return text


def unanswered(source: str, about: Event | None = None) -> EvaluationError:
    answer = compile_template(source).render(about or order())
    assert isinstance(answer, EvaluationError)
    return answer


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ event.type }}", "customers.create"),
        ("a {{event.data.id}}-{{ event.data.total }} z", "a 4711-12.5 z"),
        ("<{{ event.data.nothing }}>", "<>"),
        ("{{ event.data.paid }} {{ !event.data.paid }}", "true false"),
        ("{{ event.data.name }}", 'Dewey "D" Cheatham\n🚀'),
        ("{{ event.data.lines }}", '[{"sku":"b","amount":2},{"sku":"a","amount":1}]'),
        ("{{ event.data.lines[1].sku }} {{ event.data['zip code'] }}", "a 01234"),
        (
            "{{ event.data.big }} {{ event.data.unsigned }}",
            "123456789012345678901234567890 18446744073709551615",
        ),
        (
            "{{ event.data.unsigned - 1u }} {{ -9223372036854775808 }}",
            "18446744073709551614 -9223372036854775808",
        ),
        ("{{ event.data.lines.size() }} lines", "2 lines"),
        ("{{ event.data.id > 5 ? 'big' : 'small' }}", "big"),
        ("{{ '{{' }}x{{ '}}' }}", "{{x}}"),
        ("{{ {'a': {'b': [1, 2u, 1.5, null]}} }}", '{"a":{"b":[1,2,1.5,null]}}'),
        ("{{ b'abc' }} {{ [b'abc'] }}", 'YWJj ["YWJj"]'),
        ("{{ event.received_at }}", "2025-03-14T08:26:53.250000Z"),
        ("{{ timestamp('2024-02-03T04:05:06+01:00') }}", "2024-02-03T03:05:06Z"),
        ("{{ duration('90m') }} {{ duration('-1.25s') }} {{ duration('0s') }}", "5400s -1.25s 0s"),
        ("{{ event.headers.h }} {{ event.headers.raw }}", "x /wA="),
        ("{{ event.data.cut }}", "\\ud83d"),
        ("{{ type(1) }}", "INT"),
        ("{{ event.identity }} {{ event.publisher_id }}", "webmaster "),
        ("{{ '}}' + // a comment }}\n '' }}", "}}"),
        ("{{ 1 + 1 // two\n }}{{ 2 + 2 }}", "24"),
        ("{ {{ event.data.name }} }", '{ Dewey "D" Cheatham\n🚀 }'),
    ],
)
def test_holes_bring_text_as_it_is_and_other_values_as_json(source, text):
    assert render(source) == text


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("event.data.id", 4711),
        ("'text'", "text"),
        ("[event.type, null, event.data.big]", ["customers.create", None, ORDER["big"]]),
        ("{'a': event.data}", {"a": ORDER}),
        ("{'a': event.data.cut, 'b': [event.data.lines[0].amount + 1]}", {"a": "\ud83d", "b": [3]}),
        (
            "{'a' + 'b': 1, 2: 3, true: 4, event.type: {}}",
            {"ab": 1, "2": 3, "true": 4, "customers.create": {}},
        ),
        ("event.data.lines.map(line, line.sku)", ["b", "a"]),
        (
            "{'t': event.received_at, 'd': duration('1s'), 'b': b'\\xff'}",
            ["2025-03-14T08:26:53.250000Z", "1s", "/w=="],
        ),
    ],
)
def test_an_expression_becomes_json(source, value):
    made = json.loads(render(source))
    assert (list(made.values()) if isinstance(value, list) and isinstance(made, dict) else made) == value


def test_keys_keep_the_order_in_which_they_are_written_or_came_in():
    source = (
        "{'z': event.data, 'a': event.data.lines.map(l, {'q': l.sku, 'b': l.amount}), 'm': {'y': 1, 'c': 2}}"
    )
    made = json.loads(render(source))
    assert list(made) == ["z", "a", "m"]
    assert list(made["z"]) == list(ORDER)
    assert [list(line) for line in made["a"]] == [["q", "b"], ["q", "b"]]
    assert list(made["m"]) == ["y", "c"]


def test_between_the_quotes_of_json_holes_are_escaped_as_json():
    source = '{"name": "Dear {{ event.data.name }}", "cut": "{{ event.data.cut }}", "all": "{{ event.data.lines }}"}'
    assert json.loads(render(source)) == {
        "name": f"Dear {ORDER['name']}",
        "cut": "\ud83d",
        "all": '[{"sku":"b","amount":2},{"sku":"a","amount":1}]',
    }


@given(
    st.text(st.characters(exclude_categories=())),
    st.sampled_from(['{"a":"%s"}', ' [ "x\\"", "%s"]', '{"\\\\":"é%s"}']),
)
def test_any_text_between_the_quotes_of_json_leaves_it_json(text, frame):
    about = event(b"", {"text": text})
    expected = json.loads(frame % "", strict=False)
    made = json.loads(render(frame % "{{ event.data.text }}", about))
    whole = list(made.values()) if isinstance(made, dict) else made
    empty = list(expected.values()) if isinstance(expected, dict) else expected
    assert whole == [*empty[:-1], empty[-1] + text]


def test_outside_of_quotes_null_is_null_where_the_rest_is_json():
    assert json.loads(render('{"a": {{ event.data.nothing }}, "b": "{{ event.data.nothing }}"}')) == {
        "a": None,
        "b": "",
    }
    assert render("[{{ event.data.nothing }}] hello") == "[] hello"
    assert json.loads(render('{"a": {{ event.data.lines }}, "n": {{ event.data.big }}}'))["n"] == ORDER["big"]


def test_only_templates_that_begin_like_json_are_escaped():
    assert render('say "{{ event.data.name }}"') == 'say "Dewey "D" Cheatham\n🚀"'
    assert render('{{ event.type }}: "{{ event.data.name }}"') == 'customers.create: "Dewey "D" Cheatham\n🚀"'


def test_an_escape_goes_over_what_holes_bring_and_over_nothing_else():
    template = compile_template('[<{{ event.data.nothing }}>] "{{ event.data.name }}"', text=True)
    assert template.render(order(), str.upper) == '[<>] "DEWEY "D" CHEATHAM\n🚀"'


def test_text_without_holes_is_text_where_text_is_asked_for():
    template = compile_template("A customer, at last", text=True)
    assert template.is_text
    assert template.render(order()) == "A customer, at last"


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ("{{ event.data.missing }}", "missing"),
        ("{{ event.data.missing.deeper }}", "missing"),
        ("{{ event.data.nothing.deeper }}", "deeper"),
        ("{{ event.data.lines[2].sku }}", "item 2"),
        ("{{ event.data.lines.sku }}", "sku"),
        ("{{ event.data[0] }}", "item 0"),
        ("{{ event.data.name[0] }}", "item 0"),
        ("{'a': {'b': [event.data.missing + 'x']}}", "missing"),
        ("{{ event.data.name }} {{ event.data.total + event.data.missing }}", "missing"),
        ("{{ event.data.nothing.deeper + 'x' }}", "event.data.nothing.deeper"),
        ("{{ event.headers.missing }}", "missing"),
    ],
)
def test_a_missing_key_is_named(source, key):
    answer = unanswered(source)
    assert answer.missing
    assert key in answer.detail


@pytest.mark.parametrize(
    ("source", "detail"),
    [
        ("{{ event.data.total + 1 }}", "event.data.total + 1: "),
        ("{{ 1 / (event.data.id - 4711) }}", "divide by zero"),
        ("{event.type: 1, event.source == 's' ? {'a': 1}['b'] : 2: 3}", ""),
    ],
)
def test_an_error_says_where_it_arose(source, detail):
    assert detail in unanswered(source).detail


def test_a_key_that_may_be_missing_can_be_asked_for():
    assert render("{{ has(event.data.missing) ? event.data.missing : 'none' }}") == "none"


def test_all_holes_share_one_budget_of_iterations():
    numbers = f"[{','.join(map(str, range(20)))}]"
    hole = f"{{{{ {numbers}.map(a, {numbers}.map(b, a * b)).size() }}}}"
    assert render(hole) == "20"
    answer = unanswered(hole * 40)
    assert not answer.missing
    assert "budget" in answer.detail


def test_what_is_made_has_a_bound():
    about = event(b"", {"text": "ž" * (MAX_OUTPUT // 2)})
    assert len(render("{{ event.data.text }}", about)) == MAX_OUTPUT // 2
    for source in ("{{ event.data.text }}x", "event.data.text", "{{ event.data.text }}" * 3000):
        assert str(MAX_OUTPUT) in unanswered(source, about).detail


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ event.nope }}", "line 1, column 9: no field event.nope; there are event.id,"),
        ("a\nb {{\n  event.type.x }}", "line 3, column 13: "),
        ("{'a': event.nope}", "line 1, column 12: no field event.nope"),
        ("{'a': 1, 'a': 2}", "the key 'a' stands twice"),
        ("{{ event.type", "line 1, column 1: the placeholder"),
        ("{{ 1, 2 }}", "line 1, column 5: "),
        ("{{ 1] + [2 }}", "line 1, column 5: "),
        ("{{ event }}", "line 1, column 4: event alone is no value"),
        ("{{ has(event.data) }}", "has(event.data) asks nothing"),
        ("hello world", "line 1, column "),
        ("", "line 1, column 1"),
        ("{{ '\x00' }}", "the expression has a character that cannot stand there"),
        ("x" * (MAX_SOURCE + 1), "the template has 65537 characters"),
    ],
)
def test_what_cannot_work_is_refused_when_the_hook_is_saved(source, says):
    with pytest.raises(ValueError) as refused:
        compile_template(source)
    assert str(refused.value).startswith(says)


def test_an_empty_text_is_a_text():
    assert compile_template("", text=True).render(order()) == ""


@given(JSON_VALUES.filter(lambda value: value is not None))
def test_data_comes_out_as_it_came_in(value):
    about = event(b"", {"value": value})
    assert json.loads(render("{'v': event.data.value}", about)) == {"v": value}


def fits(value: Any) -> bool:
    if isinstance(value, (list, dict)):
        return all(map(fits, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int) or -(2**63) <= value < 2**64


@given(
    JSON_VALUES.filter(lambda value: value is not None and fits(value) and "\\u0000" not in json.dumps(value))
)
def test_the_engine_gives_back_what_it_was_given(value):
    about = event(b"", {"value": value})
    assert json.loads(render("{'v': dyn(event.data.value)}", about)) == {"v": value}


FRAMES = ["{{ %s }}", '{"a": "{{ %s }}", "b": {{ %s }}}', "{'a': [%s]}", "{%s: 1}", "{'a': dyn(%s)}"]


@given(ANYTHING, st.sampled_from(sorted(FIELDS)), st.sampled_from(FRAMES))
def test_no_event_makes_a_template_raise(data, field, frame):
    about = event(b"x", data, headers={"a": data})
    try:
        template = compile_template(frame.replace("%s", f"event.{field}"))
    except ValueError:
        return
    text = template.render(about)
    assert isinstance(text, EvaluationError) or text.encode().decode() == text


@given(st.text(alphabet="ab{}'\"\\ .[]:,?\n1+é"))
def test_any_text_compiles_or_is_refused(source):
    try:
        template = compile_template(source)
    except ValueError:
        return
    assert isinstance(template.render(order()), (str, EvaluationError))
