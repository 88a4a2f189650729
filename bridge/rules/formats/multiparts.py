"""Bodies of `multipart/form-data` (RFC 7578), as browsers, Plex, Mailgun and others send fields and files."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from bridge.rules.codings.charsets import UTF_8, charset_of
from bridge.rules.formats.parse import parse

CONTENT_TYPE = "multipart/form-data"
NO_FORM = "the body is labelled as multipart/form-data, and is cut off, has no boundary, or over 1,000 parts"
MOST_PARTS = 1_000
MOST_FILE_BYTES = 1_048_576
"""Bytes of all files of a body that are told as base64; of those beyond only name, type and size are."""


def parts_of(body: bytes, content_type: str) -> list[tuple[str, Any]] | None:
    """Name and value of each part in their order.

    A field is text, or what its JSON says where it is labelled as that. A file is `{"filename", "content_type", "size",
    "base64"}`, the last one null beyond a bound. None for what is cut off, is none, or has more than 1,000 parts.
    """
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not 0 < len(boundary.encode(errors="replace")) <= 70:
        return None
    try:
        return list(_parts(body, boundary))
    except (MultipartError, ValueError):
        return None


def _parts(body: bytes, boundary: str) -> Iterator[tuple[str, Any]]:
    room = MOST_FILE_BYTES
    with PushMultipartParser(boundary, max_segment_count=MOST_PARTS) as parser:
        found: MultipartSegment | None = None
        content: list[bytes] = []
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                found, content = event, []
            elif event is not None:
                content.append(bytes(event))
            elif found is not None:
                value, took = _value(found, b"".join(content), room)
                room -= took
                yield found.name, value


def _value(part: MultipartSegment, content: bytes, room: int) -> tuple[Any, int]:
    """What the part holds, and how much of the room for files it takes."""
    if part.filename is None:
        return _field(part, content), 0
    fits = len(content) <= room
    file = {
        "filename": part.filename,
        "content_type": part.content_type,
        "size": len(content),
        "base64": b64encode(content).decode() if fits else None,
    }
    return file, len(content) if fits else 0


def _field(part: MultipartSegment, content: bytes) -> Any:
    if part.content_type and part.content_type.lower() == "application/json":
        value = parse(content)
        if value is not None or content.strip() == b"null":
            return value
    try:
        return content.decode(charset_of(part.charset or "") or UTF_8)
    except (LookupError, UnicodeDecodeError):
        return content.decode("utf-8", "backslashreplace")
