r"""The conversion of publishers' text to text that a database can store.

PostgreSQL has no NUL in text, SQLite shows nothing after one, and neither accepts lone surrogates. Such text is stored with
visible escapes (NUL as `\x00`, U+D800 as `\ud800`, a byte that is not UTF-8 as `\xff`, and then a backslash as two), and the
row's column `escaped` names the columns that contain them.
"""

import base64
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

import orjson

from bridge.core.event import TEXT_PROPERTIES, Message

_texts_of = attrgetter(*TEXT_PROPERTIES)
_UNSTORABLE = re.compile("[\\\\\0\ud800-\udfff]")
_ESCAPED = re.compile(rb"\\(?:\\|x([0-9a-f]{2})|u([0-9a-f]{4}))")


def is_unicode(text: str) -> bool:
    """Returns whether the text has no lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_plain(text: str) -> bool:
    """Returns whether a database accepts the text as it is."""
    return "\0" not in text and (text.isascii() or is_unicode(text))


def storable(text: str) -> str:
    """Returns `text` itself if a database accepts it, else a copy with escapes."""
    if is_plain(text):
        return text
    return _UNSTORABLE.sub(_escape, text)


def storable_bytes(raw: bytes) -> tuple[str, bool]:
    """Returns the text of `raw`, and whether it contains escapes."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        doubled = raw.replace(b"\\", b"\\\\").replace(b"\0", b"\\x00")
        return doubled.decode(errors="backslashreplace"), True
    stored = storable(text)
    return stored, stored is not text


def original(escaped: str) -> bytes:
    """Returns the bytes before escaping; a lone surrogate is encoded by Python's `surrogatepass`."""
    return _ESCAPED.sub(_unescape, escaped.encode())


def headers_json(headers: Mapping[str, Any]) -> str | None:
    """Returns JSON text of an AMQP table, None for an empty one.

    A value that JSON lacks is an object with one key that names its type: `{"$bytes": "<base64>"}`, `{"$decimal": "1.5"}`,
    `{"$timestamp": "<RFC 3339>"}`, `{"$float": "nan"}`, `{"$text": "..."}` for anything else; a table that has this form itself
    is wrapped in `{"$table": {...}}`.
    """
    return _json(_plain_table(headers)) if headers else None


def properties_json(message: Message) -> str | None:
    """Returns JSON text of the message's AMQP properties, None if it has none."""
    found: dict[str, Any] = {
        name: text for name, text in zip(TEXT_PROPERTIES, _texts_of(message), strict=True) if text is not None
    }
    if message.timestamp is not None:
        found["timestamp"] = message.timestamp.isoformat()
    if message.priority is not None:
        found["priority"] = message.priority
    if message.redelivered:
        found["redelivered"] = True
    return _json(found) if found else None


def headers_of(stored: str | None) -> dict[str, Any]:
    """Returns the AMQP table of a text from `headers_json`; values without a type of their own stay text."""
    table: dict[str, Any] = _read_back(json.loads(stored)) if stored else {}
    return table


def properties_of(stored: str | None) -> dict[str, Any]:
    """Returns the fields of a Message from a text of `properties_json`."""
    found: dict[str, Any] = json.loads(stored) if stored else {}
    if "timestamp" in found:
        found["timestamp"] = datetime.fromisoformat(found["timestamp"])
    return found


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if character == "\\":
        return "\\\\"
    return "\\x00" if character == "\0" else f"\\u{ord(character):04x}"


def _unescape(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes([int(found[1], 16)])
    if found[2]:
        return chr(int(found[2], 16)).encode(errors="surrogatepass")
    return b"\\"


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # lone surrogates and integers over 64 bits, which orjson refuses
        return json.dumps(value, separators=(",", ":"))


def _plain_table(table: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: _plain(value) for key, value in table.items()}
    if len(plain) == 1 and next(iter(plain)).startswith("$"):
        return {"$table": plain}
    return plain


def _plain(value: Any) -> Any:
    match value:
        case str() | int() | None:
            return value
        case Mapping():
            return _plain_table(value)
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return _plain_scalar(value)


def _plain_scalar(value: object) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else {"$float": str(value)}
        case bytes() | bytearray():
            return {"$bytes": base64.b64encode(value).decode()}
        case Decimal():
            return {"$decimal": str(value)}
        case datetime():
            return {"$timestamp": value.isoformat()}
        case _:
            return {"$text": str(value)}


_KINDS: Mapping[str, Callable[[Any], Any]] = {
    "$float": float,
    "$bytes": base64.b64decode,
    "$decimal": Decimal,
    "$timestamp": datetime.fromisoformat,
    "$text": str,
    "$table": lambda table: {key: _read_back(value) for key, value in table.items()},
}


def _read_back(value: Any) -> Any:
    match value:
        case list():
            return [_read_back(item) for item in value]
        case dict() if len(value) == 1 and (kind := _KINDS.get(next(iter(value)))) is not None:
            return kind(*value.values())
        case dict():
            return {key: _read_back(item) for key, item in value.items()}
        case _:
            return value
