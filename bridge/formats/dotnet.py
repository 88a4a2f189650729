"""MassTransit: an envelope with `messageType` and `message`, or raw JSON with the types in a header.

Source: MassTransit documentation, "Interoperability" and "Serializers". Types are URNs such as
`urn:message:Shop.Contracts:OrderPaid`, the most derived first; those of faults hold the type that failed.
"""

import re
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.text import by_lower_name, from_text, text_of

CONTENT_TYPE = "application/vnd.masstransit"
"""How its content types begin; only JSON is read."""
MASSTRANSIT_HEADERS = frozenset({"mt-messagetype"})
MASSTRANSIT_KEYS = frozenset({"messageType"})


def has_masstransit_headers(_data: Any, _message: Message) -> bool:
    """Always: the header with the types is enough."""
    return True


def is_masstransit_body(data: Any) -> bool:
    """Whether it is an envelope, its type an URN."""
    return (
        isinstance(data, dict) and "message" in data and (_first_type(data) or "").startswith("urn:message:")
    )


def read_masstransit(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """The first type, the message within and its id; in raw mode what headers tell, and the whole body."""
    headers = by_lower_name(message.headers)
    named = text_of(headers.get("mt-messagetype"))
    told = named.split(";", 1)[0].strip() if named else None
    sent_id = text_of(headers.get("messageid"))
    if not isinstance(data, dict) or "messageType" not in data:
        return Decoded(type=told, data=data, publisher_id=sent_id)
    return Decoded(
        type=_first_type(data) or told,
        data=data.get("message", data),
        time=from_text(data.get("sentTime")),
        publisher_id=text_of(data.get("messageId")) or sent_id,
    )


def _first_type(data: dict[str, Any]) -> str | None:
    types = data.get("messageType")
    first = types[0] if isinstance(types, list) and types else types
    return first if isinstance(first, str) else None


# NServiceBus: everything about a message stands in its headers.
# Source: Particular documentation, "Message headers". `NServiceBus.TimeSent` is no ISO 8601: a colon stands
# before the fraction. Types are assembly-qualified names separated by semicolons, the sent one first.


NSERVICEBUS_HEADERS = frozenset({"nservicebus.enclosedmessagetypes", "nservicebus.messageid"})
_FRACTION = re.compile(r"(\d\d:\d\d:\d\d):(\d)")


def has_nservicebus_headers(_data: Any, _message: Message) -> bool:
    """Always: nobody else has such headers."""
    return True


def read_nservicebus(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
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
