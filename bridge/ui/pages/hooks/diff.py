"""Two texts beside each other, line by line, and values as text."""

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from bridge.bodies.exact import json_text
from bridge.settings.yaml import text_of

_AROUND = 3
_MOST = 400


class Line(NamedTuple):
    """A line: `same`, `removed`, `added`, or `gap` for lines that are left out."""

    kind: str
    text: str


def compared(before: str, after: str) -> list[Line]:
    """Returns the lines that differ, with a few around them."""
    old, new = before.splitlines(), after.splitlines()
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    made: list[Line] = []
    for at, group in enumerate(matcher.get_grouped_opcodes(_AROUND)):
        if at:
            made.append(Line("gap", ""))
        for tag, left, right, low, high in group:
            if tag == "equal":
                made += [Line("same", text) for text in old[left:right]]
            else:
                made += [Line("removed", text) for text in old[left:right]]
                made += [Line("added", text) for text in new[low:high]]
    return made[:_MOST]


def changed(before: Any, after: Any) -> list[Line]:
    """Returns the lines of two values that differ."""
    return compared("\n".join(_lines(before)), "\n".join(_lines(after)))


def _lines(value: Any) -> Iterator[str]:
    if value is None:
        return
    if isinstance(value, str):
        yield from value.splitlines()
    elif isinstance(value, dict | list) and value:
        yield from text_of(value).splitlines()
    else:
        yield json_text(value)
