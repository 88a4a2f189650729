"""NestJS's microservices by its RabbitMQ transport: `pattern` and `data`, of requests also `id`.

Source: nestjs/nest, `packages/microservices` (ClientRMQ, ServerRMQ). A pattern is text or an object, of which Nest itself
makes JSON.
"""

import json
from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.text import text_of

KEYS = frozenset({"pattern"})
_KNOWN = frozenset({"pattern", "data", "id", "options"})


def in_body(data: Any) -> bool:
    """Whether a pattern and data are there, and nothing that Nest does not send."""
    return isinstance(data, dict) and "data" in data and data.keys() <= _KNOWN and _pattern(data) is not None


def read(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """The pattern as type, the id of a request, and the data."""
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
