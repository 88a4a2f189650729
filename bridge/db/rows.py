r"""The conversion of entries to rows: flat tuples in the order of the tables' columns, one for each key; and of text to what
a database can store.

PostgreSQL has no NUL in text, SQLite shows nothing after one, and neither accepts lone surrogates. Such text is stored with
visible escapes (NUL as `\x00`, U+D800 as `\ud800`, a byte that is not UTF-8 as `\xff`, and then a backslash as two), and the
row's column `escaped` names the columns that contain them.
"""

import base64
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, assert_never

import orjson

from bridge.core.delivery import (
    FINAL,
    Attempt,
    Counted,
    Delivery,
    Entry,
    Evidence,
    Finished,
    Form,
    Quarantined,
    Reached,
    Record,
    Unkept,
    Unmatched,
)
from bridge.core.event import TEXT_PROPERTIES, Event, Message
from bridge.measuring.dimensions import key_of

_texts_of = attrgetter(*TEXT_PROPERTIES)
# Publishers' text.


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


EventRow = tuple[
    str, str, str, str, str | None, str, str | None, float, str | None,
    str, str, str | None, str | None, bytes, str | None,
]  # fmt: skip
DeliveryRow = tuple[str, str, str, str, str, str, int, int, float, float, float | None, str]
AttemptRow = tuple[str, int, int, float, float, str, int | None, str, str, str | None, str | None]
QuarantineRow = tuple[
    str, str, str, str, float, str, str, str | None, str | None, bytes, str | None
]  # fmt: skip

# Rows.


FINAL_STATUSES = frozenset(str(status) for status in FINAL)


@dataclass(slots=True)
class Rows:
    """The rows of one batch by their primary keys."""

    events: dict[str, EventRow] = field(default_factory=dict)
    deliveries: dict[str, DeliveryRow] = field(default_factory=dict)
    attempts: dict[tuple[str, int, int], AttemptRow] = field(default_factory=dict)
    quarantine: dict[str, QuarantineRow] = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)
    """The forms that the evidence of the attempts references, by id."""
    dimensions: dict[tuple[str, str, str], tuple[str, str, str]] = field(default_factory=dict)
    """Dimension, key and event of each entry in the search by dimensions."""
    unkept: list[Record] = field(default_factory=list)
    """Records of which no rows are written: like the following entries, they count in the sums only."""
    counted: list[Counted] = field(default_factory=list)
    finished: list[tuple[str, str]] = field(default_factory=list)
    """Claims that are done, by digest and event."""
    reached: list[Reached] = field(default_factory=list)


def rows_of(entries: Iterable[Entry]) -> Rows:
    """Returns the rows of `entries`; of two rows with one key the one that would remain in the database."""
    rows = Rows()
    for entry in entries:
        match entry:
            case Record():
                _add_event(rows, entry.delivery.event)
                _add_delivery(rows, entry)
                if entry.attempt is not None:
                    _add_attempt(rows, entry.delivery, entry.attempt)
            case Unmatched():
                _add_event(rows, entry.event)
            case Quarantined():
                rows.quarantine.setdefault(entry.id, _quarantine_row(entry))
            case Unkept(record=record):
                rows.unkept.append(record)
            case Counted():
                rows.counted.append(entry)
                _add_dimensions(rows, entry)
            case Finished(claims=claims):
                rows.finished += claims
            case Reached():
                rows.reached.append(entry)
            case _:
                assert_never(entry)
    return rows


def supersedes(new: DeliveryRow, old: DeliveryRow) -> bool:
    """Returns whether `new` replaces `old`; bridge.db.upserts has the same rule in SQL.

    A higher generation always does. Within a generation, a final status stays and wins, whatever the order of commits; else
    more attempts win, and with as many the later change.
    """
    if new[6] != old[6]:
        return new[6] > old[6]
    if old[4] in FINAL_STATUSES:
        return False
    return new[4] in FINAL_STATUSES or (new[7], new[9]) >= (old[7], old[9])


def _add_event(rows: Rows, event: Event) -> None:
    if event.id in rows.events:
        return
    message = event.message
    kind, publisher_id, webhook_id, time, identity, exchange, routing_key, escaped = _event_texts(event)
    rows.events[event.id] = (
        event.id, event.source, kind, event.format, publisher_id, webhook_id, time, event.received_at, identity,
        exchange, routing_key, properties_json(message), headers_json(message.headers), message.body, escaped,
    )  # fmt: skip


def _event_texts(event: Event) -> tuple[str, str | None, str, str | None, str | None, str, str, str | None]:
    """Returns the texts from publishers in storable form, and the names of those that were escaped."""
    message = event.message
    found = (
        event.type, event.publisher_id, event.webhook_id, event.time, event.identity,
        message.exchange, message.routing_key,
    )  # fmt: skip
    if is_plain("{}{}{}{}{}{}{}".format(*found)):  # one check of all of them, which nearly always suffices
        return (*found, None)
    kind, publisher_id, webhook_id, time, identity, exchange, routing_key = found
    stored = (
        storable(kind), publisher_id and storable(publisher_id), storable(webhook_id), time and storable(time),
        identity and storable(identity), storable(exchange), storable(routing_key),
    )  # fmt: skip
    return (*stored, _names(_EVENT_TEXTS, found, stored))


_EVENT_TEXTS = ("type", "publisher_id", "webhook_id", "time", "identity", "exchange", "routing_key")


def _add_delivery(rows: Rows, record: Record) -> None:
    delivery, attempt = record.delivery, record.attempt
    row = (
        delivery.id, delivery.event.id, delivery.hook, record.target, str(record.status), storable(record.reason),
        delivery.generation, attempt.number if attempt is not None else delivery.attempt - 1,
        delivery.event.received_at, record.at, record.next_attempt_at, rows.events[delivery.event.id][2],
    )  # fmt: skip
    old = rows.deliveries.get(delivery.id)
    if old is None or supersedes(row, old):
        rows.deliveries[delivery.id] = row


def _add_attempt(rows: Rows, delivery: Delivery, attempt: Attempt) -> None:
    key = (delivery.id, delivery.generation, attempt.number)
    if key in rows.attempts:
        return
    response, escaped = storable_bytes(attempt.response)
    error = storable(attempt.error)
    flag: str | None = "response" if escaped else None
    if error != attempt.error:
        flag = "response,error" if escaped else "error"
    rows.attempts[key] = (
        *key, attempt.started_at, attempt.duration_ms, attempt.outcome, attempt.code, response, error, flag,
        None if attempt.evidence is None else _evidence(rows, attempt.evidence),
    )  # fmt: skip


def _evidence(rows: Rows, evidence: Evidence) -> str:
    """Returns the evidence as ASCII JSON: the ids of its forms, the body's digest, and the values that vary."""
    sent, heard = evidence.sent, evidence.heard
    rows.forms[sent.id] = sent
    if heard is not None:
        rows.forms[heard.id] = heard
    told = [sent.id, None if heard is None else heard.id, evidence.digest, *evidence.values]
    return orjson.dumps(told).decode()


def _add_dimensions(rows: Rows, counted: Counted) -> None:
    for name, value in counted.values.items():
        if (key := key_of(value)) is not None:
            row = (name, storable(key), counted.event.id)
            rows.dimensions[row] = row


def _quarantine_row(entry: Quarantined) -> QuarantineRow:
    message = entry.message
    found = (entry.source, entry.detail, message.exchange, message.routing_key)
    stored = source, detail, exchange, routing_key = tuple(storable(text) for text in found)
    return (
        entry.id, source, entry.reason, detail, entry.at, exchange, routing_key,
        properties_json(message), headers_json(message.headers), message.body,
        _names(("source", "detail", "exchange", "routing_key"), found, stored),
    )  # fmt: skip


def _names(
    names: tuple[str, ...], found: tuple[str | None, ...], stored: tuple[str | None, ...]
) -> str | None:
    """Returns the columns whose text was escaped, separated by commas."""
    changed = [name for name, was, now in zip(names, found, stored, strict=True) if was != now]
    return ",".join(changed) or None
