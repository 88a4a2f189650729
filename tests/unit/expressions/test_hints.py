"""Whoever writes an expression in another language's words is told CEL's."""

import pytest

from bridge.expressions.engine import compile_filter


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ('event.type == "a" and event.data.n', "CEL writes `&&` for `and`"),
        ("event.data.n == 1 OR true", "CEL writes `||` for `or`"),
        ("not event.data.x", "CEL writes `!` for `not`"),
        ('event.type = "a"', "CEL compares with `==`"),
        ('event.type === "a"', "CEL compares with `==`"),
        ('event.type <> "a"', "CEL writes `!=`"),
        ("event.data.name is null", "CEL compares with `== null`"),
        ('event.type like "x%"', "there are .contains()"),
        ('event.type contains "x"', "there are .contains()"),
        ('event.data.name startsWith "x"', "there are .contains()"),
        ("len(event.data) > 1", "size(x)"),
        ("event.data.x == None", "CEL writes `null`"),
        ("event.data.x == True", "CEL writes `true`"),
        ('event.data.a.startswith("x")', "it is called startsWith"),
        ("data.n == 1", "such as event.data"),
        ("event.type == 'a' &&", "the expression ends too early"),
    ],
)
def test_a_word_of_another_language_is_told_in_those_of_cel(source: str, hint: str):
    with pytest.raises(ValueError, match="line 1") as caught:
        compile_filter(source)
    assert hint in str(caught.value)
    assert "NUM_FLOAT" not in str(caught.value)


@pytest.mark.parametrize("source", ['event.data.s.contains("and = or") &&', "event.data.android =="])
def test_what_stands_in_a_text_or_within_a_word_is_no_hint(source: str):
    with pytest.raises(ValueError, match="line 1") as caught:
        compile_filter(source)
    assert "CEL writes" not in str(caught.value)
