"""Plinqx's webhooks: `event`, `timestamp`, `data`, and mostly `metadata`.

Source: Plinqx documentation, admin webhooks.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.moments import from_value


def in_body(data: dict[str, Any]) -> bool:
    """Whether an event, a time as text and data are there."""
    return (
        "event" in data
        and "data" in data
        and isinstance(data.get("timestamp"), str)
        and isinstance(data["event"], str)
    )


def read(data: Any, _message: Message, timezone: ZoneInfo) -> Decoded:
    """Type, time and data."""
    if not isinstance(data, dict):
        return Decoded(data=data)
    name = data.get("event")
    return Decoded(
        type=name if isinstance(name, str) else None,
        data=data.get("data", data),
        time=from_value(data.get("timestamp"), timezone),
    )
