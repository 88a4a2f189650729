"""Payloads as Standard Webhooks recommends them: `type`, `timestamp` and `data`.

Source: standard-webhooks/standard-webhooks, spec, "Payload structure".
"""

import re
from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.moments import from_text, from_value

_TYPE = re.compile(r"[A-Za-z0-9_]+(?:[./:-][A-Za-z0-9_]+)*")


def in_body(data: dict[str, Any]) -> bool:
    """Whether a type, a time as text and an object of data are there."""
    kind = data.get("type")
    return (
        isinstance(kind, str)
        and isinstance(data.get("data"), dict)
        and _TYPE.fullmatch(kind) is not None
        and from_text(data.get("timestamp")) is not None
    )


def read(data: Any, _message: Message, timezone: ZoneInfo) -> Decoded:
    """Type, time and data."""
    if not isinstance(data, dict):
        return Decoded(data=data)
    kind = data.get("type")
    return Decoded(
        type=kind if isinstance(kind, str) else None,
        data=data.get("data", data),
        time=from_value(data.get("timestamp"), timezone),
    )
