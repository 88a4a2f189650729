"""Header fields: what may be sent, and what an answer's `Retry-After` and a message's `traceparent` say."""

import math
import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_~-]+")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,510}[\x21-\x7e]")
_SECONDS = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?) *(?:s|secs?|seconds?)?", re.ASCII
)
_FAR_YEAR = re.compile(r"(?<![0-9])[1-9][0-9]{4,}(?![0-9])", re.ASCII)
_LONGEST_WAIT = 10 * 365 * 86_400.0

FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Names that belong to the HTTP client: a wrong value would break the framing of the connection."""


def check_headers(headers: Iterable[tuple[str, str]], reserved: Collection[str]) -> None:
    """Raise a ValueError that names the first header which cannot be sent, or is `reserved` (lower case)."""
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no header name; letters, digits and dashes are safe")
        if name.lower() in FRAMING:
            raise ValueError(f"{name} is set by the HTTP client itself and cannot be given")
        if name.lower() in reserved:
            raise ValueError(f"{name} is set by the profile or by `auth` and cannot be replaced")
        if _CONTROL.search(value):
            raise ValueError(f"the value of {name} holds a line break or another control character")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(f"the value of {name} is no valid Unicode text") from None


def header_text(text: str) -> str:
    """`text` if it can stand in a header field, otherwise its percent-encoded UTF-8."""
    if _VISIBLE.fullmatch(text):
        return text
    return quote(text.encode("utf-8", "backslashreplace"), safe="!#$&'()*+,/:;=?@[]|^`{}<>")


def identifier(text: str) -> str:
    """`text` if it may be signed as a `webhook-id`, otherwise percent-encoded, the same way every time.

    A full stop would make two different ids and timestamps sign the same bytes, a line break would
    make a header of its own.
    """
    if _IDENTIFIER.fullmatch(text):
        return text
    return quote(text.encode("utf-8", "backslashreplace"), safe="").replace(".", "%2E")


def traceparent(value: object) -> str | None:
    """The W3C trace context of a message header, if it is one (https://www.w3.org/TR/trace-context/)."""
    text = _text(value)
    return text if text is not None and _TRACEPARENT.fullmatch(text) else None


def tracestate(value: object) -> str | None:
    """What tracing systems add to a `traceparent`, if a header can hold it: up to 512 visible characters."""
    text = _text(value)
    return text if text is not None and _TRACESTATE.fullmatch(text) else None


def _text(value: object) -> str | None:
    if isinstance(value, bytes | bytearray):
        value = value.decode("latin-1")
    return value if isinstance(value, str) else None


def retry_after(values: Iterable[str], now: float, *, date: str = "") -> float | None:
    """Seconds to wait that an answer's `Retry-After` asks for; None if it says nothing usable. Of several, the longest.

    What RFC 9110 (10.2.3) allows is read, and what else senders mean without doubt: decimals, a unit, several values,
    ISO 8601. A moment that has passed is 0, one beyond all years ten years. `now` is in Unix time; `date`, the answer's
    own `Date`, comes before it, so that nothing depends on two clocks being right.
    """
    said_at = _moment(date)
    waits = [_wait(value.strip(" \t\"'"), now if said_at is None else said_at) for value in values]
    return max((wait for wait in waits if wait is not None), default=None)


def _wait(text: str, now: float) -> float | None:
    seconds = [_SECONDS.fullmatch(part.strip()) for part in text.split(",")]
    if all(seconds):
        return min(max(0.0, *(float(part[1]) for part in seconds if part)), _LONGEST_WAIT)
    moment = _moment(text)
    return None if moment is None else min(max(0.0, moment - now), _LONGEST_WAIT)


def _moment(text: str) -> float | None:
    """Unix time of a date in one of HTTP's three forms (RFC 9110, 5.6.7), in that of mail, or in ISO 8601."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, IndexError, TypeError):
            continue
    return math.inf if text.isascii() and ":" in text and _FAR_YEAR.search(text) else None
