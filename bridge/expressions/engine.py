"""CEL expressions over `event`, and filters, which are boolean expressions."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NewType

from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed (0.1.3)

from bridge.core.event import Event
from bridge.expressions.lexer import cost_of
from bridge.expressions.values import plain, shown, text
from bridge.formats.registry import attributes_of, envelope_of

# The event as CEL sees it, reduced to the fields that the expressions read.


# Each field is a variable with a dotted name, which CEL resolves like the field of an object: an unknown field is a
# compile error, and a value is converted only if the expression reads it.
FIELDS: Mapping[str, cel.Type] = {
    "id": cel.Type.STRING,
    "publisher_id": cel.Type.DYN,  # text or null
    "type": cel.Type.STRING,
    "source": cel.Type.STRING,
    "time": cel.Type.DYN,  # text or null
    "received_at": cel.Type.TIMESTAMP,
    "data": cel.Type.DYN,
    "headers": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
    "format": cel.Type.STRING,
    "identity": cel.Type.DYN,  # text or null
    "envelope": cel.Type.DYN,
    "attributes": cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
}

TEXTS = (cel.Type.STRING, cel.Type.INT, cel.Type.UINT)
"""The types of values that have one text."""
ENVIRONMENT = cel.NewEnv(variables={f"event.{name}": kind for name, kind in FIELDS.items()})

Facts = NewType("Facts", object)
"""One event prepared for evaluation; converted values are shared by all expressions."""

Read = Callable[[Event], Any]

_READ: Mapping[str, Read] = {
    "id": lambda event: event.id,
    "publisher_id": lambda event: event.publisher_id and text(event.publisher_id),
    "type": lambda event: event.type,
    "source": lambda event: event.source,
    "time": lambda event: event.time,
    "received_at": lambda event: datetime.fromtimestamp(event.received_at, UTC),
    "headers": lambda event: plain(event.message.headers) if event.message.headers else {},
    "format": lambda event: event.format,
    "identity": lambda event: event.identity and text(event.identity),
    "attributes": lambda event: plain(attributes_of(event)),
}
# Fields that may be large, and their getters.
_WHOLES: Mapping[str, Read] = {"data": lambda event: event.data, "envelope": envelope_of}

Keys = frozenset[str] | None
"""Keys of a value's outermost object; None: all of it."""

_ANY_USE = {name: re.compile(rf"\bevent\s*\.\s*{name}\b") for name in FIELDS}
_USE_OF_A_KEY = {name: re.compile(rf"\bevent\.{name}\.([A-Za-z_]\w*)\b(?!\s*\()") for name in _WHOLES}


class View:
    """The part of an event that a set of expressions reads.

    `keys` are those of `data` and `envelope`. The engine converts whole values, so without this reduction one key of a
    large document costs milliseconds.
    """

    __slots__ = ("_reads", "fields", "keys")

    def __init__(self, fields: frozenset[str], keys: Mapping[str, Keys]) -> None:
        self.fields = fields
        self.keys = keys
        reads = {**_READ, **{name: _reader_of(whole, keys[name]) for name, whole in _WHOLES.items()}}
        self._reads = tuple((f"event.{name}", reads[name]) for name in FIELDS if name in fields)

    @classmethod
    def union(cls, views: Collection["View"]) -> "View":
        """Returns the union of the views."""
        return cls(
            frozenset().union(*(view.fields for view in views)),
            {name: _all_of([view.keys[name] for view in views]) for name in _WHOLES},
        )

    def of(self, event: Event) -> Facts:
        """Returns the event reduced to this view."""
        return Facts(ENVIRONMENT.Activation({name: read(event) for name, read in self._reads}))


def view_for(source: str) -> View:
    """Returns a view that includes everything that the expression `source` reads."""
    # Comments and quoted names could separate `event` from `data`, so that a use is missed
    certain = "//" not in source and "`" not in source
    used = {name: _ANY_USE[name].findall(source) if certain else [name] * (name in source) for name in FIELDS}
    fields = frozenset(name for name, uses in used.items() if uses)
    return View(
        fields, {name: _keys_in(source, name, len(used[name])) if certain else None for name in _WHOLES}
    )


def _keys_in(source: str, name: str, uses: int) -> Keys:
    keys = _USE_OF_A_KEY[name].findall(source)
    return frozenset(keys) if len(keys) == uses else None


def _all_of(keys: Sequence[Keys]) -> Keys:
    return None if None in keys else frozenset[str]().union(*(each for each in keys if each))


def _reader_of(whole: Read, keys: Keys) -> Read:
    def read(event: Event) -> Any:
        value = whole(event)
        if keys is not None and isinstance(value, dict):
            value = {key: value[key] for key in keys if key in value}
        elif keys is not None and isinstance(value, (list, str)):
            value = type(value)()  # no expression reads it
        return shown(value)

    return read


# Hints for expressions in the syntax of other languages.


_TEXTS = re.compile(r"""\"(?:\\.|[^"\\])*\"|'(?:\\.|[^'\\])*'""", re.DOTALL)
_EXPECTING = re.compile(r" expecting \{.*\}")
_UNDECLARED_NAME = re.compile(r"undeclared reference to '(\w+)[\w.]*'")
_SPELLINGS = (
    (re.compile(r"\band\b", re.IGNORECASE), "CEL writes `&&` for `and`"),
    (re.compile(r"\bor\b", re.IGNORECASE), "CEL writes `||` for `or`"),
    (re.compile(r"\bnot\b", re.IGNORECASE), "CEL writes `!` for `not`"),
    (re.compile(r"(?<![=!<>])=(?!=)|==="), "CEL compares with `==`"),
    (re.compile(r"<>"), "CEL writes `!=` for `<>`"),
    (re.compile(r"\bis\b", re.IGNORECASE), "CEL compares with `== null`"),
    (
        re.compile(r"\blike\b|\s(?:not\s+)?(?:contains|startsWith|endsWith|matches)\s+(?!\()", re.IGNORECASE),
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


def in_plain_words(fault: str) -> str:
    """Returns the engine's message without its list of alternatives."""
    shorter = _EXPECTING.sub("", fault)
    return shorter.replace("mismatched input '<EOF>'", "the expression ends too early").replace(
        "'<EOF>'", "the end"
    )


def hints(source: str, said: str) -> Iterator[str]:
    """Yield hints for an expression that the engine rejected with the message `said`."""
    if "Syntax error" in said:
        written = _TEXTS.sub('""', source)
        yield from (hint for spelling, hint in _SPELLINGS if spelling.search(written))
    yield from dict.fromkeys(_NAMES[name] for name in _UNDECLARED_NAME.findall(said) if name in _NAMES)


MAX_SOURCE = 16_384
"""Maximum characters of an expression."""
MAX_DETAIL = 500
"""Maximum characters of an evaluation error."""

# The engine truncates its messages at these characters
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")
# Because fields are variables, the engine reads has() as the value itself
_HAS_FIELD = re.compile(rf"\bhas\(\s*event\s*\.\s*(?:{'|'.join(FIELDS)})\s*\)")
_FAULT = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to 'event(?:\.(\w+)[\w.]*)?'.*")

# The engine's messages for a missing value (0.1.3): a key, an index, or a key of a value that is not an object. The
# last is common with PHP, which sends an empty object as [] and often null.
_MISSING = ("NOT_FOUND:", "UNKNOWN: Index error", "INVALID_ARGUMENT: Applying SELECT to non-message type")


@dataclass(frozen=True, slots=True)
class EvaluationError:
    """The error of an evaluation: a `missing` key, or another error."""

    missing: bool
    detail: str


class Filter:
    """A compiled filter; created by `compile_filter`."""

    __slots__ = ("_expression", "cost", "source", "view")

    def __init__(self, source: str, expression: cel.Expression) -> None:
        self.source = source
        self.cost = cost_of(source)
        self.view = view_for(source)
        self._expression = expression

    def ask(self, facts: Facts, event: Event) -> bool | EvaluationError:
        """Returns whether the event passes; never raises. `facts` come from a view that includes this filter's."""
        if not self.cost.free and (why := self.cost.refusal(event)):
            return EvaluationError(missing=False, detail=why)
        try:
            value = self._expression.eval(facts)
            answer = value.value()
        except (RuntimeError, ValueError) as error:  # such as an exceeded iteration budget (10,000)
            return EvaluationError(missing=False, detail=str(error)[:MAX_DETAIL])
        if answer is True or answer is False:
            return answer
        if value.type() == cel.Type.ERROR:
            return unanswered(answer)
        return EvaluationError(
            missing=False, detail=f"the filter gave a {value.type().name()}, not true or false"
        )


@lru_cache(
    maxsize=16_384
)  # cached: hooks share filters, and a new table has most filters of the previous one
def compile_filter(source: str) -> Filter:
    """Returns the compiled filter of `source`, cached by text.

    Raises ValueError, with position and reason, for a syntax error, an unknown field of `event` or another unknown
    name, types that cannot be compared, a result that is not boolean, and more than 16,384 characters. A field is a
    variable (`event.data.x`, `has(event.data.x)`): `event` alone is not a value.
    """
    if len(source) > MAX_SOURCE:
        raise ValueError(f"the filter has {len(source)} characters, the limit is {MAX_SOURCE}")
    return Filter(source, compile_giving(source, (cel.Type.BOOL,), "true or false", of="filter"))


def compile_giving(source: str, kinds: Sequence[Any], named: str, of: str = "expression") -> cel.Expression:
    """Returns the expression; raises ValueError, with the position, if it can give none of these kinds."""
    expression = compile_expression(source)
    kind = expression.return_type()
    if kind not in (cel.Type.DYN, *kinds):
        raise ValueError(f"the {of} gives a {kind.name()}, it must give {named}")
    return expression


def compile_expression(
    source: str, line: int = 1, column: int = 1, *, costed: bool = False
) -> cel.Expression:
    """Returns the compiled expression of `source`, of any type; `line` and `column` are its position in a larger text.

    `costed`: the cost of its parts is checked separately. Raises ValueError, with position and reason, as
    `compile_filter` does.
    """
    if found := _CONTROL.search(source):
        raise ValueError(f"the expression has a character that cannot stand there: {found[0]!a}")
    if found := _HAS_FIELD.search(source):
        raise ValueError(f"{found[0]} asks nothing: every event has it; compare it with null instead")
    if not costed:
        cost_of(source)
    try:
        return ENVIRONMENT.compile(source)
    except RuntimeError as error:
        said = _explain(str(error), line, column)
        raise ValueError("; ".join([said, *hints(source, said)])) from None


def unanswered(error: str) -> EvaluationError:
    """Returns the evaluation error of an engine's error value."""
    return EvaluationError(missing=error.startswith(_MISSING), detail=error[:MAX_DETAIL])


def _explain(message: str, line: int, column: int) -> str:
    """Returns the engine's message with each error on one line, the position first."""
    faults = [
        f"line {int(row) + line - 1}, column {int(place) + (column - 1 if row == '1' else 0)}: {_say(text)}"
        for row, place, text in _FAULT.findall(message)
    ]
    return "; ".join(faults) or message.splitlines()[0]


def _say(fault: str) -> str:
    if found := _UNDECLARED.fullmatch(fault):
        known = ", ".join(f"event.{name}" for name in FIELDS)
        return f"{f'no field event.{found[1]}' if found[1] else 'event alone is no value'}; there are {known}"
    return in_plain_words(fault.removesuffix(" (in container '')"))
