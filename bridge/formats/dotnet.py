"""MassTransit and NServiceBus. MassTransit: an envelope with `messageType` and `message`, or raw JSON with the types in
a header.

Source: MassTransit documentation, "Interoperability" and "Serializers". Types are URNs such as
`urn:message:Shop.Contracts:OrderPaid`, the most derived first; those of faults contain the failed type.
"""

import re
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.text import by_lower_name, from_text, text_of

CONTENT_TYPE = "application/vnd.masstransit"
"""The prefix of its content types; only JSON is parsed."""
MASSTRANSIT_HEADERS = frozenset({"mt-messagetype"})
MASSTRANSIT_KEYS = frozenset({"messageType"})


def has_masstransit_headers(_data: Any, _message: Message) -> bool:
    """Returns True: the header with the types suffices."""
    return True


def is_masstransit_body(data: Any) -> bool:
    """Returns whether the body is an envelope with a URN as type."""
    return (
        isinstance(data, dict) and "message" in data and (_first_type(data) or "").startswith("urn:message:")
    )


def read_masstransit(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns the first type, the inner message and its id; in raw mode the headers' values and the whole body."""
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


# NServiceBus: all metadata is in the headers. Source: Particular documentation, "Message headers".
# `NServiceBus.TimeSent` is not ISO 8601: a colon precedes the fraction. Types are assembly-qualified names separated by
# semicolons, the sent type first.


NSERVICEBUS_HEADERS = frozenset({"nservicebus.enclosedmessagetypes", "nservicebus.messageid"})
_FRACTION = re.compile(r"(\d\d:\d\d:\d\d):(\d)")


def has_nservicebus_headers(_data: Any, _message: Message) -> bool:
    """Returns True: the headers are NServiceBus's own."""
    return True


def read_nservicebus(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns type, id and time from the headers, and the whole body as data."""
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
    """Returns the first type without its assembly; arguments of a generic type are kept, with their commas."""
    arguments, closing, rest = types.split(";", 1)[0].rpartition("]]")
    return (arguments + closing + rest.split(",", 1)[0]).strip()
