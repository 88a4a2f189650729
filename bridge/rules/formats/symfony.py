"""Symfony Messenger with its JSON serializer, which names the class in a header and what else it knows in stamps.

Source: symfony/messenger, `Transport/Serialization/Serializer.php`. Envelopes that PHP serialised have no such header, and
are never read.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.headers import by_lower_name
from bridge.rules.formats.text import text_of

HEADERS = frozenset({"type"})
_STAMPS = "x-message-stamp-"


def in_headers(_data: Any, message: Message) -> bool:
    """Whether the header names a class of PHP in a namespace, or stamps stand beside it."""
    named = _class(message)
    return named is not None and (
        "\\" in named or any(name.lower().startswith(_STAMPS) for name in message.headers)
    )


def read(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """The class as type, the whole body as data."""
    return Decoded(type=_class(message), data=data)


def _class(message: Message) -> str | None:
    return text_of(by_lower_name(message.headers).get("type"))
