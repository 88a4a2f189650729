"""What somebody may have meant who wrote an expression in another language's words."""

import re
from collections.abc import Iterator

_TEXTS = re.compile(r"""\"(?:\\.|[^"\\])*\"|'(?:\\.|[^'\\])*'""", re.DOTALL)
_EXPECTING = re.compile(r" expecting \{.*\}")
_UNDECLARED = re.compile(r"undeclared reference to '(\w+)[\w.]*'")
_SPELLINGS = (
    (re.compile(r"\band\b", re.IGNORECASE), "CEL writes `&&` for `and`"),
    (re.compile(r"\bor\b", re.IGNORECASE), "CEL writes `||` for `or`"),
    (re.compile(r"\bnot\b", re.IGNORECASE), "CEL writes `!` for `not`"),
    (re.compile(r"(?<![=!<>])=(?!=)|==="), "CEL compares with `==`"),
    (re.compile(r"<>"), "CEL writes `!=` for `<>`"),
    (re.compile(r"\bis\b", re.IGNORECASE), "CEL compares with `== null`"),
    (
        re.compile(r"\blike\b", re.IGNORECASE),
        "there are .contains(), .startsWith(), .endsWith() and .matches()",
    ),
)
_SIZE = "the length of a text, list or mapping is size(x)"
_NAMES = {
    **dict.fromkeys(("len", "length", "strlen", "count"), _SIZE),
    **dict.fromkeys(("None", "nil", "NULL", "Null", "undefined"), "CEL writes `null`"),
    **dict.fromkeys(("True", "TRUE"), "CEL writes `true`"),
    **dict.fromkeys(("False", "FALSE"), "CEL writes `false`"),
    **dict.fromkeys(("startswith", "starts_with", "StartsWith"), "it is called startsWith"),
    **dict.fromkeys(("endswith", "ends_with", "EndsWith"), "it is called endsWith"),
    **dict.fromkeys(("includes", "include", "in_array"), 'write x.contains("text"), or "item" in list'),
    **dict.fromkeys(("match", "regex", "preg_match", "search"), 'write x.matches("pattern")'),
    **dict.fromkeys(("str", "String", "toString"), "it is called string(x)"),
    **dict.fromkeys(
        ("data", "type", "source", "headers"), "fields stand behind `event.`, such as event.data"
    ),
}


def plain(fault: str) -> str:
    """What the engine says, without the list of all that could have stood there."""
    shorter = _EXPECTING.sub("", fault)
    return shorter.replace("mismatched input '<EOF>'", "the expression ends too early").replace(
        "'<EOF>'", "the end"
    )


def hints(source: str, said: str) -> Iterator[str]:
    """What may be meant; `said` is what the engine says of the expression, which it does not take."""
    if "Syntax error" in said:
        written = _TEXTS.sub('""', source)
        yield from (hint for spelling, hint in _SPELLINGS if spelling.search(written))
    yield from dict.fromkeys(_NAMES[name] for name in _UNDECLARED.findall(said) if name in _NAMES)
