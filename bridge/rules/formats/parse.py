"""The parsed copy of a body: what filters and templates see, never what is forwarded or signed."""

import json
from math import isfinite
from typing import Any

import orjson

MAX_DEPTH = 1024
"""How deep arrays and objects may nest; orjson's own bound, kept for what it does not parse."""
MAX_CONTAINERS = 1_000_000
"""Arrays and objects in one body: they take up to 240 bytes each."""
MAX_ITEMS = 8_000_000
"""Items of all arrays and objects."""

_BOM = b"\xef\xbb\xbf"
# Every digit becomes "0" and all else a space: a long run is then one substring search, eight times as
# fast as a regular expression.
_DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_TOO_MANY = f"the body has over {MAX_CONTAINERS} arrays and objects, or over {MAX_ITEMS} items"
_TOO_DEEP = f"the body nests deeper than {MAX_DEPTH} arrays and objects"
_LONG_RUN = b"0" * 19  # the fewest digits with which an integer can leave 64 bits


def parse(body: bytes) -> Any:
    """The JSON value of `body`, or None where there is none; never raises. See `read`."""
    return read(body)[0]


def read(body: bytes) -> tuple[Any, str]:
    """The JSON value of `body`, or None and why there is none: it is not JSON in UTF-8, nests too deep, or has too
    many parts; never raises. What is `null` has no fault.

    A byte order mark is skipped, the last of duplicate keys wins, lone surrogates and NaN come through. No
    number is rounded but as a double is: integers are exact at any size, and what Python refuses to hold
    (over 4,300 digits, or beyond the largest double) stays the text it was.
    """
    if body.startswith(_BOM):
        body = body[3:]
    if len(body) > MAX_CONTAINERS and _has_too_many_parts(body):
        return None, _TOO_MANY
    # orjson turns integers beyond 64 bits into doubles without a word (3.13)
    if _LONG_RUN not in body.translate(_DIGITS):
        try:
            return orjson.loads(body), ""
        except orjson.JSONDecodeError:
            pass
    return _read_exactly(body)


def _has_too_many_parts(body: bytes) -> bool:
    """Three bytes of JSON may take eighty as an object; signs within texts count too, as telling them apart would cost."""
    return body.count(b"[") + body.count(b"{") > MAX_CONTAINERS or body.count(b",") > MAX_ITEMS


def _read_exactly(body: bytes) -> tuple[Any, str]:
    try:
        # decoded here: json.loads would guess UTF-16 and UTF-32 from bytes
        text = body.decode()
        data = json.loads(text, parse_int=_integer, parse_float=_double)
    except RecursionError:
        return None, _TOO_DEEP
    except UnicodeDecodeError as error:
        return None, f"the body is not JSON: byte {error.start + 1} is not UTF-8"
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        return None, f"the body is not JSON: {where}" if text.strip() else "the body is empty"
    if text.count("[") + text.count("{") > MAX_DEPTH and _nests_deeper(data):
        return (
            None,
            _TOO_DEEP,
        )  # pragma: no cover - Python 3.11 raises RecursionError first, later ones need not
    return data, ""


def _integer(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:
        return digits


def _double(digits: str) -> float | str:
    number = float(digits)
    return number if isfinite(number) else digits


def _nests_deeper(data: Any) -> bool:
    level = [data]
    for _ in range(MAX_DEPTH + 1):
        level = [item for each in level for item in _items(each)]
        if not level:
            return False
    return True


def _items(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [item for item in value.values() if isinstance(item, (dict, list))]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, (dict, list))]
    return []
