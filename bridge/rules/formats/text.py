"""Text of an event that patterns, header tables and database columns can hold."""

import re
from datetime import UTC, datetime
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
