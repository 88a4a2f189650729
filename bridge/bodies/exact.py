"""Exact JSON serialization: integers of any size, lone surrogates, and nesting beyond the recursion limit."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
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


def to_json(value: Any) -> bytes | Answer:
    r"""Returns compact JSON in UTF-8; integers of any size and lone surrogates (as `\ud800`) keep their value.

    Values of AMQP header tables: bytes become base64, decimals their digits, times RFC 3339 text. NaN and infinity
    become null. A value that cannot be serialized, such as 1,000 levels of nesting, gives a permanent Answer.
    """
    try:
        return orjson.dumps(value, table_text, orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC)
    except TypeError:
        # orjson rejects integers over 64 bits, lone surrogates and more than 254 levels.
        text = _spelled_out(value)
    return text if isinstance(text, Answer) else text.encode()


def php_json(value: Any) -> bytes | Answer:
    r"""Returns JSON as PHP's `json_encode` writes it: compact, `\/`, `\uXXXX`, `1.0e-7`; otherwise as `to_json`.

    Source: ext/json/json_encoder.c and php_gcvt in main/snprintf.c, PHP 7.1 and later, with serialize_precision -1 and
    JSON_PRESERVE_ZERO_FRACTION, so that 1.0 stays a float; without that flag PHP writes `1`. Differences, so that no
    information is lost: `[]` and `{}` are kept apart, where PHP writes `[]` for both; integers beyond 64 bits keep
    their digits, where PHP converts to floats; a lone surrogate stays `\ud800`, where PHP fails. NaN and infinity
    cannot be written, as in PHP.
    """
    text = _spelled_out(value)
    if isinstance(text, Answer):
        return text
    if _MAY_DIFFER.search(text):
        text = _STRING_OR_EXPONENT.sub(_as_php, text)
    return text.replace("/", "\\/").encode()


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


def _spelled_out(value: Any) -> str | Answer:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, default=table_text)
    except (TypeError, ValueError, RecursionError) as error:
        return unbuildable(f"the event cannot be written as JSON: {error}")


def _as_php(found: re.Match[str]) -> str:
    text = found[0]
    if text.startswith('"'):
        return _DELETE.sub(lambda each: each[1] or "\x7f", text) if "\\u007f" in text else text
    spelled = php_float(float(text))
    return spelled if "." in spelled else spelled + ".0"


def json_text(value: Any) -> str:
    r"""Returns the value as one line of JSON; values without JSON equivalent are null, a lone surrogate is
    `\ud800`.
    """
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
