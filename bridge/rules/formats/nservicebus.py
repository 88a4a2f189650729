"""NServiceBus: everything about a message stands in its headers.

Source: Particular documentation, "Message headers". `NServiceBus.TimeSent` is no ISO 8601: a colon stands before
the fraction. Types are assembly-qualified names separated by semicolons, the sent one first.
"""

import re
from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.headers import by_lower_name
from bridge.rules.formats.moments import from_text
from bridge.rules.formats.text import text_of

HEADERS = frozenset({"nservicebus.enclosedmessagetypes", "nservicebus.messageid"})
_FRACTION = re.compile(r"(\d\d:\d\d:\d\d):(\d)")


def in_headers(_data: Any, _message: Message) -> bool:
    """Always: nobody else has such headers."""
    return True


def read(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """Type, id and time from the headers, the whole body as data."""
    headers = by_lower_name(message.headers)
    types = text_of(headers.get("nservicebus.enclosedmessagetypes"))
    sent = text_of(headers.get("nservicebus.timesent"))
    return Decoded(
        type=_class_name(types) if types else None,
        data=data,
        time=from_text(_FRACTION.sub(r"\1.\2", sent, count=1)) if sent else None,
        publisher_id=text_of(headers.get("nservicebus.messageid")),
    )


def _class_name(types: str) -> str:
    """Of the first type without its assembly; arguments of a generic type stay, with their commas."""
    arguments, closing, rest = types.split(";", 1)[0].rpartition("]]")
    return (arguments + closing + rest.split(",", 1)[0]).strip()
