"""A static worst-case cost of expressions: the engine (0.1.3) only limits iterations (10,000) and nesting (32).

Text that is doubled thirty times is sixteen gigabytes, and a pattern is recompiled for each use. Therefore the growth
of values is estimated from the expression's tokens, and its work from the event's size.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

from bridge.codings.inflating import is_compressed
from bridge.core.event import Event
from bridge.expressions.lexer import Token, partners, tokens

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
