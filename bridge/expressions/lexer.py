"""A lexer of CEL, as far as needed to find placeholders and the parts of a literal, and the worst-case cost of expressions.

Source: the CEL language definition, "Syntax". The engine validates the expressions themselves.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import NamedTuple

from bridge.codings.inflating import is_compressed
from bridge.core.event import Event

_QUOTES = ('"""', "'''", '"', "'")
_RAW = r"(?:[bB]?[rR])"
_STRING = "|".join(
    [
        *(rf"{_RAW}{quotes}.*?{quotes}" for quotes in _QUOTES[:2]),
        *(rf"{_RAW}{quote}[^{quote}\n]*{quote}" for quote in _QUOTES[2:]),
        *(rf"[bB]?{quotes}(?:[^\\]|\\.)*?{quotes}" for quotes in _QUOTES[:2]),
        *(rf"[bB]?{quote}(?:[^{quote}\\\n]|\\.)*{quote}" for quote in _QUOTES[2:]),
    ]
)
_TOKEN = re.compile(
    rf"(?P<text>{_STRING})|(?P<comment>//[^\n]*)|(?P<space>\s+)|(?P<word>`[^`\n]*`|\w+)|(?P<mark>.)",
    re.DOTALL,
)
_CLOSING = {"{": "}", "[": "]", "(": ")"}
_PLAIN_TEXT = re.compile(r"""'([^'\\\n]*)'|"([^"\\\n]*)\"""")


class Token(NamedTuple):
    """A token of an expression; `kind` is `text`, `word` or `mark`."""

    kind: str
    start: int
    end: int
    spelling: str


@dataclass(frozen=True, slots=True)
class Placeholder:
    """The expression between `{{` and `}}`, without surrounding space; `start` is its position in the text."""

    expression: str
    start: int


@dataclass(frozen=True, slots=True)
class MapLiteral:
    """A map literal: its keys, which are expressions too, and their values, in order."""

    entries: tuple[tuple[str, "Literal"], ...]


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """A list literal."""

    items: tuple["Literal", ...]


Literal = MapLiteral | ListLiteral | str
"""A map or list literal, or the text of any other expression."""


def split_text(source: str) -> list[str | Placeholder]:
    """Returns text and placeholders, alternating; raises ValueError for an unterminated placeholder."""
    parts: list[str | Placeholder] = []
    at = 0
    while (opening := source.find("{{", at)) >= 0:
        if opening > at:
            parts.append(source[at:opening])
        end = _end_of_hole(source, opening)
        inside = source[opening + 2 : end]
        start = opening + 2 + len(inside) - len(inside.lstrip())
        if not inside.strip():
            raise ValueError(f"{place(source, opening)}: the placeholder is empty")
        parts.append(Placeholder(inside.strip(), start))
        at = end + 2
    if at < len(source):
        parts.append(source[at:])
    return parts


def place(source: str, at: int) -> str:
    """Returns line and column, from 1, as text."""
    line, column = position(source, at)
    return f"line {line}, column {column}"


def position(source: str, at: int) -> tuple[int, int]:
    """Returns line and column, from 1."""
    return source.count("\n", 0, at) + 1, at - source.rfind("\n", 0, at)


def literal(source: str) -> Literal:
    """Returns the parts of a valid expression that is a map or list literal; any other expression as text."""
    found = list(tokens(source))
    return _Reader(source, found).read(0, len(found))


def plain_text(expression: str) -> str | None:
    """Returns the text of a string literal without escapes; None for any other expression."""
    found = _PLAIN_TEXT.fullmatch(expression)
    return found[found.lastindex or 0] if found else None


def texts(source: str) -> list[str]:
    """Returns all string literals without escapes, in order."""
    found = [plain_text(token.spelling) for token in tokens(source) if token.kind == "text"]
    return [text for text in found if text is not None]


def tokens(source: str, start: int = 0) -> Iterator[Token]:
    """Yield the tokens in order, without blanks and comments."""
    for found in _TOKEN.finditer(source, start):
        kind = found.lastgroup or ""
        if kind not in ("space", "comment"):
            yield Token(kind, found.start(), found.end(), found[0])


def _end_of_hole(source: str, opening: int) -> int:
    depth = 0
    for token in tokens(source, opening + 2):
        match token.spelling:
            case '"' | "'":
                raise ValueError(f"{place(source, token.start)}: the text that begins here has no end")
            case "{":
                depth += 1
            case "}" if depth:
                depth -= 1
            case "}" if source.startswith("}}", token.start):
                return token.start
    raise ValueError(f"{place(source, opening)}: the placeholder that begins here is not closed with }}}}")


class _Reader:
    def __init__(self, source: str, found: Sequence[Token]) -> None:
        self._source = source
        self._tokens = found
        self._partner = partners(found)

    def read(self, first: int, end: int) -> Literal:
        """Returns the literal of the tokens from `first` to `end` (exclusive)."""
        if self._partner.get(first) != end - 1 or self._mark(first) == "(":
            return self._source[self._tokens[first].start : self._tokens[end - 1].end] if end > first else ""
        parts = list(self._split(first + 1, end - 1, ","))
        if self._mark(first) == "[":
            return ListLiteral(tuple(self.read(*part) for part in parts))
        return MapLiteral(tuple(self._entry(*part) for part in parts))

    def _entry(self, first: int, end: int) -> tuple[str, Literal]:
        (_, colon), _ = self._split(first, end, ":")
        key = self._source[self._tokens[first].start : self._tokens[colon - 1].end]
        return key, self.read(colon + 1, end)

    def _split(self, first: int, end: int, mark: str) -> Iterator[tuple[int, int]]:
        """Yield the ranges between marks on this level; a colon only if it does not belong to a `?`."""
        at, choices = first, 0
        while at < end:
            spelling = self._mark(at)
            if spelling == "?":
                choices += 1
            elif spelling == ":" and choices:
                choices -= 1
            elif spelling == mark:
                yield first, at
                first = at + 1
                if mark == ":":
                    break
            at = self._partner.get(at, at) + 1
        if first < end:
            yield first, end

    def _mark(self, at: int) -> str:
        token = self._tokens[at]
        return token.spelling if token.kind == "mark" else ""


def partners(found: Sequence[Token]) -> dict[int, int]:
    """Returns the index of the closing bracket for that of each opening bracket."""
    pairs: dict[int, int] = {}
    opened: list[int] = []
    for index, token in enumerate(found):
        if token.kind == "mark" and token.spelling in _CLOSING:
            opened.append(index)
        elif token.kind == "mark" and token.spelling in _CLOSING.values() and opened:
            pairs[opened.pop()] = index
    return pairs


# The worst-case cost of expressions: the engine (0.1.3) only limits iterations (10,000) and nesting (32). Text that is doubled
# thirty times is sixteen gigabytes, and a pattern is recompiled for each use. Therefore the growth of values is estimated from
# the expression's tokens, and its work from the event's size.


MOST_GROWTH = 10_000
"""Maximum ratio of an expression's value to its input."""
MOST_BYTES = 512 * 1024 * 1024
"""Maximum bytes of an expression's values."""
MOST_LOOKED_THROUGH = 128 * 1024
"""Maximum bytes of an event that may be searched for each item of a list."""
_MOST_LOOPS = 100
_MOST_PATTERN = 1000
"""Maximum characters of a pattern that is compiled for each item, with repetitions expanded."""
_PACKED = 10
"""The assumed compression ratio of a compressed body."""
_LOOPS = frozenset({"all", "exists", "exists_one", "map", "filter"})
_GROWS = frozenset({"+", ","})
_ADDS = frozenset({"+"})
_LOOKS_THROUGH = frozenset({"contains", "matches", "startsWith", "endsWith", "in", "+", "size"})
_REPEATED = re.compile(r"\{\d*,?(\d+)\}|[*+]")


@dataclass(frozen=True, slots=True)
class Cost:
    """`growth` is the ratio of value to input; `looks_through`: each item is compared with the whole event."""

    growth: int
    looks_through: bool
    copies: bool = False
    """Each item may include the whole event: the engine shares it, but the converted value does not."""

    @property
    def free(self) -> bool:
        """Returns whether no event can be too large for the expression."""
        return self.growth == 1 and not self.looks_through

    def refusal(self, event: Event) -> str:
        """Returns why the expression is not evaluated for this event; empty: it is."""
        size = len(event.message.body) * (_PACKED if is_compressed(event.message) else 1)
        if self.growth > 1 and size * self.growth > MOST_BYTES:
            return f"could come to {self.growth} times the event, which has {size} bytes"
        if self.looks_through and size > MOST_LOOKED_THROUGH:
            return f"looks through the event for each item of a list, and the event has {size} bytes"
        return ""


def cost_of(source: str) -> Cost:
    """Returns the cost of the expression. Raises ValueError if it is too expensive for every event."""
    found = list(tokens(source))
    pairs = partners(found)
    calls = [(found[at - 1].spelling, at, pairs[at]) for at in _calls(found) if at in pairs]
    spans = [
        (first, end) for name, first, end in calls if name in _LOOPS and found[first - 2].spelling == "."
    ]
    if len(spans) > _MOST_LOOPS:
        raise ValueError(f"it goes through {len(spans)} lists, the limit is {_MOST_LOOPS}")
    for name, first, end in calls:
        if name == "matches":
            looped = any(begin < first < over for begin, over in spans)
            _check_pattern(found[first + 1 : end], looped=looped)
    loops = [found[first + 1 : end] for first, end in spans]
    growth = (1 + _count(list(_own(found)), _ADDS)) * prod(map(_growth, loops))
    if growth > MOST_GROWTH:
        raise ValueError(f"its value could be {growth} times its input, the limit is {MOST_GROWTH}")
    copies = any(token.kind == "word" and token.spelling == "event" for loop in loops for token in loop)
    return Cost(growth, copies and any(map(_looks_through, loops)), copies)


def _calls(found: Sequence[Token]) -> Iterator[int]:
    """Yield the index of the opening bracket of each call."""
    for at in range(1, len(found)):
        if found[at].spelling == "(" and found[at].kind == "mark" and found[at - 1].kind == "word":
            yield at


def _growth(loop: Sequence[Token]) -> int:
    """Returns the growth of a loop. The comma after the variable does not count; nested loops count themselves."""
    return max(1, _count(list(_own(loop)), _GROWS))


def _own(loop: Sequence[Token]) -> Iterator[Token]:
    """Yield the tokens of a loop without those of nested loops."""
    pairs, at = partners(loop), 0
    while at < len(loop):
        yield loop[at]
        inner = loop[at].spelling in _LOOPS and at > 0 and loop[at - 1].spelling == "."
        at = pairs.get(at + 1, at) if inner else at
        at += 1


def _count(found: Sequence[Token], signs: frozenset[str]) -> int:
    return sum(token.kind == "mark" and token.spelling in signs for token in found)


def _looks_through(loop: Sequence[Token]) -> bool:
    spellings = [token.spelling for token in loop if token.kind != "text"]
    compares = any(pair in (("=", "="), ("!", "=")) for pair in pairwise(spellings))
    return "event" in spellings and (compares or not _LOOKS_THROUGH.isdisjoint(spellings))


def _check_pattern(argument: Sequence[Token], *, looped: bool) -> None:
    """Checks the size of a pattern: RE2 matches in linear time, but may take seconds to compile it."""
    written = bool(argument) and argument[-1].kind == "text"
    if not written or (len(argument) > 1 and argument[-2].spelling != ","):
        raise ValueError("the pattern of matches() must be written out as one text, not computed")
    pattern = argument[-1].spelling
    size = len(pattern) * prod(int(each[1] or 1) or 1 for each in _REPEATED.finditer(pattern))
    if looped and size > _MOST_PATTERN:
        raise ValueError(f"the pattern {pattern[:60]} is too large to be looked for in each item of a list")
