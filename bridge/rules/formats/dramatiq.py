"""Dramatiq's messages to its actors.

Source: bogdanp/dramatiq, `message.py` and `encoder.py`: JSON with `queue_name`, `actor_name`, `args`, `kwargs`, `options`,
`message_id` and `message_timestamp` in milliseconds.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.moments import from_milliseconds
from bridge.rules.formats.text import text_of

KEYS = frozenset({"actor_name"})


def in_body(data: Any) -> bool:
    """Whether an actor is named, and what it is to be called with."""
    return (
        isinstance(data, dict)
        and isinstance(data.get("actor_name"), str)
        and "args" in data
        and "kwargs" in data
    )


def read(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """The actor as type, the message's id and time, `args` and `kwargs` as data."""
    if not isinstance(data, dict) or "actor_name" not in data:
        return Decoded(data=data)
    return Decoded(
        type=text_of(data["actor_name"]) if isinstance(data["actor_name"], str) else None,
        data={"args": data.get("args", []), "kwargs": data.get("kwargs", {})},
        time=from_milliseconds(data.get("message_timestamp")),
        publisher_id=text_of(data.get("message_id")),
    )
