"""Dramatiq, NestJS and Symfony Messenger. Dramatiq: messages to its actors.

Source: bogdanp/dramatiq, `message.py` and `encoder.py`: JSON with `queue_name`, `actor_name`, `args`, `kwargs`,
`options`, `message_id` and `message_timestamp` in milliseconds.
"""

import json
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.text import by_lower_name, from_milliseconds, text_of

DRAMATIQ_KEYS = frozenset({"actor_name"})


def is_dramatiq_body(data: Any) -> bool:
    """Returns whether the body names an actor and its arguments."""
    return (
        isinstance(data, dict)
        and isinstance(data.get("actor_name"), str)
        and "args" in data
        and "kwargs" in data
    )


def read_dramatiq(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns the actor as type, the message's id and time, and `args` and `kwargs` as data."""
    if not isinstance(data, dict) or "actor_name" not in data:
        return Decoded(data=data)
    return Decoded(
        type=text_of(data["actor_name"]) if isinstance(data["actor_name"], str) else None,
        data={"args": data.get("args", []), "kwargs": data.get("kwargs", {})},
        time=from_milliseconds(data.get("message_timestamp")),
        publisher_id=text_of(data.get("message_id")),
    )


# NestJS microservices by its RabbitMQ transport: `pattern` and `data`, and `id` of requests. Source: nestjs/nest,
# `packages/microservices` (ClientRMQ, ServerRMQ). A pattern is text or an object, which Nest serializes as JSON.


NESTJS_KEYS = frozenset({"pattern"})
_KNOWN = frozenset({"pattern", "data", "id", "options"})


def is_nestjs_body(data: Any) -> bool:
    """Returns whether the body has a pattern and data, and no keys that Nest does not send."""
    return isinstance(data, dict) and "data" in data and data.keys() <= _KNOWN and _pattern(data) is not None


def read_nestjs(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns the pattern as type, the id of a request, and the data."""
    if not isinstance(data, dict) or "pattern" not in data:
        return Decoded(data=data)
    return Decoded(type=_pattern(data), data=data.get("data"), publisher_id=text_of(data.get("id")))


def _pattern(data: dict[str, Any]) -> str | None:
    pattern = data["pattern"]
    if isinstance(pattern, dict) and pattern:
        try:
            return json.dumps(pattern, separators=(",", ":"), ensure_ascii=False)
        except RecursionError:
            return None
    return pattern if isinstance(pattern, str) and pattern else None


# Symfony Messenger with its JSON serializer, which puts the class into a header and other metadata into stamps. Source:
# symfony/messenger, `Transport/Serialization/Serializer.php`. Envelopes of PHP's serializer have no such header and are
# never parsed.


SYMFONY_HEADERS = frozenset({"type"})
_STAMPS = "x-message-stamp-"


def has_symfony_headers(_data: Any, message: Message) -> bool:
    """Returns whether the header names a namespaced PHP class, or stamps are present."""
    named = _class(message)
    return named is not None and (
        "\\" in named or any(name.lower().startswith(_STAMPS) for name in message.headers)
    )


def read_symfony(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns the class as type, and the whole body as data."""
    return Decoded(type=_class(message), data=data)


def _class(message: Message) -> str | None:
    return text_of(by_lower_name(message.headers).get("type"))
