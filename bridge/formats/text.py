"""Text helpers of formats: event types, times, ids and header tables."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from hashlib import sha256
from typing import Any

MAX_TYPE_BYTES = 255
"""Maximum bytes of an event type: an AMQP short string."""

# Python rejects converting integers of over 4,300 digits; ids have 64 bits.
_INTEGERS = 2**64
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def event_type(text: str) -> str:
    """Returns `text` without surrounding space, with control characters and lone surrogates replaced by U+FFFD, cut
    to 255 bytes of UTF-8; may be empty.
    """
    text = text.strip()
    if text.isascii() and text.isprintable() and len(text) <= MAX_TYPE_BYTES:
        return text
    fit = _UNFIT.sub("\ufffd", text[:MAX_TYPE_BYTES])
    return fit.encode()[:MAX_TYPE_BYTES].decode(errors="ignore").rstrip()


def fitting_type(texts: Iterable[str | None]) -> str:
    """Returns the first of the texts that makes an event type; `unknown` if none does."""
    for text in texts:
        if text and (fit := event_type(text)):
            return fit
    return "unknown"


def text_of(value: Any) -> str | None:
    """Returns the text of a header or of a key of a body, None if it is empty or not text.

    Accepts bytes and integers, because clients send text as bytes and ids as integers.
    """
    if isinstance(value, str):
        return value or None
    if isinstance(value, (bytes, bytearray)):
        return value.decode(errors="replace") or None
    if isinstance(value, int) and not isinstance(value, bool) and -_INTEGERS <= value <= _INTEGERS:
        return str(value)
    return None


def utc_seconds(at: float) -> str:
    """Returns RFC 3339 in UTC of Unix seconds, to the microsecond, clamped to the calendar."""
    try:
        return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError, OSError):
        return "9999-12-31T23:59:59Z" if at > 0 else "0001-01-01T00:00:00Z"


def utc_text(moment: datetime) -> str | None:
    """Returns RFC 3339 in UTC, such as `2025-03-14T08:26:53Z`; a time without a zone is UTC.

    None if the time is outside of the calendar once its offset is applied.
    """
    if moment.tzinfo is None:
        return moment.isoformat() + "Z"
    try:
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:
        return None


# Parsers of publishers' times, which return RFC 3339 text in UTC, None for invalid times.


_LONGEST = 64
_WRITTEN = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d+))?\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_UTC_NAMES = frozenset({"Z", "UTC", "GMT"})
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - all sums here are in UTC
_YEAR_2000, _YEAR_2100, _YEAR_10000 = 946_684_800, 4_102_444_800, 253_402_300_800


def from_text(text: Any, zone: tzinfo = UTC) -> str | None:
    """Returns the UTC of `2025-05-05T09:08:09.1234567+02:00`, with the fraction unchanged.

    Seconds, fraction and offset may be missing, a space may replace the T and precede the offset, which may be `UTC`,
    `+0200` or `+02`; a time without an offset is in `zone`.
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    if (written := _WRITTEN.fullmatch(text.strip())) is None:
        return None
    day, clock, fraction, offset = written.groups()
    ending = f".{fraction}Z" if fraction else "Z"
    try:
        if offset and offset.upper() in _UTC_NAMES:
            return datetime.fromisoformat(f"{day}T{clock}").isoformat() + ending
        moment = datetime.fromisoformat(f"{day}T{clock}{offset or ''}")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        # offsets are whole seconds, so the fraction stays
        return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + ending
    except (ValueError, OverflowError):  # invalid date, or outside of the calendar once the offset is applied
        return None


def from_seconds(number: Any) -> str | None:
    """Returns the UTC of Unix seconds, whole or not, exact to the microsecond."""
    if not _is_number(number) or not 0 < number < _YEAR_10000:
        return None
    return _written(_EPOCH + timedelta(seconds=number))


def from_milliseconds(number: Any) -> str | None:
    """Returns the UTC of Unix milliseconds."""
    if not _is_number(number) or not 0 < number < _YEAR_10000 * 1000:
        return None
    return _written(_EPOCH + timedelta(milliseconds=number))


def from_value(value: Any, zone: tzinfo = UTC) -> str | None:
    """Returns the UTC of an AMQP timestamp, a text, or Unix seconds or milliseconds between 2000 and 2100."""
    if isinstance(value, str):
        return from_text(value, zone)
    if isinstance(value, datetime):
        return utc_text(value)
    if _is_number(value):
        if _YEAR_2000 <= value < _YEAR_2100:
            return from_seconds(value)
        if _YEAR_2000 * 1000 <= value < _YEAR_2100 * 1000:
            return from_milliseconds(value)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _written(moment: datetime) -> str:
    if moment.microsecond % 1000 == 0 and moment.microsecond:
        return moment.isoformat(timespec="milliseconds") + "Z"
    return moment.isoformat() + "Z"


# Event ids: the publisher's own, and the webhook id that receivers get with every attempt.


MAX_ID = 512
"""Maximum characters of a publisher's id; it is carried in the headers of copies."""


def fitting_id(text: str) -> str:
    """Returns the id; beyond 512 characters its beginning and a digest of the whole."""
    if len(text) <= MAX_ID:
        return text
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{text[: MAX_ID - 72]}~sha256:{digest}"


def webhook_id(source: str, publisher_id: str, body: bytes) -> str:
    """Returns a UUID (version 8) derived from the source, the publisher's id and the body.

    The id stays the same when the broker redelivers the message after a crash, and two bodies with one publisher id get
    two ids. Only for events with a publisher's id; others use the event's own id.
    """
    name = f"{len(source)}:{source}{len(publisher_id)}:{publisher_id}"
    digest = sha256(name.encode(errors="surrogatepass"))
    digest.update(body)
    text = digest.hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    # version 8 is for custom schemes (RFC 9562, 5.8)
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


# Headers whose names are case-insensitive.


def by_lower_name(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the headers by lower-case name."""
    return {name.lower(): value for name, value in headers.items()}


# Size estimates of AMQP header tables.


def table_size(table: Mapping[str, Any]) -> int:
    """Returns the upper bound of the encoded table's bytes: fixed-width values count as 8.

    Source: AMQP 0-9-1, 4.2.5.5 with RabbitMQ's field types.
    """
    size = 4
    waiting: list[Any] = [table]
    while waiting:
        container = waiting.pop()
        if isinstance(container, Mapping):
            for key in container:
                size += 1 + _text_size(key)
            container = container.values()
        for value in container:
            if isinstance(value, (dict, list)):
                size += 5
                waiting.append(value)
            else:
                size += 1 + _scalar_size(value)
    return size


def _scalar_size(value: Any) -> int:
    if isinstance(value, str):
        return 4 + _text_size(value)
    if isinstance(value, (bytes, bytearray)):
        return 4 + len(value)
    return 0 if value is None else 8


def _text_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
