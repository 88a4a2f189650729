"""Phlix's webhooks and its unsigned subscription deliveries, which say `timestamp` for `occurred_at`.

Source: detain/phlix-server, `src/Webhooks`. Its documentation calls the time `timestamp` everywhere.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.moments import from_value


def in_body(data: dict[str, Any]) -> bool:
    """Whether all keys of one of the two are there."""
    return (
        "event_type" in data
        and "payload" in data
        and ("occurred_at" in data or ("event_id" in data and "delivery_id" in data))
        and isinstance(data["event_type"], str)
    )


def read(data: Any, _message: Message, timezone: ZoneInfo) -> Decoded:
    """Type, time and payload; PHP writes an empty payload as an array."""
    if not isinstance(data, dict):
        return Decoded(data=data)
    name = data.get("event_type")
    return Decoded(
        type=name if isinstance(name, str) else None,
        data=data.get("payload", data),
        time=from_value(data.get("occurred_at", data.get("timestamp")), timezone),
    )
