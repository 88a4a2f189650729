"""What stands in a message's body: the parsed whole, and of that the data; also of a copy, whose format is known."""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Content, Decoded, Message
from bridge.model.value import value
from bridge.rules.codings.labels import labels_of
from bridge.rules.codings.plain import is_plain, plain_of
from bridge.rules.formats.forms import form_data, is_form
from bridge.rules.formats.parse import read
from bridge.rules.formats.registry import FORMATS

MAX_BODY = 134_217_728
"""Bytes of a body; what RabbitMQ 3.10 takes by default (`max_message_size`)."""
_ANY_ZONE = ZoneInfo("UTC")


def content_of(message: Message, form: str, limit: int = MAX_BODY) -> Content:
    """What a message in this format holds, as the decoder found it; a format that this version does not know has the
    whole body for data.

    `limit` bounds the body once it is no longer compressed, in bytes.
    """
    body = read_body(message, limit)
    known = FORMATS.get(form)
    found = Decoded(data=body.parsed) if known is None else known.read(body.parsed, message, _ANY_ZONE)
    return body.content(found)


@value(frozen=True, slots=True)
class Read:
    """A body as it was read: its plain bytes, None where its codings cannot be undone, and the value that they are.

    `fault` says why there is no value; it is empty where that is null.
    """

    plain: bytes | None
    parsed: Any
    fault: str

    def content(self, found: Decoded) -> Content:
        """With the data that a format found; where that is never read, nothing of it is."""
        if found.data is not None:
            return Content(found.data, self.parsed)
        return Content(fault=found.unread) if found.unread else Content(None, self.parsed, self.fault)


def read_body(message: Message, limit: int) -> Read:
    """The message's body without its codings, which may have `limit` bytes, and parsed."""
    if is_plain(message):
        body = message.body
    else:
        plain = plain_of(message, limit)
        if plain.body is None:
            return Read(None, None, plain.fault)
        body = plain.body
    parsed, fault = read(body)
    if fault and message.content_type is not None and is_form(message.content_type):
        # Only then: JSON is often labelled as a form.
        return Read(body, *form_data(body, message.content_type, labels_of(message).charset))
    if fault and (unknown := labels_of(message).unknown):
        fault += f"; {unknown!r} names no content coding and no character set"
    return Read(body, parsed, fault)
