"""Where holes end, and what the parts of literals are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.expressions.lexer import (
    ListLiteral,
    MapLiteral,
    Placeholder,
    literal,
    plain_text,
    split_text,
    texts,
)


@pytest.mark.parametrize(
    ("source", "expression"),
    [
        ("{{a}}", "a"),
        ("{{ a.b }}", "a.b"),
        ("{{ '}}' }}", "'}}'"),
        ('{{ "}}" }}', '"}}"'),
        (r"{{ '\'}}' }}", r"'\'}}'"),
        (r"{{ r'\' + '}}' }}", r"r'\' + '}}'"),
        (r"{{ R'''\''' + '}}' }}", r"R'''\''' + '}}'"),
        (r"{{ bar('}}') }}", r"bar('}}')"),
        ("{{ b'}}' }}", "b'}}'"),
        ("{{ br'}}' }}", "br'}}'"),
        ("{{ '''it's }} \n''' }}", "'''it's }} \n'''"),
        ('{{ """a" }}""" }}', '"""a" }}"""'),
        ("{{ '' + '}}' }}", "'' + '}}'"),
        ("{{{'a':1}}}", "{'a':1}"),
        ("{{ {'a':{'b':1}} }}", "{'a':{'b':1}}"),
        ("{{ {'a':{'b':1}}}}", "{'a':{'b':1}}"),
        ("{{ a // it's }} not\n }}", "a // it's }} not"),
        ("{{ a.`}}` }}", "a.`}}`"),
        ("{{ Type{x: 1} }}", "Type{x: 1}"),
    ],
)
def test_a_hole_ends_where_its_expression_does(source, expression):
    (hole,) = split_text(source)
    assert isinstance(hole, Placeholder)
    assert hole.expression == expression
    assert source[hole.start :].startswith(expression)
    assert [part for part in split_text(f"x{source}}}y") if isinstance(part, str)] == ["x", "}y"]


def test_text_between_holes_stays_as_it_is():
    assert split_text("} a{{b}}{c}}{ {{d}}\n") == [
        "} a",
        Placeholder("b", 5),
        "{c}}{ ",
        Placeholder("d", 16),
        "\n",
    ]
    assert split_text("") == []
    assert split_text("'{") == ["'{"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("ab\n {{ c", "line 2, column 2: the placeholder that begins here is not closed with }}"),
        ("{{ c }", "line 1, column 1: the placeholder that begins here is not closed"),
        ("{{ {'a':1 }}", "line 1, column 1: the placeholder that begins here is not closed"),
        ("{{ a // b }}", "line 1, column 1: the placeholder that begins here is not closed"),
        ("{{ 'abc }}", "line 1, column 4: the text that begins here has no end"),
        ("{{ 'a\nb' }}", "line 1, column 4: the text that begins here has no end"),
        ("a {{  }}", "line 1, column 3: the placeholder is empty"),
    ],
)
def test_a_hole_without_an_end_is_an_error_that_says_where(source, says):
    with pytest.raises(ValueError) as refused:
        split_text(source)
    assert str(refused.value).startswith(says)


@given(st.text(alphabet="{}'\"\\ab \n/`r(["))
def test_splitting_loses_nothing_or_is_refused(source):
    try:
        parts = split_text(source)
    except ValueError:
        return
    at = 0
    for part in parts:
        if isinstance(part, str):
            at = source.index(part, at) + len(part)
        else:
            assert source.startswith(part.expression, part.start)
            at = part.start + len(part.expression)


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("a", "a"),
        (" a + b ", "a + b"),
        ("// first\n{'a': 1}", MapLiteral((("'a'", "1"),))),
        ("{}", MapLiteral(())),
        ("[]", ListLiteral(())),
        ("[1, [2, x(3, 4)],]", ListLiteral(("1", ListLiteral(("2", "x(3, 4)"))))),
        ("{'a': b ? c : d, 'e,:': [f]}", MapLiteral((("'a'", "b ? c : d"), ("'e,:'", ListLiteral(("f",)))))),
        ("{a ? b : c : d ? e : f}", MapLiteral((("a ? b : c", "d ? e : f"),))),
        ("{'a': {'b': 1}['b']}", MapLiteral((("'a'", "{'b': 1}['b']"),))),
        ("{'a': 1}.a", "{'a': 1}.a"),
        ("[1] + [2]", "[1] + [2]"),
        ("({'a': 1})", "({'a': 1})"),
        ("a.map(x, {'b': x})", "a.map(x, {'b': x})"),
        ("Type{a: 1}", "Type{a: 1}"),
    ],
)
def test_a_literal_is_taken_apart(source, parts):
    assert literal(source) == parts


def test_texts_without_escapes_are_read():
    assert plain_text("'a\"b'") == 'a"b'
    assert plain_text(r"'a\n'") is None
    assert plain_text("r'a'") is None
    assert plain_text("'a' + 'b'") is None
    assert texts("""a['b'] + "c" + r'd'""") == ["b", "c"]
