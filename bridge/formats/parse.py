"""The parsed copy of a body: what filters and templates see, never what is forwarded or signed."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from json import JSONDecoder
from math import isfinite
from typing import Any, NamedTuple

import orjson

from bridge.core.event import Message

MAX_DEPTH = 1024
"""How deep arrays and objects may nest; orjson's own bound, kept for what it does not parse."""
MAX_INFLATED = 16_777_216
MAX_VALUES = 250_000
_SHARE = 4
"""Of so many values one may be an array or object: these cost several times what a text or a number costs."""
_FEW = 50_000
"""Values that orjson parses in well under 50 ms, in which no other thread runs."""
_SMALL = 1024
_USUAL_GROWTH = 8
"""Times its size that the value of a small body takes; of larger ones the parts are counted."""

_BOM = b"\xef\xbb\xbf"
# Every digit becomes "0" and all else a space: a long run is then one substring search, eight times as
# fast as a regular expression.
_DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_TOO_DEEP = f"the body nests deeper than {MAX_DEPTH} arrays and objects"
_LONG_RUN = b"0" * 19  # the fewest digits with which an integer can leave 64 bits


class Bounds(NamedTuple):
    """What of a body is parsed: bytes once it is not compressed any more, and values, of which a quarter may be arrays and
    objects.
    """

    inflated: int = MAX_INFLATED
    values: int = MAX_VALUES

    def exceeded(self, body: bytes) -> str:
        """Why the body is not parsed; empty: it may be."""
        if len(body) > self.inflated:
            return f"the body has {len(body)} bytes to be parsed, and limits.inflated is {self.inflated}"
        if len(body) <= self.values // _SHARE:
            return ""
        return self._too_many(body) and self._too_many(without_texts(body, 4 * self.values))

    def _too_many(self, body: bytes) -> str:
        containers, values, most = body.count(b"[") + body.count(b"{"), body.count(b",") + 1, self.values
        if values > most:
            return f"the body has {values} values, and limits.values is {most}"
        if containers > most // _SHARE:
            return f"the body has {containers} arrays and objects, and a quarter of limits.values is {most // _SHARE}"
        return ""


BOUNDS = Bounds()


def parse(body: bytes) -> Any:
    """The JSON value of `body`, or None where there is none; never raises. See `read`."""
    return read(body)[0]


def read(body: bytes, bounds: Bounds = BOUNDS) -> tuple[Any, str]:
    """The JSON value of `body`, or None and why there is none: it is not JSON in UTF-8, nests too deep, or is beyond the
    bounds; never raises. What is `null` has no fault.

    A byte order mark is skipped, the last of duplicate keys wins, lone surrogates and NaN come through. No
    number is rounded but as a double is: integers are exact at any size, and what Python refuses to hold
    (over 4,300 digits, or beyond the largest double) stays the text it was.
    """
    if fault := bounds.exceeded(body):
        return None, fault
    if body.startswith(_BOM):
        body = body[3:]
    if len(body) > _FEW and body.count(b",") > _FEW:
        return _read_exactly(body)
    # orjson turns integers beyond 64 bits into doubles without a word (3.13)
    if _LONG_RUN not in body.translate(_DIGITS):
        try:
            return orjson.loads(body), ""
        except orjson.JSONDecodeError:
            pass
    return _read_exactly(body)


def growth_of(body: bytes) -> int:
    """About how many bytes the parsed value of `body` takes."""
    if len(body) <= _SMALL:
        return _USUAL_GROWTH * len(body)
    # Measured with Python 3.11: a text 49 bytes more than its letters, a member of an object 100, an empty object 64.
    members, containers = body.count(b",") + body.count(b":"), body.count(b"[") + body.count(b"{")
    return len(body) + 40 * members + 100 * containers


def without_texts(body: bytes, most: int) -> bytes:
    """The body without what stands in texts, whose signs mean nothing; as it is where it has over `most` quotes."""
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(plain.split(b'"')[::2]) if plain.count(b'"') <= most else body


def _read_exactly(body: bytes) -> tuple[Any, str]:
    """By Python's own parser. As it calls back for each number and object, other threads run meanwhile."""
    try:
        # decoded here: json.loads would guess UTF-16 and UTF-32 from bytes
        text = body.decode()
        data = json.loads(text, parse_int=_integer, parse_float=_double, object_hook=_as_it_is)
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


def _as_it_is(members: dict[str, Any]) -> dict[str, Any]:
    return members


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


# The elements of a JSON array, each as the bytes that its publisher wrote.


_BLANK = b" \t\r\n"
# Strings are skipped whole: what looks like structure in them is text.
_STRUCTURE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)
_BLANKS = re.compile(r"[ \t\r\n]*")
_FEW_ELEMENTS = 1024 * 1024
# Values are thrown away, so that no number has to be made.
_DECODER = JSONDecoder(strict=False, parse_int=len, parse_float=len, parse_constant=len)
_OPENING, _CLOSING, _COMMA = frozenset(b"[{"), frozenset(b"]}"), b","[0]


def singles(message: Message, content_type: str | None) -> Sequence[Message]:
    """One message for each element of the array that the body is, with this content type and all else the same.

    The body must be a JSON array; what stands between its elements is in none of them.
    """
    return [replace(message, body=body, content_type=content_type) for body in elements(message.body)]


def elements(body: bytes) -> list[bytes]:
    """The bytes of each element of the array that `body` is, without the blanks around it.

    None of what is large and nests so deep that it would have to be read sign by sign, which takes seconds.
    """
    try:
        return _scanned(body)
    except (ValueError, IndexError, RecursionError):
        return _sign_by_sign(body) if len(body) <= _FEW_ELEMENTS else []


def _scanned(body: bytes) -> list[bytes]:
    """Where each element ends is said by the parser of Python, ten times as fast as by what follows."""
    text = body.removeprefix(_BOM).decode()
    at = _behind_blanks(text, 0)
    if text[at] != "[":
        raise ValueError("no array")
    at = _behind_blanks(text, at + 1)
    found: list[bytes] = []
    while text[at] != "]":
        if found:
            at = _behind_blanks(text, at + 1)
        _, end = _DECODER.raw_decode(text, at)
        found.append(text[at:end].encode())
        at = _behind_blanks(text, end)
        if text[at] not in ",]":
            raise ValueError("no array")
    return found


def _behind_blanks(text: str, at: int) -> int:
    return _BLANKS.match(text, at).end()  # type: ignore[union-attr]  # it always matches


def _sign_by_sign(body: bytes) -> list[bytes]:
    found: list[bytes] = []
    depth = start = 0
    for token in _STRUCTURE.finditer(body.removeprefix(_BOM)):
        sign = token[0][0]
        if sign in _OPENING:
            depth += 1
            if depth == 1:
                start = token.end()
        elif sign in _CLOSING or (sign == _COMMA and depth == 1):
            depth -= sign in _CLOSING
            if depth == 0 or sign == _COMMA:
                found.append(token.string[start : token.start()].strip(_BLANK))
                start = token.end()
    return [] if found == [b""] else found
