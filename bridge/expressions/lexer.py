"""A lexer of CEL, as far as needed to find placeholders and the parts of a literal.

Source: the CEL language definition, "Syntax". The engine validates the expressions themselves.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
