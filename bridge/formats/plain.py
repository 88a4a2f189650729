"""The fallback format `json` for any body, JSON or not, and Standard Webhooks payloads.

No key of the body is taken as type or id: such keys belong to the event's own data.
"""

import re
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.text import from_milliseconds, from_text, from_value

_TIME_KEYS = ("timestamp", "time", "occurred_at", "created_at")


def read_plain_json(data: Any, message: Message, timezone: ZoneInfo) -> Decoded:
    """Returns the whole body as data; without an AMQP timestamp, the time of the body's usual keys.

    RabbitMQ's own events (exchange `amq.rabbitmq.event`) have a header with milliseconds.
    """
    if message.timestamp is not None:
        return Decoded(data=data)
    found = from_milliseconds(message.headers.get("timestamp_in_ms")) if message.headers else None
    if found is None and isinstance(data, dict):
        found = _time(data, timezone)
    return Decoded(data=data, time=found)


def _time(data: dict[str, Any], timezone: ZoneInfo) -> str | None:
    for key in _TIME_KEYS:
        if key in data and (found := from_value(data[key], timezone)):
            return found
    date, time = data.get("date"), data.get("time")
    return from_text(f"{date} {time}", timezone) if isinstance(date, str) and isinstance(time, str) else None


# Payloads as recommended by Standard Webhooks: `type`, `timestamp` and `data`. Source:
# standard-webhooks/standard-webhooks, spec, "Payload structure".


_TYPE = re.compile(r"[A-Za-z0-9_]+(?:[./:-][A-Za-z0-9_]+)*")


def is_standard_body(data: dict[str, Any]) -> bool:
    """Returns whether a type, a time as text and an object of data are present."""
    kind = data.get("type")
    return (
        isinstance(kind, str)
        and isinstance(data.get("data"), dict)
        and _TYPE.fullmatch(kind) is not None
        and from_text(data.get("timestamp")) is not None
    )


def read_standard(data: Any, _message: Message, timezone: ZoneInfo) -> Decoded:
    """Returns type, time and data."""
    if not isinstance(data, dict):
        return Decoded(data=data)
    kind = data.get("type")
    return Decoded(
        type=kind if isinstance(kind, str) else None,
        data=data.get("data", data),
        time=from_value(data.get("timestamp"), timezone),
    )
