"""Expressions that would fill the memory or take minutes are refused, when they are saved or for that event alone."""

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.event import Event, Message
from bridge.expressions.engine import EvaluationError, compile_filter
from bridge.expressions.lexer import MOST_LOOKED_THROUGH, cost_of
from bridge.expressions.template import compile_template

DOUBLED = ".map(x, x + x)"


def event(data: Any, size: int = 100) -> Event:
    body = b" " * size
    return Event("e", "s", "t", "json", 0.0, Message(body), data=data)


def ask(source: str, about: Event) -> bool | EvaluationError:
    condition = compile_filter(source)
    return condition.ask(condition.view.of(about), about)


@pytest.mark.parametrize(
    "source",
    [
        "[event.data.s]" + DOUBLED * 25 + ".size() > 0",
        "['a']" + ".map(x, [x, x])" * 20 + " == []",
        "['a']" + ".map(x, {'a': x, 'b': x, 'c': x})" * 12 + " == []",
        "[[1]]" + ".map(x, x.map(y, y + y) + x)" * 8 + " == []",
        "event.data.s.matches(event.data.pattern)",
        "'a'.matches('a' + event.data.pattern)",
        "matches(event.data.s, event.data.pattern)",
        "[1].all(p, 'a'.matches(p))",
        "event.data.l.all(x, 'a'.matches('(([a-z]{1,30}){1,30}b)'))",
    ],
)
def test_what_explodes_is_refused_when_it_is_saved(source: str) -> None:
    with pytest.raises(ValueError, match=r"times its input|pattern"):
        compile_filter(source)
    with pytest.raises(ValueError, match=r"times its input|pattern"):
        compile_template("{{ " + source + " }}")


@pytest.mark.parametrize(
    "source",
    [
        "event.data.tags.exists(t, t.matches('^vip-[0-9]{1,6}$'))",
        "event.data.name.matches(r'^[A-Z]{2}[0-9]{6}$') && event.type.matches(\"a+\")",
        "event.data.lines.exists(l, l.sku == event.data.main && l.qty > 1)",
        "event.data.a + event.data.b + event.data.c == 'xyz'",
        "event.data.lines.map(l, l.price * l.qty).exists(sum, sum > 100)",
        "event.data.orders.all(o, o.lines.all(l, l.parts.all(p, p.ok)))",
    ],
)
def test_what_people_write_is_free_or_cheap(source: str) -> None:
    about = event({}, 10_000)
    assert cost_of(source).refusal(about) == ""
    assert compile_filter(source).source == source


def test_a_template_of_many_lists_and_fields_is_no_explosion() -> None:
    fields = ", ".join(f'"f{n}": l.f{n}' for n in range(20))
    inner = "l.parts.map(p, {" + fields.replace("l.", "p.") + "})"
    lists = ", ".join(f'"l{n}": event.data.l{n}.map(l, {{{fields}, "parts": {inner}}})' for n in range(12))
    assert compile_template("{" + lists + "}").source


def test_what_grows_is_not_evaluated_for_an_event_that_is_too_large_for_it() -> None:
    source = "[event.data.s]" + DOUBLED * 12 + ".size() > 0"
    assert ask(source, event({"s": "a"})) is True
    answer = ask(source, event({"s": "a"}, 1_000_000))
    assert isinstance(answer, EvaluationError)
    assert not answer.missing
    assert "4096 times" in answer.detail


def test_of_a_large_event_nothing_is_looked_through_for_each_item_of_a_list() -> None:
    source = "event.data.l.all(x, !event.data.s.contains('aab'))"
    large = event({"l": [1, 2], "s": "ab"}, MOST_LOOKED_THROUGH + 1)
    assert ask(source, event({"l": [1, 2], "s": "ab"})) is True
    answer = ask(source, large)
    assert isinstance(answer, EvaluationError)
    assert "looks through the event" in answer.detail
    packed = replace(large, message=Message(b"x" * 20_000, content_encoding="gzip"))
    assert isinstance(ask(source, packed), EvaluationError)
    # The items themselves may be looked through: together they are no more than the event.
    assert ask("event.data.l.all(x, x > 0)", large) is True


def test_a_template_that_copies_the_event_for_each_item_ends_at_its_bound() -> None:
    template = compile_template("{{ event.data.l.map(x, event.data) }}")
    few = event({"l": [1, 2], "s": "ab"}, 20_000)
    assert template.render(few) == '[{"l":[1,2],"s":"ab"},{"l":[1,2],"s":"ab"}]'
    many = event({"l": list(range(5000)), "s": "x" * 1_000_000}, 1_020_000)
    started = time.monotonic()
    answer = template.render(many)
    assert isinstance(answer, EvaluationError)
    assert "larger than what a template may make" in answer.detail
    assert time.monotonic() - started < 5.0


def test_no_refused_pattern_is_ever_compiled() -> None:
    started = time.monotonic()
    with pytest.raises(ValueError, match="too large"):
        compile_filter("event.data.l.all(x, x.matches('(((a{1,9}){1,9}){1,9}){1,9}'))")
    assert time.monotonic() - started < 5.0


@given(st.text(alphabet="event.data.map(x,)+'\"[]{}matches ", max_size=200))
def test_whatever_is_written_is_costed_or_refused(source: str) -> None:
    try:
        cost = cost_of(source)
    except ValueError:
        return
    assert cost.growth >= 1
