"""Conversion between publishers' values and those that the CEL engine can hold."""

import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from cel_expr_python import cel  # type: ignore[import-untyped]  # has stubs, but no py.typed (0.1.3)

from bridge.formats.parse import without_texts
from bridge.formats.text import utc_text

MAX_DEPTH = 1024
"""Maximum nesting, below which values are null; the engine recurses and overflows its stack past 5,000 (0.1.3)."""

_JSON_ONLY = (
    orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS
)
_NUL = b"\\u0000"
_MANY = 262_144
_MOST_STEPS = 400_000
"""Maximum steps of converting a value for the engine, during which no other thread runs: 100 ns each (0.1.3)."""
_STEPS_OF_A_MEMBER = 4
_UNFIT = re.compile(r"[\x00\ud800-\udfff]")


class TooManyValues:
    """The stand-in for a value that would take the engine too long to convert; its error names this class."""


def shown(data: Any) -> Any:
    """Returns the data for the engine, usually unchanged; TooManyValues if converting would block other threads.

    Serializing with orjson tests this far faster than a copy: orjson rejects nearly everything that the engine cannot
    hold, integers beyond 64 bits, lone surrogates, keys that are not text, unknown types, and nesting past 254. Only
    NUL, at which the engine truncates, is searched for.
    """
    try:
        written = orjson.dumps(data, option=_JSON_ONLY)
    except orjson.JSONEncodeError:
        return plain(data)
    if len(written) > _MANY and _is_too_much(written):
        return TooManyValues()
    return plain(data) if _NUL in written else data


def _is_too_much(written: bytes) -> bool:
    return _steps(written) > _MOST_STEPS and _steps(without_texts(written, 4 * _MOST_STEPS)) > _MOST_STEPS


def _steps(written: bytes) -> int:
    return written.count(b",") + _STEPS_OF_A_MEMBER * written.count(b":")


def plain(value: Any) -> Any:
    r"""Returns a copy of `value` with only types that the engine holds, without rounding.

    Integers beyond 64 bits and decimals become text of their digits, times RFC 3339 text, lone surrogates and NUL in
    text `\udXXX` and `\x00`, and values nested deeper than 1,024 null.
    """
    top: list[Any] = [None]
    waiting: list[tuple[Any, Any, Any, int]] = [(value, top, 0, 0)]
    steps = 0
    while waiting:  # iterative: the parser nests deeper than Python recurses
        item, holder, place, depth = waiting.pop()
        if isinstance(holder, dict):
            steps += _STEPS_OF_A_MEMBER - 1
        steps += 1
        if steps > _MOST_STEPS:
            return TooManyValues()
        if isinstance(item, Mapping):
            table: dict[str, Any] = {text(str(key)): None for key in item}
            holder[place] = table if depth < MAX_DEPTH else None
            if depth < MAX_DEPTH:
                waiting.extend((each, table, text(str(key)), depth + 1) for key, each in item.items())
        elif isinstance(item, (list, tuple)):
            row: list[Any] = [None] * len(item)
            holder[place] = row if depth < MAX_DEPTH else None
            if depth < MAX_DEPTH:
                waiting.extend((each, row, index, depth + 1) for index, each in enumerate(item))
        else:
            holder[place] = _scalar(item)
    return top[0]


def _scalar(value: Any) -> Any:
    match value:
        case None | bool() | float():
            return value
        case bytes() | bytearray():
            return bytearray(value)  # the engine truncates bytes at a NUL (0.1.3)
        case str():
            return text(value)
        case int() if -(2**63) <= value < 2**64:
            return value
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case _:
            return str(value)


def text(found: str) -> str:
    r"""Returns the text with lone surrogates as `\udXXX` and NUL as `\x00`."""
    if _UNFIT.search(found):
        return found.replace("\0", r"\x00").encode(errors="backslashreplace").decode()
    return found


class ValueTooLarge(Exception):
    """The value has more parts than allowed."""


def exported(value: cel.Value, most: int) -> Any:
    """Returns the result of `plain_value`, built step by step. Raises ValueTooLarge beyond `most` characters and items.

    The engine's list that holds one text ten thousand times stores it once; each item of a Python list is a copy.
    """
    top: list[Any] = [None]
    waiting: list[tuple[Any, Any, Any]] = [(value, top, 0)]
    while waiting:
        item, holder, place = waiting.pop()
        found = item.value()
        most -= 1 + (len(found) if isinstance(found, (str, bytes, bytearray)) else 0)
        if most < 0:
            raise ValueTooLarge("its value is larger than what a template may make")
        if isinstance(found, dict):
            holder[place] = table = dict.fromkeys(found)
            waiting.extend((each, table, key) for key, each in found.items())
        elif isinstance(found, list):
            holder[place] = row = [None] * len(found)
            waiting.extend((each, row, index) for index, each in enumerate(found))
        else:
            holder[place] = found
    return top[0]


def from_engine(value: Any, order: Mapping[str, int]) -> Any:
    """Returns a copy of the engine's value as JSON values; the reverse of `plain`.

    Bytes become base64, times RFC 3339 text, durations seconds such as `1.5s`, keys text. The engine loses the order of
    keys: those in `order` come first, in that order, then the others alphabetically.
    """
    top: list[Any] = [None]
    waiting: list[tuple[Any, Any, Any]] = [(value, top, 0)]
    while waiting:
        item, holder, place = waiting.pop()
        if isinstance(item, dict):
            found = {_key(key): each for key, each in item.items()}
            table = {
                key: found[key] for key in sorted(found, key=lambda key: (order.get(key, len(order)), key))
            }
            holder[place] = table
            waiting.extend((each, table, key) for key, each in table.items())
        elif isinstance(item, list):
            row = list(item)
            holder[place] = row
            waiting.extend((each, row, index) for index, each in enumerate(row))
        else:
            holder[place] = _json_scalar(item)
    return top[0]


def _key(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _json_scalar(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes() | bytearray():
            return b64encode(value).decode()
        case datetime():
            return utc_text(value)
        case timedelta():
            return _seconds(value)
        case _:
            return str(value)  # a type, such as INT


def _seconds(duration: timedelta) -> str:
    """Returns the duration as protocol buffers serialize it in JSON."""
    micros = duration // timedelta(microseconds=1)
    whole, part = divmod(abs(micros), 1_000_000)
    return f"{'-' if micros < 0 else ''}{whole}{f'.{part:06}'.rstrip('0') if part else ''}s"
