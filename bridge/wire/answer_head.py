"""A lenient parser of HTTP response heads that the strict parser rejects.

The status line is the receiver's decision, whatever is wrong with the lines after it. Only the framing is uncertain, so
the connection is closed.
"""

import re
from typing import NamedTuple

MOST_HEAD = 128 * 1024
"""Maximum bytes of a head that is parsed."""
MOST_FIELDS = 1000
"""Maximum header lines that are parsed."""

_END = re.compile(rb"\n\r?\n")
# Any version in any case, with any white space between the words, as RFC 9112 (3 and 4) allows readers to accept.
_STATUS = re.compile(rb"(?i:HTTP)/[0-9](?:\.[0-9])?[ \t]+([1-9][0-9]{2})(?:[ \t][^\r\n]*)?\r?\n")
_STATUS_BEGUN = re.compile(rb"(?i:HTTP)/[0-9](?:\.[0-9])?[ \t]+[1-9][0-9]{2}[ \t\r]")
_LIKE = b"HTTP/1.1 200 "
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_KEPT = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"upgrade", b"content-length", b"transfer-encoding"}
)
"""Headers about the connection, which is closed, and those that are written anew."""
_NO_BODY = b"Content-Length: 0\r\n"


class Head(NamedTuple):
    """A well-formed head, of a response after which the connection is closed; `fault` is what was repaired."""

    content: bytes
    fault: str


def status_of(head: bytes) -> int | None:
    """Returns the status code of a complete, valid status line."""
    status = _STATUS.match(head)
    return int(status[1]) if status else None


def is_hopeless(begun: bytes) -> bool:
    """Returns whether these first bytes, which the parser rejected, cannot become a response."""
    if b"\n" in begun:
        return _STATUS.match(begun) is None
    return not any(_STATUS_BEGUN.match(begun + _LIKE[at:]) for at in range(len(_LIKE) + 1))


def is_interim(code: int | None) -> bool:
    """Returns whether another response follows (RFC 9110, 15.2); 101 ends HTTP on the connection."""
    return code is not None and code < 200 and code != 101


def is_ended(received: bytes | bytearray, *, since: int) -> bool:
    """Returns whether the head is complete; the first `since` bytes are known not to contain its end."""
    return _END.search(received, max(0, since - 2)) is not None


def divided(received: bytes) -> tuple[bytes, bytes | None]:
    """Returns the first head that is not an interim response's, and the bytes after it; None if it is incomplete."""
    while True:
        received = received.lstrip(b"\r\n")
        end = _END.search(received)
        if end is None:
            return received, None
        head, rest = received[: end.end()], received[end.end() :]
        if not is_interim(status_of(head)):
            return head, rest
        received = rest


def mended(head: bytes, fault: str = "") -> Head:
    """Returns the repaired head, as lenient clients read it. Raises ValueError without a status line.

    `fault` is the reason if the head is truncated: then the body is unknown.
    """
    status = _STATUS.match(head)
    if status is None:
        raise ValueError("no status line")
    lines = head[status.end() :].split(b"\n", MOST_FIELDS)[:-1]
    fields = [field for line in lines if (field := _field(line)) is not None]
    framing, doubt = (_NO_BODY, fault) if fault else _framing(fields)
    if not doubt:
        doubt = _wrong_name(lines) or "its head is no valid HTTP"
    kept = [b"%b: %b\r\n" % field for field in fields if field[0].lower() not in _NOT_KEPT]
    first = b"HTTP/1.1 %b -\r\n" % status[1]
    return Head(b"".join([first, *kept, framing, b"Connection: close\r\n\r\n"]), doubt)


def bare(code: int) -> bytes:
    """Returns a head with a status line only."""
    return b"HTTP/1.1 %d -\r\n%bConnection: close\r\n\r\n" % (code, _NO_BODY)


def _field(line: bytes) -> tuple[bytes, bytes] | None:
    """Returns name and value; a blank before the colon is ignored."""
    name, colon, value = line.rstrip(b"\r").partition(b":")
    name, value = name.rstrip(b" \t"), value.strip(b" \t")
    return (name, value) if colon and _TOKEN.fullmatch(name) and not _CONTROL.search(value) else None


def _wrong_name(lines: list[bytes]) -> str:
    names = [line.partition(b":")[0] for line in lines]
    wrong = any(not _TOKEN.fullmatch(name) for name in names if name.strip())
    return "the name of a header holds a blank or another character that none can" if wrong else ""


def _framing(fields: list[tuple[bytes, bytes]]) -> tuple[bytes, str]:
    """Returns the header lines that delimit the body (RFC 9112, 6.3), and what is uncertain about them."""
    lengths = _values(fields, b"content-length")
    codings = _values(fields, b"transfer-encoding")
    if codings:
        doubt = "it has both Content-Length and Transfer-Encoding" if lengths else ""
        if [coding.lower() for coding in codings] == [b"chunked"]:
            return b"Transfer-Encoding: chunked\r\n", doubt
        return _NO_BODY, doubt or "its Transfer-Encoding is not chunked"
    if not lengths:
        return b"", ""
    if not all(_LENGTH.fullmatch(length) for length in lengths):
        return _NO_BODY, "its Content-Length is no number"
    if len({int(length) for length in lengths}) > 1:
        return _NO_BODY, "it has several Content-Length that differ"
    return b"Content-Length: %b\r\n" % lengths[0], "it has Content-Length twice" if len(lengths) > 1 else ""


def _values(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    found = [value for each, value in fields if each.lower() == name]
    return [part.strip(b" \t") for value in found for part in value.split(b",")]
