"""An AMQP message written as JSON: exchange, routing key, properties, headers and body."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from bridge.core.errors import Problem, SettingsError
from bridge.core.event import TEXT_PROPERTIES, Message
from bridge.formats.parse import BOUNDS, parse
from bridge.settings.shape import nearest

SHAPE = '{"exchange", "routing_key", "properties": {}, "headers": {}, "body": object or string}'

_KEYS = ("exchange", "routing_key", "properties", "headers", "body", "body_base64", "redelivered")
_KNOWN = (*TEXT_PROPERTIES, "headers", "timestamp", "priority", "delivery_mode", "user_id", "cluster_id")
_BOM = b"\xef\xbb\xbf"
# An unterminated string extends to the end of the text: if each quote in it were tried again, 40 kB would take seconds.
_STRING = rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)'
_STRUCTURE = re.compile(_STRING + rb"|[\[\]{},:]", re.DOTALL)
_STRING_OR_BLANK = re.compile(rb"(" + _STRING + rb")|[ \t\r\n]+", re.DOTALL)
_LAST_SECOND_OF_32_BITS = 0xFFFF_FFFF


Note = Callable[[str], None]
"""Called with each name that is ignored."""


def unwrapped(text: bytes, where: str, note: Note) -> Message:
    """Returns the message that `text` describes; a body that is not a string becomes compact JSON, with its numbers unchanged.

    Raises SettingsError, which names `where`, if the text is not such a description. Unknown names are passed to `note` and
    ignored.
    """
    return described(text, where, note)[0]


def described(
    text: bytes, where: str, note: Note, more: tuple[str, ...] = ()
) -> tuple[Message, dict[str, Any]]:
    """Returns the message as `unwrapped`, and the values of the names `more` that are present beside its own members."""
    wrapper = _Wrapper(text.removeprefix(_BOM), where, note, more)
    return wrapper.message(), wrapper.further


class _Wrapper:
    """A description of a message; `where` is the file that contains it."""

    def __init__(self, text: bytes, where: str, note: Note, more: tuple[str, ...]) -> None:
        self._where = where
        self._note = note
        self._raw_body, fields = self._read(text)
        self.further = {name: fields.pop(name) for name in more if name in fields}
        self._fields = fields

    def message(self) -> Message:
        self._tell_unknown("", self._fields, _KEYS)
        properties = self._table("properties", self._fields.get("properties"))
        self._tell_unknown("properties.", properties, _KNOWN)
        headers = self._table("headers", self._fields.get("headers") or properties.get("headers"))
        texts = {name: self._text(f"properties.{name}", properties.get(name)) for name in TEXT_PROPERTIES}
        return Message(
            body=self._body(),
            exchange=self._text("exchange", self._fields.get("exchange")) or "",
            routing_key=self._text("routing_key", self._fields.get("routing_key")) or "",
            headers=headers,
            timestamp=self._moment(properties.get("timestamp")),
            priority=self._octet(properties.get("priority")),
            redelivered=self._fields.get("redelivered") is True,
            **texts,
        )

    def _read(self, text: bytes) -> tuple[bytes, dict[str, Any]]:
        """Returns the body as written, and all parsed members except a body that nests too deep."""
        if not text.strip().startswith(b"{"):
            raise self._problem("", f"no message; it must be a JSON object {SHAPE}")
        whole = parse(text)
        start, end = next((span for key, *span in _members(text) if key == "body"), (0, 0))
        if whole is None:
            whole = parse(text[:start] + b"null" + text[end:]) if end and _is_deep(text[start:end]) else None
        if not isinstance(whole, dict):
            raise self._problem("", f"no JSON: {_fault(text)}")
        return text[start:end], whole

    def _body(self) -> bytes:
        encoded = self._fields.get("body_base64")
        if encoded is None:
            body = self._fields.get("body")
            # A lone surrogate has no UTF-8; as an escape it is what a JSON body would contain.
            return (
                body.encode(errors="backslashreplace") if isinstance(body, str) else _compact(self._raw_body)
            )
        if "body" in self._fields:
            raise self._problem("body_base64", "give either `body` or `body_base64`")
        try:
            return base64.b64decode(self._text("body_base64", encoded) or "", validate=True)
        except (binascii.Error, ValueError):
            raise self._problem("body_base64", "no base64") from None

    def _table(self, path: str, value: Any) -> Mapping[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._problem(path, f"must be an object, not {_kind(value)}")
        return value

    def _text(self, path: str, value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool | dict | list):
            raise self._problem(path, f"must be text, not {_kind(value)}")
        return str(value)

    def _octet(self, value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
            raise self._problem("properties.priority", "must be a number from 0 to 255")
        return value

    def _moment(self, value: Any) -> datetime | None:
        """Returns the time of Unix seconds, of milliseconds as publishers also send them, or of RFC 3339."""
        if value is None or value == "":
            return None
        try:
            if isinstance(value, str) and not value.isdecimal():
                moment = datetime.fromisoformat(value)
                return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            if (
                not isinstance(value, bool | dict | list)
                and isfinite(seconds := float(value))
                and seconds >= 0
            ):
                return datetime.fromtimestamp(
                    seconds if seconds <= _LAST_SECOND_OF_32_BITS else seconds / 1000, UTC
                )
        except (ValueError, OverflowError, OSError):
            pass
        raise self._problem(
            "properties.timestamp", "must be Unix seconds, or RFC 3339 text such as 2025-05-05T07:08:09Z"
        )

    def _tell_unknown(self, path: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for name in given:
            if name not in known:
                self._note(f"{path}{name!a} is passed over{nearest(name, known)}")

    def _problem(self, path: str, message: str) -> SettingsError:
        return SettingsError([Problem(path, message, self._where)])


def _members(text: bytes) -> Iterator[tuple[str, int, int]]:
    """Yields key, start and end of the value of each member of the outermost object, the last one first."""
    found: list[tuple[str, int, int]] = []
    depth, key, start = 0, b"", 0
    for token in _STRUCTURE.finditer(text):
        sign = token[0][:1]
        if depth == 1 and sign == b'"' and not start:
            key = token[0]
        elif depth == 1 and sign == b":":
            start = token.end()
        elif depth == 1 and sign in b",}" and start:
            found.append((str(parse(key)), start, token.start()))
            start = 0
        depth += (sign in b"[{") - (sign in b"]}")
    return reversed(found)


def _compact(text: bytes) -> bytes:
    return _STRING_OR_BLANK.sub(lambda found: found[1] or b"", text)


def _is_deep(text: bytes) -> bool:
    depth = deepest = 0
    for token in _STRUCTURE.finditer(text):
        depth += (token[0] in b"[{") - (token[0] in b"]}")
        deepest = max(deepest, depth)
    return deepest > 500 and depth == 0


def _fault(text: bytes) -> str:
    if fault := BOUNDS.exceeded(text):
        return fault
    try:
        json.loads(text.decode())
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} is not UTF-8"
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        return "it nests too deep"
    return "it nests too deep"


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "true or false"
        case dict():
            return "an object"
        case list():
            return "a list"
        case str():
            return "text"
        case _:
            return "a number"
