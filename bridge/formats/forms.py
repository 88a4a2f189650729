"""A parser of form bodies with PHP's semantics: `data[attributes][id]=7` is an object in an object.

Form bodies are verified, stored and forwarded byte for byte; this module only builds the parsed copy.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from bridge.codings.labels import UTF_8, charset_of
from bridge.formats.parse import parse

# Bodies of `multipart/form-data` (RFC 7578), as browsers, Plex, Mailgun and others send fields and files.


MULTIPART = "multipart/form-data"
NO_FORM = "the body is labelled as multipart/form-data, and is cut off, has no boundary, or over 1,000 parts"
MOST_PARTS = 1_000
MOST_FILE_BYTES = 1_048_576
"""Maximum bytes of all files of a body that are returned as base64; further files have only name, type and size."""


def parts_of(body: bytes, content_type: str) -> list[tuple[str, Any]] | None:
    """Returns name and value of each part in order.

    A field is text, or a JSON value if it is labelled as JSON. A file is `{"filename", "content_type", "size",
    "base64"}`, with base64 null beyond the limit. None if the body is truncated, not multipart, or has more than 1,000
    parts.
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
    """Returns the value of the part, and the bytes of the file limit that it uses."""
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


CONTENT_TYPE = "application/x-www-form-urlencoded"
_LARGEST = 16_777_216
"""Maximum bytes of a form that is parsed."""
_NO_FORM = "the body is labelled as a form, and is none in UTF-8, or has over 10,000 fields"
_IN_FIELDS = ("payload", "payload_json")
"""Fields in which GitHub, Slack, Plex and others wrap their JSON."""
_MOST_FIELDS = 10_000
_DEEPEST = 64
_NAME = re.compile(r"([^\[]+)((?:\[[^\]]*\])+)", re.DOTALL)
_KEY = re.compile(r"\[([^\]]*)\]", re.DOTALL)
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")


def is_form(content_type: str | None) -> bool:
    """Returns whether this is the content type of a form."""
    return content_type is not None and _kind(content_type) in (CONTENT_TYPE, MULTIPART)


def form_data(body: bytes, content_type: str, charset: str | None = None) -> tuple[Any, str]:
    """Returns the value of a form with this content type, or None and the reason. Never raises.

    The value is the fields, or, if the only field beside files is `payload` with JSON in it, that JSON and the files.
    `charset` is that of percent-encoded text; None: UTF-8.
    """
    if len(body) > _LARGEST:
        return None, f"the form has {len(body)} bytes, of which {_LARGEST} are read"
    if _kind(content_type) == CONTENT_TYPE:
        form = form_of(body, charset or "utf-8")
        return (None, _NO_FORM) if form is None else (_meant(form), "")
    parts = parts_of(body, content_type)
    return (None, NO_FORM) if parts is None else (_meant(_nested(parts)), "")


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _meant(form: dict[str, Any]) -> Any:
    texts = {name for name, value in form.items() if not _is_file(value)}
    if len(texts) != 1 or (name := texts.pop()) not in _IN_FIELDS:
        return form
    told = form[name]
    payload = parse(told.encode(errors="surrogatepass")) if isinstance(told, str) else told
    if isinstance(payload, dict):
        return {key: value for key, value in form.items() if key != name} | payload
    return payload if isinstance(payload, list) and len(form) == 1 else form


def _is_file(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"filename", "content_type", "size", "base64"}


def form_of(body: bytes, charset: str = "utf-8") -> dict[str, Any] | None:
    """Returns the form's fields, every value as text; keys that count from 0 become a list.

    None if it is not UTF-8 or has over 10,000 fields. Nesting deeper than 64 is kept as a literal field name, as in
    PHP.
    """
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, encoding=charset
        )
    except ValueError:
        return None
    return _nested(fields)


def _nested(fields: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    form = _Fields()
    for name, value in fields:
        path = _path(name)
        if len(path) == 1:
            form[name] = value  # also if the name is empty: only brackets count
        else:
            _put(form, path, value)
    return {name: _with_lists(value) for name, value in form.items()}


def _path(name: str) -> list[str]:
    found = _NAME.fullmatch(name)
    if found is None or found[2].count("[") > _DEEPEST:
        return [name]
    return [found[1], *_KEY.findall(found[2])]


class _Fields(dict[str, Any]):
    """The values under one level of brackets."""

    following = 0
    """The index of the next key without a name: one more than the largest so far, so that no value is replaced."""

    def put(self, key: str, value: Any) -> None:
        """Set the value of a key; a key without a name is appended."""
        key = key or str(self.following)
        if _INDEX.fullmatch(key):
            self.following = max(self.following, int(key) + 1)
        self[key] = value


def _put(form: _Fields, path: list[str], value: Any) -> None:
    for name in path[:-1]:
        inner = form.get(name)
        if not isinstance(inner, _Fields):
            inner = _Fields(inner if isinstance(inner, dict) else {})
        form.put(name, inner)
        form = inner
    form.put(path[-1], value)


def _with_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = [_with_lists(item) for item in value.values()]
    if "0" in value and list(value) == [str(index) for index in range(len(items))]:
        return items
    return dict(zip(value, items, strict=True))
