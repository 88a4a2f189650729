"""The data of a message whose format is known already: that of a copy."""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Message
from bridge.rules.formats.codings import uncoded
from bridge.rules.formats.parse import parse
from bridge.rules.formats.registry import FORMATS

MAX_BODY = 134_217_728
"""Bytes of a body; what RabbitMQ 3.10 takes by default (`max_message_size`)."""
_ANY_ZONE = ZoneInfo("UTC")


def data_of(message: Message, form: str, limit: int = MAX_BODY) -> Any:
    """What a message in this format has for data, as the decoder found it; a format that this version does not
    know has the whole body.

    `limit` bounds the body once it is no longer compressed, in bytes.
    """
    body: bytes | None = message.body
    if message.content_encoding is not None:
        body = uncoded(message.body, message.content_encoding, limit)
    data = None if body is None else parse(body)
    known = FORMATS.get(form)
    return data if known is None else known.read(data, message, _ANY_ZONE).data
