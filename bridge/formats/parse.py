"""The JSON parser of bodies, for the copy that filters and templates see; the body itself is forwarded and signed."""

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
"""Maximum nesting of arrays and objects; orjson's limit, applied to the other parser too."""
MAX_INFLATED = 16_777_216
MAX_VALUES = 250_000
_SHARE = 4
"""One of this many values may be an array or object, because these cost several times as much as text or a number."""
_FEW = 50_000
"""The number of values that orjson parses well under 50 ms, during which no other thread runs."""
_SMALL = 1024
_USUAL_GROWTH = 8
"""The memory factor of a small body's value; the parts of larger bodies are counted."""

_BOM = b"\xef\xbb\xbf"
# Every digit becomes "0" and everything else a space: finding a long run is then one substring search, eight times as
# fast as a regular expression.
_DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_TOO_DEEP = f"the body nests deeper than {MAX_DEPTH} arrays and objects"
_LONG_RUN = b"0" * 19  # the fewest digits of an integer beyond 64 bits
_FEW_RUNS = 8
_BEFORE_NUMBER = b"[,:"
_SIGN_AND_BLANKS = b"- \t\r\n"


class Bounds(NamedTuple):
    """The limits of parsing: bytes once decompressed, and values, of which a quarter may be arrays and objects."""

    inflated: int = MAX_INFLATED
    values: int = MAX_VALUES

    def exceeded(self, body: bytes) -> str:
        """Returns the reason why the body exceeds the limits; empty: within the limits."""
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
    """Returns the JSON value of `body`, None if it is invalid. Never raises. See `read`."""
    return read(body)[0]


def read(body: bytes, bounds: Bounds = BOUNDS) -> tuple[Any, str]:
    """Returns the JSON value of `body`, or None and the reason: not JSON in UTF-8, nested too deep, or beyond the
    limits. Never raises. `null` has no reason.

    A byte order mark is skipped, the last of duplicate keys wins, lone surrogates and NaN are accepted. Numbers are
    rounded only as doubles are: integers are exact at any size, and numbers that Python rejects (over 4,300 digits, or
    beyond the largest double) stay text.
    """
    if fault := bounds.exceeded(body):
        return None, fault
    if body.startswith(_BOM):
        body = body[3:]
    if len(body) > _FEW and body.count(b",") > _FEW:
        return _read_exactly(body)
    # orjson silently converts integers beyond 64 bits to doubles (3.13)
    if not _may_have_long_integer(body):
        try:
            return orjson.loads(body), ""
        except orjson.JSONDecodeError:
            pass
    return _read_exactly(body)


def _may_have_long_integer(body: bytes) -> bool:
    """Returns whether an integer may be beyond 64 bits; runs of digits within a text nearly always tell that they are."""
    digits = body.translate(_DIGITS)
    at = digits.find(_LONG_RUN)
    for _ in range(_FEW_RUNS):
        if at < 0:
            return False
        before = body[max(0, at - 64) : at].rstrip(_SIGN_AND_BLANKS)
        if not before or before[-1] in _BEFORE_NUMBER:
            return True
        end = digits.find(b" ", at)
        at = digits.find(_LONG_RUN, end) if end >= 0 else -1
    return True


def growth_of(body: bytes) -> int:
    """Returns the approximate bytes of the parsed value of `body`."""
    if len(body) <= _SMALL:
        return _USUAL_GROWTH * len(body)
    # Measured with Python 3.11: a text takes 49 bytes plus its letters, a member of an object 100, an empty object 64.
    members, containers = body.count(b",") + body.count(b":"), body.count(b"[") + body.count(b"{")
    return len(body) + 40 * members + 100 * containers


def without_texts(body: bytes, most: int) -> bytes:
    """Returns the body without the content of strings, only its structure; unchanged beyond `most` quotes."""
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(plain.split(b'"')[::2]) if plain.count(b'"') <= most else body


def _read_exactly(body: bytes) -> tuple[Any, str]:
    """Parses with Python's own parser, whose callbacks for numbers and objects let other threads run meanwhile."""
    try:
        # decoded here: json.loads would guess UTF-16 and UTF-32 from bytes
        text = body.decode()
        data = _EXACT.decode(text)
    except RecursionError:
        return None, _TOO_DEEP
    except UnicodeDecodeError as error:
        return None, f"the body is not JSON: byte {error.start + 1} is not UTF-8"
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        return None, f"the body is not JSON: {where}" if text.strip() else "the body is empty"
    if nests_deeper(text, data, MAX_DEPTH):
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


_EXACT = JSONDecoder(parse_int=_integer, parse_float=_double, object_hook=_as_it_is)


def nests_deeper(text: str, data: Any, most: int) -> bool:
    """Returns whether arrays and objects nest deeper than `most` levels in the value of this JSON."""
    if text.count("[") + text.count("{") <= most:
        return False
    level = [data]
    for _ in range(most):
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


# Splitting a JSON array into the exact bytes of its elements.


_BLANK = b" \t\r\n"
# Strings are skipped whole: structural characters in them are text.
_STRUCTURE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)
_BLANKS = re.compile(r"[ \t\r\n]*")
_FEW_ELEMENTS = 1024 * 1024
# Values are discarded, so no number is converted.
_DECODER = JSONDecoder(strict=False, parse_int=len, parse_float=len, parse_constant=len)
_OPENING, _CLOSING, _COMMA = frozenset(b"[{"), frozenset(b"]}"), b","[0]


def singles(message: Message, content_type: str | None) -> Sequence[Message]:
    """Returns one message for each element of the body's array, with this content type and otherwise equal.

    The body must be a JSON array; the bytes between elements are dropped.
    """
    return [replace(message, body=body, content_type=content_type) for body in elements(message.body)]


def elements(body: bytes) -> list[bytes]:
    """Returns the bytes of each element of the array `body`, without surrounding blanks.

    Returns nothing for a large body nested so deep that it would have to be scanned character by character, which takes
    seconds.
    """
    try:
        return _scanned(body)
    except (ValueError, IndexError, RecursionError):
        return _sign_by_sign(body) if len(body) <= _FEW_ELEMENTS else []


def _scanned(body: bytes) -> list[bytes]:
    """Returns the elements, with their ends found by Python's parser, ten times as fast as the scan below."""
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
