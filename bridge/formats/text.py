"""Text of an event that patterns, header tables and database columns can hold."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from hashlib import sha256
from typing import Any

MAX_TYPE_BYTES = 255
"""An event type fits in an AMQP short string."""

# Python refuses to write integers of over 4,300 digits; ids have 64 bits.
_INTEGERS = 2**64
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def event_type(text: str) -> str:
    """`text` without surrounding space, control characters and lone surrogates replaced by U+FFFD, cut to
    255 bytes of UTF-8; empty where nothing is left.
    """
    text = text.strip()
    if text.isascii() and text.isprintable() and len(text) <= MAX_TYPE_BYTES:
        return text
    fit = _UNFIT.sub("\ufffd", text[:MAX_TYPE_BYTES])
    return fit.encode()[:MAX_TYPE_BYTES].decode(errors="ignore").rstrip()


def text_of(value: Any) -> str | None:
    """The text that a header or a key of a body holds, None where it holds none or an empty one.

    Clients write text as bytes too, and ids as integers.
    """
    if isinstance(value, str):
        return value or None
    if isinstance(value, (bytes, bytearray)):
        return value.decode(errors="replace") or None
    if isinstance(value, int) and not isinstance(value, bool) and -_INTEGERS <= value <= _INTEGERS:
        return str(value)
    return None


def utc_seconds(at: float) -> str:
    """RFC 3339 in UTC of Unix seconds, to the microsecond; what is off the calendar is its nearest end."""
    try:
        return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError, OSError):
        return "9999-12-31T23:59:59Z" if at > 0 else "0001-01-01T00:00:00Z"


def utc_text(moment: datetime) -> str | None:
    """RFC 3339 in UTC, such as `2025-03-14T08:26:53Z`; a moment without a zone is taken as UTC.

    None where the moment falls off the calendar once its offset is applied.
    """
    if moment.tzinfo is None:
        return moment.isoformat() + "Z"
    try:
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:
        return None


# Times as publishers write them, as RFC 3339 text in UTC; what is no time is None.


_LONGEST = 64
_WRITTEN = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d+))?\s*(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_UTC_NAMES = frozenset({"Z", "UTC", "GMT"})
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - all sums here are in UTC
_YEAR_2000, _YEAR_2100, _YEAR_10000 = 946_684_800, 4_102_444_800, 253_402_300_800


def from_text(text: Any, zone: tzinfo = UTC) -> str | None:
    """The UTC of `2025-05-05T09:08:09.1234567+02:00`, with the fraction as it is.

    Seconds, fraction and offset may be missing, a space may stand for the T and before the offset, which may
    be `UTC`, `+0200` or `+02`; a time without an offset is one of `zone`.
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
        # offsets are whole seconds: the fraction stays what it was
        return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + ending
    except (ValueError, OverflowError):  # no such date, or off the calendar once the offset is applied
        return None


def from_seconds(number: Any) -> str | None:
    """The UTC of so many seconds since 1970, whole or not, exact to the microsecond."""
    if not _is_number(number) or not 0 < number < _YEAR_10000:
        return None
    return _written(_EPOCH + timedelta(seconds=number))


def from_milliseconds(number: Any) -> str | None:
    """The UTC of so many milliseconds since 1970."""
    if not _is_number(number) or not 0 < number < _YEAR_10000 * 1000:
        return None
    return _written(_EPOCH + timedelta(milliseconds=number))


def from_value(value: Any, zone: tzinfo = UTC) -> str | None:
    """The UTC of a time of unknown kind: an AMQP timestamp, text, or seconds or milliseconds since 1970, where
    these fall between 2000 and 2100.
    """
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


# The ids of an event: the publisher's own, and the one that receivers see on every attempt.


MAX_ID = 512
"""Characters of a publisher's id; it travels in the headers of copies."""


def fitting_id(text: str) -> str:
    """The id, or where it is over 512 characters its beginning and a digest of the whole."""
    if len(text) <= MAX_ID:
        return text
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()
    return f"{text[: MAX_ID - 72]}~sha256:{digest}"


def webhook_id(source: str, publisher_id: str, body: bytes) -> str:
    """A UUID (version 8) made from where the event came from, the publisher's id and the body.

    So it survives a crash after which the broker hands the message over once more, and two bodies under one
    publisher id stay two. Only for events whose publisher gave an id; all others go by the event's own id.
    """
    name = f"{len(source)}:{source}{len(publisher_id)}:{publisher_id}"
    digest = sha256(name.encode(errors="surrogatepass"))
    digest.update(body)
    text = digest.hexdigest()
    variant = "89ab"[int(text[16], 16) & 3]
    # version 8 is for recipes of one's own (RFC 9562, 5.8)
    return f"{text[:8]}-{text[8:12]}-8{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"


# Headers of which only the name counts, not how it is capitalised on its way.


def by_lower_name(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The headers under their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


# How large an AMQP header table becomes on the wire.


def table_size(table: Mapping[str, Any]) -> int:
    """Bytes of the encoded table, from above: whatever has a fixed width counts as 8.

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
    """Of the value alone, without the byte that tells its type."""
    if isinstance(value, str):
        return 4 + _text_size(value)
    if isinstance(value, (bytes, bytearray)):
        return 4 + len(value)
    return 0 if value is None else 8


def _text_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
