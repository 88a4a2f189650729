"""Header fields: what may be sent, and what an answer's `Retry-After` and a message's `traceparent` say."""

import re
from collections.abc import Collection, Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import quote

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_~-]+")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,510}[\x21-\x7e]")
_WHOLE_SECONDS = re.compile(r"\s*(-?[0-9]{1,10})\s*")

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


def retry_after(value: str, now: float) -> float | None:
    """Seconds from `now` (Unix time) that a `Retry-After` asks to wait; None if it says nothing usable.

    Both forms of RFC 9110 section 10.2.3; a moment that has passed is 0.
    """
    if seconds := _WHOLE_SECONDS.fullmatch(value):
        return max(0.0, float(seconds[1]))
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now)
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
