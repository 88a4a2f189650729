"""A message's body as its publisher had it before it was coded: not compressed, and in UTF-8."""

import binascii
from base64 import b64decode
from dataclasses import replace

from bridge.model.event import Message
from bridge.model.value import value
from bridge.rules.codings.charsets import in_utf_8
from bridge.rules.codings.inflating import CODINGS, TooLarge, inflated
from bridge.rules.codings.labels import COMPRESSION, Labels, labels_of, without_charset
from bridge.rules.codings.sections import SECTION, told_type, value_of

_MOST_CODINGS = 4
_NO_SECTION = "the body is labelled as a section of AMQP 1.0, and is none that can be read"


@value(frozen=True, slots=True)
class Plain:
    """The body, or None and why there is none."""

    body: bytes | None
    fault: str = ""


def plain_of(message: Message, most: int) -> Plain:
    """The body with everything undone that the message says was done to it, the same object where that is nothing.

    `most` bounds what a compressed body may come to, in bytes, as `inflated` does. Codings are undone the last one
    first, and where that leads nowhere in the order in which they stand.
    """
    if is_plain(message):
        return Plain(message.body)
    labels, body = labels_of(message), message.body
    if message.type == SECTION:
        found = value_of(body)
        if not isinstance(found, bytes):
            return Plain(None, _NO_SECTION) if found is None else Plain(found.encode())
        body = found
    plain = _uncoded(body, labels, most) if labels.codings else Plain(body)
    if plain.body is None or labels.charset is None:
        return plain
    text = in_utf_8(plain.body, labels.charset)
    if text is None:
        return Plain(None, f"the body is labelled {labels.charset}, and is no text in that character set")
    return Plain(text)


def plain_message(message: Message, body: bytes) -> Message:
    """The message with its plain body, and without the labels that are true no longer."""
    if body is message.body:
        return message
    kind = message.content_type
    headers = message.headers
    if COMPRESSION in headers:
        headers = {name: value for name, value in headers.items() if name != COMPRESSION}
    return replace(
        message,
        body=body,
        content_encoding=None,
        type=told_type(message),
        content_type=kind and without_charset(kind),
        headers=headers,
    )


def is_compressed(message: Message) -> bool:
    """Whether the body may come to far more than it has."""
    return bool(labels_of(message).codings)


def is_plain(message: Message) -> bool:
    """Whether the body is its own plain body."""
    labels = labels_of(message)
    return not labels.codings and labels.charset is None and message.type != SECTION


def _uncoded(body: bytes, labels: Labels, most: int) -> Plain:
    codings = labels.codings
    if len(codings) > _MOST_CODINGS:
        return Plain(
            None, f"the body is labelled with {len(codings)} content codings, the limit is {_MOST_CODINGS}"
        )
    if unread := next((name for name in codings if name not in CODINGS and name != "base64"), None):
        return Plain(None, f"the body is labelled {unread}, which cannot be undone")
    try:
        found = _undone(body, codings[::-1], most)
        if found is None and len(codings) > 1:
            found = _undone(body, codings, most)
    except TooLarge:
        return Plain(
            None,
            f"the body inflates to more than limits.inflated ({most} bytes), or a hundred times its size",
        )
    if found is None:
        told = ", ".join(codings)
        return Plain(None, f"the body is labelled {told}, and is corrupt, cut off or something else")
    return Plain(found)


def _undone(body: bytes, codings: tuple[str, ...], most: int) -> bytes | None:
    found: bytes | None = body
    for coding in codings:
        if found is None:
            return None
        found = _from_base64(found) if coding == "base64" else inflated(found, coding, most)
    return found


def _from_base64(text: bytes) -> bytes | None:
    try:
        return b64decode(b"".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
