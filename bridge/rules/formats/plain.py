"""Any other body, JSON or not: the format `json`, which `auto` falls back to.

Nothing in the body is taken for a type or an id: keys of those names belong to what the event is about.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.moments import from_milliseconds, from_text, from_value

_TIME_KEYS = ("timestamp", "time", "occurred_at", "created_at")


def read(data: Any, message: Message, timezone: ZoneInfo) -> Decoded:
    """The whole body as data; where AMQP tells no time, what usual keys of the body tell.

    RabbitMQ's own events (exchange `amq.rabbitmq.event`) have a header with their milliseconds.
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
