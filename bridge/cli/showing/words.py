"""Values of the API as words that people read."""

import re
from typing import Any

# What a publisher or a receiver wrote must not move the cursor or colour the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHORT = 18
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")


def visible(text: str) -> str:
    r"""The text on one line, control characters and lone surrogates as `\u001b`."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def text(value: Any) -> str:
    """Any value in a cell: nothing for null, yes and no, lists with commas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(text(each) for each in value)
    if isinstance(value, float):
        return f"{value:.10g}"
    return visible(str(value))


def visible_lines(text: str) -> str:
    """As `visible`, but lines and tabs stay."""
    return "\n".join(visible(line).replace("\\u0009", "\t") for line in text.split("\n"))


def short_id(text: str) -> str:
    """The beginning of an id, its time and what tells it from others of the same millisecond."""
    return text[:_SHORT] if _ID.fullmatch(text) else text


def moment(value: Any) -> str:
    """A time of the API, to the second."""
    found = _MOMENT.fullmatch(str(value))
    return f"{found[1]}Z" if found else text(value)


def milliseconds(value: Any) -> str:
    """A duration in the unit that reads best: `12 ms`, `1.25 s`."""
    if not isinstance(value, (int, float)):
        return text(value)
    return f"{value:.3g} ms" if value < 999.5 else f"{value / 1000:.3g} s"


def percent(value: Any) -> str:
    """A share of 100; nothing where there is none."""
    return f"{value:.4g} %" if isinstance(value, (int, float)) else ""


def count(number: int, word: str) -> str:
    """`1 delivery`, `2 deliveries`."""
    if number == 1:
        return f"1 {word}"
    return f"{number} {word[:-1]}ies" if word.endswith("y") else f"{number} {word}s"
