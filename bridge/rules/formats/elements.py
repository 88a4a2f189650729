"""The elements of a JSON array, each as the bytes that its publisher wrote."""

import re
from collections.abc import Sequence
from dataclasses import replace

from bridge.model.event import Message

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n"
# Strings are skipped whole: what looks like structure in them is text.
_STRUCTURE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)
_OPENING, _CLOSING, _COMMA = frozenset(b"[{"), frozenset(b"]}"), b","[0]


def singles(message: Message, content_type: str | None) -> Sequence[Message]:
    """One message for each element of the array that the body is, with this content type and all else the same.

    The body must be a JSON array; what stands between its elements is in none of them.
    """
    return [replace(message, body=body, content_type=content_type) for body in elements(message.body)]


def elements(body: bytes) -> list[bytes]:
    """The bytes of each element of the array that `body` is, without the blanks around it."""
    found: list[bytes] = []
    depth = start = 0
    for token in _STRUCTURE.finditer(body.removeprefix(_BOM)):
        sign = token[0][0]
        if sign in _OPENING:
            depth += 1
            if depth == 1:
                start = token.end()
        elif sign in _CLOSING or (sign == _COMMA and depth == 1):
            depth -= sign in _CLOSING
            if depth == 0 or sign == _COMMA:
                found.append(token.string[start : token.start()].strip(_BLANK))
                start = token.end()
    return [] if found == [b""] else found
