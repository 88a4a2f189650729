"""Exact JSON serialization: integers of any size, lone surrogates, and nesting beyond the recursion limit."""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any

import orjson

from bridge.core.delivery import Answer, Fault
from bridge.formats.text import utc_text

# JSON encoders: compact, or exactly as PHP writes it.


_MAY_DIFFER = re.compile(r"\de[+-]\d|\\u007f")
# Strings are matched to be skipped; within them only DEL matters.
_STRING_OR_EXPONENT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?e[+-]\d+')
_DELETE = re.compile(r"(\\\\)|\\u007f")
_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
_MOST = 4096
"""Values that are written in one go: no other thread runs until json.dumps is through with them."""
_LONGEST = 262_144
"""Maximum characters of a text that are written at once; a value counts as this many characters:"""
_LETTERS = _LONGEST // _MOST


def to_json(value: Any) -> bytes | Answer:
    r"""Returns compact JSON in UTF-8; integers of any size and lone surrogates (as `\ud800`) keep their value.

    Values of AMQP header tables: bytes become base64, decimals their digits, times RFC 3339 text. NaN and infinity
    become null. A value that cannot be serialized, such as 1,000 levels of nesting, gives a permanent Answer.
    """
    try:
        return orjson.dumps(value, table_text, _OPTIONS)
    except TypeError:
        # orjson rejects integers over 64 bits, lone surrogates and more than 254 levels.
        return _spelled_out(value, _dumps)


def php_json(value: Any) -> bytes | Answer:
    r"""Returns JSON as PHP's `json_encode` writes it: compact, `\/`, `\uXXXX`, `1.0e-7`; otherwise as `to_json`.

    Source: ext/json/json_encoder.c and php_gcvt in main/snprintf.c, PHP 7.1 and later, with serialize_precision -1 and
    JSON_PRESERVE_ZERO_FRACTION, so that 1.0 stays a float; without that flag PHP writes `1`. Differences, so that no
    information is lost: `[]` and `{}` are kept apart, where PHP writes `[]` for both; integers beyond 64 bits keep
    their digits, where PHP converts to floats; a lone surrogate stays `\ud800`, where PHP fails. NaN and infinity
    cannot be written, as in PHP.
    """
    return _spelled_out(value, _php_dumps)


def php_float(number: float, exponent: str = "e") -> str:
    """Returns the shortest digits that round-trip, in PHP's form: `1`, `0.1`, `1.0e-7`, `INF`.

    Source: php_gcvt with 17 digits in mode 0; PHP before 7.1, and `precision` 14 in places, round instead.
    """
    mantissa, _, power = f"{number!r}".partition("e")
    if mantissa.lstrip("-") in ("nan", "inf"):
        return mantissa.upper()
    if not power:
        return mantissa.removesuffix(".0")
    if int(power) == 16:  # Python switches to exponents one digit earlier
        return str(int(number))
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}{exponent}{int(power):+d}"


def table_text(value: Any) -> str | None:
    """Returns the JSON text of a value that only AMQP header tables hold: base64, digits, or RFC 3339 text.

    None for a time outside of the calendar. Raises TypeError for any other value.
    """
    match value:
        case bytes() | bytearray():
            return b64encode(value).decode()
        case Decimal():
            return str(value)
        case datetime():
            return utc_text(value)
    raise TypeError(f"there is no JSON for {type(value).__name__}")


def unbuildable(error: str) -> Answer:
    """Returns the permanent Answer for a body that cannot be built."""
    return Answer(fault=Fault.CONTENT, error=error, lasting=True)


def _spelled_out(value: Any, spell: Callable[[Any], str]) -> bytes | Answer:
    try:
        if spell is _php_dumps and _is_short(value):
            return spell(value).encode()
        return b"".join([piece.encode() for piece in _pieces(value, spell)])
    except (TypeError, ValueError, RecursionError) as error:
        return unbuildable(f"the event cannot be written as JSON: {error}")


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=table_text)


def _php_dumps(value: Any) -> str:
    text = _dumps(value)
    if _MAY_DIFFER.search(text):
        text = _STRING_OR_EXPONENT.sub(_as_php, text)
    return text.replace("/", "\\/")


def _is_short(value: Any) -> bool:
    """Returns whether the value certainly has few values, without the exact count of `_weight`, which is much slower."""
    try:
        return len(orjson.dumps(value, table_text, _OPTIONS)) <= 2 * _MOST
    except TypeError:
        return False


def _weight(value: Any) -> int:
    """Returns the number of values in it, long texts counted as several; if it exceeds `_MOST`, a lower bound."""
    weight, waiting = 1, [value]
    while waiting and weight <= _MOST:
        item = waiting.pop()
        if isinstance(item, str):
            weight += len(item) // _LETTERS
        elif isinstance(item, dict):
            weight += 2 * len(item)
            if weight <= _MOST:
                waiting += item
                waiting += item.values()
        elif isinstance(item, (list, tuple)):
            weight += len(item)
            if weight <= _MOST:
                waiting += item
    return weight


def _pieces(value: Any, spell: Callable[[Any], str]) -> Iterator[str]:
    """Yields the result of `spell` in pieces, each of which takes negligible time."""
    if _weight(value) <= _MOST:
        yield spell(value)
    elif isinstance(value, str):
        yield '"'
        yield from (spell(value[at : at + _LONGEST])[1:-1] for at in range(0, len(value), _LONGEST))
        yield '"'
    elif isinstance(value, dict):
        yield "{"
        for number, run in enumerate(_runs(value.items())):
            yield "," if number else ""
            if len(run) > 1 or _weight(run) <= _MOST or not isinstance(run[0][0], str):
                yield spell(dict(run))[1:-1]
            else:
                ((key, item),) = run
                yield from _pieces(key, spell)
                yield ":"
                yield from _pieces(item, spell)
        yield "}"
    else:
        yield "["
        for number, run in enumerate(_runs(value)):
            yield "," if number else ""
            yield from (spell(run)[1:-1],) if len(run) > 1 else _pieces(run[0], spell)
        yield "]"


def _runs(members: Iterable[Any]) -> Iterator[list[Any]]:
    """Members as many at a time as are written in one go; one that is too large for that alone."""
    run: list[Any] = []
    room = _MOST
    for member in members:
        weight = 1 + _weight(member)
        if run and weight > room:
            yield run
            run, room = [], _MOST
        run.append(member)
        room -= weight
    if run:
        yield run


def _as_php(found: re.Match[str]) -> str:
    text = found[0]
    if text.startswith('"'):
        return _DELETE.sub(lambda each: each[1] or "\x7f", text) if "\\u007f" in text else text
    spelled = php_float(float(text))
    return spelled if "." in spelled else spelled + ".0"


def json_text(value: Any) -> str:
    r"""Returns the value as one line of JSON; what JSON lacks is null, a lone surrogate is `\ud800`."""
    text = to_json(value)
    return text.decode() if isinstance(text, bytes) else "".join(_parts(value))


def _parts(value: Any) -> list[str]:
    parts: list[str] = []
    waiting: list[tuple[bool, Any]] = [(False, value)]
    while waiting:
        is_text, item = waiting.pop()
        if is_text:
            parts.append(item)
        elif isinstance(item, Mapping):
            parts.append("{")
            waiting += reversed(
                [*_separated([(f"{json.dumps(str(k))}:", v) for k, v in item.items()]), (True, "}")]
            )
        elif isinstance(item, (list, tuple)):
            parts.append("[")
            waiting += reversed([*_separated([("", each) for each in item]), (True, "]")])
        else:
            parts.append(_scalar(item))
    return parts


def _separated(members: list[tuple[str, Any]]) -> list[tuple[bool, Any]]:
    found: list[tuple[bool, Any]] = []
    for number, (before, value) in enumerate(members):
        found += [(True, f",{before}" if number else before), (False, value)]
    return found


def _scalar(value: Any) -> str:
    if isinstance(value, float) and not isfinite(value):
        return "null"
    return json.dumps(value, default=table_text)
