"""What stands in a message's body: the parsed whole, and of that the data; also of a copy, whose format is known."""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Content, Decoded, Message
from bridge.model.value import value
from bridge.rules.codings.labels import labels_of
from bridge.rules.codings.plain import is_plain, plain_of
from bridge.rules.formats.forms import form_data, is_form
from bridge.rules.formats.parse import BOUNDS, Bounds, growth_of, read
from bridge.rules.formats.registry import FORMATS

MAX_BODY = 134_217_728
"""Bytes of a body; what RabbitMQ 3.10 takes by default (`max_message_size`)."""
_ANY_ZONE = ZoneInfo("UTC")


AT_ONCE = 262_144
"""Bytes that are parsed while others wait; more takes longer than they should."""
_MANY = 4000
"""Values that are parsed, and held against filters, while others wait: 2 us each where the engine cannot take them as they
are, for each expression that looks at all of them.
"""
_FIELD = 150
"""Bytes that a field of a form takes, measured with Python 3.11, beside its letters."""
_BETWEEN = (b",", b"[", b"{", b":", b"&", b"%", b"\n--")


class Heavy(Exception):
    """More has to be inflated or parsed than others should wait for."""


def content_of(message: Message, form: str, bounds: Bounds = BOUNDS, at_once: int | None = None) -> Content:
    """What a message in this format holds, as the decoder found it; a format that this version does not know has the
    whole body for data. Raises as `read_body` does.
    """
    body = read_body(message, bounds, at_once)
    known = FORMATS.get(form)
    found = Decoded(data=body.parsed) if known is None else known.read(body.parsed, message, _ANY_ZONE)
    return body.content(found)


@value(frozen=True, slots=True)
class Read:
    """A body as it was read: its plain bytes, None where its codings cannot be undone, and the value that they are.

    `fault` says why there is no value; it is empty where that is null. `weight`: about how many bytes all of it takes, or
    would be gone through to find once more that it is too large.
    """

    plain: bytes | None
    parsed: Any
    fault: str
    weight: int = 0

    def content(self, found: Decoded) -> Content:
        """With the data that a format found; where that is never read, nothing of it is."""
        if found.data is not None:
            return Content(found.data, self.parsed, weight=self.weight)
        if found.unread:
            return Content(fault=found.unread, weight=self.weight)
        return Content(None, self.parsed, self.fault, self.weight)


def read_body(message: Message, bounds: Bounds = BOUNDS, at_once: int | None = None) -> Read:
    """The message's body without its codings, and parsed, as far as that is within bounds.

    Raises Heavy, and nothing else, where there are more than `at_once` bytes to go through.
    """
    body: bytes | None = message.body
    fault = ""
    if not is_plain(message):
        plain = plain_of(message, bounds.inflated if at_once is None else min(at_once, bounds.inflated))
        body, fault = plain.body, plain.fault
    if at_once is not None and (body is None or len(body) > at_once or _has_many_values(body)):
        raise Heavy
    if body is None:
        return Read(None, None, fault, bounds.inflated)
    parsed, fault = read(body, bounds)
    weight = len(body) if fault else growth_of(body)
    if fault and message.content_type is not None and is_form(message.content_type):
        # Only then: JSON is often labelled as a form.
        weight += _FIELD * body.count(b"&")
        return Read(body, *form_data(body, message.content_type, labels_of(message).charset), weight)
    if fault and (unknown := labels_of(message).unknown):
        fault += f"; {unknown!r} names no content coding and no character set"
    return Read(body, parsed, fault, weight)


def _has_many_values(body: bytes) -> bool:
    """Counted from above, by the signs that stand between values of JSON and of forms, and before files in forms."""
    return len(body) > _MANY and sum(map(body.count, _BETWEEN)) > _MANY
