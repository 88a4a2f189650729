"""MassTransit: an envelope with `messageType` and `message`, or raw JSON with the types in a header.

Source: MassTransit documentation, "Interoperability" and "Serializers". Types are URNs such as
`urn:message:Shop.Contracts:OrderPaid`, the most derived first; those of faults hold the type that failed.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.headers import by_lower_name
from bridge.rules.formats.moments import from_text
from bridge.rules.formats.text import text_of

CONTENT_TYPE = "application/vnd.masstransit"
"""How its content types begin; only JSON is read."""
HEADERS = frozenset({"mt-messagetype"})
KEYS = frozenset({"messageType"})


def in_headers(_data: Any, _message: Message) -> bool:
    """Always: the header with the types is enough."""
    return True


def in_body(data: Any) -> bool:
    """Whether it is an envelope, its type an URN."""
    return (
        isinstance(data, dict) and "message" in data and (_first_type(data) or "").startswith("urn:message:")
    )


def read(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
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
