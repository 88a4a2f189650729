"""OpenStack notifications by oslo.messaging: JSON text in `oslo.message`; version 1 has no such envelope.

Source: oslo.messaging, `common.serialize_msg` and `notify.notifier`. Keys `_context_*` carry the request's context with
tokens, which are removed from the data.
"""

import re
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.parse import parse
from bridge.formats.text import from_text, text_of

OSLO_KEYS = frozenset({"oslo.message", "publisher_id"})
_SECRET = re.compile(r"token|password|secret", re.IGNORECASE)


def is_oslo_body(data: Any) -> bool:
    """Returns whether the body is the envelope, or a notification without one."""
    if not isinstance(data, dict):
        return False
    if isinstance(data.get("oslo.message"), (str, dict)):
        return True
    return (
        isinstance(data.get("event_type"), str)
        and "publisher_id" in data
        and "payload" in data
        and ("priority" in data or "message_id" in data)
    )


def read_oslo(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns type, id, time (UTC) and payload of the notification; without a payload, everything but its secrets."""
    inner = _notification(data)
    if not isinstance(inner, dict):
        return Decoded(data=data)
    kind = inner.get("event_type")
    return Decoded(
        type=kind if isinstance(kind, str) else None,
        data=_without_secrets(inner.get("payload", inner)),
        time=from_text(inner.get("timestamp")),
        publisher_id=text_of(inner.get("message_id")) or text_of(inner.get("_unique_id")),
    )


def envelope(data: Any, _message: Message) -> Any:
    """Returns the notification without its secrets."""
    return _without_secrets(_notification(data))


def _notification(data: Any) -> Any:
    inner = data.get("oslo.message", data) if isinstance(data, dict) else data
    return parse(inner.encode(errors="surrogatepass")) if isinstance(inner, str) else inner


def _without_secrets(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {
        key: item for key, item in value.items() if not (key.startswith("_context_") and _SECRET.search(key))
    }
