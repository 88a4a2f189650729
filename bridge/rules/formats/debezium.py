"""Debezium's change events, with or without their schema; tombstones have nothing to be known by.

Source: Debezium documentation of the connectors: `op` (c, u, d, r, t, m), `source`, `before`, `after`, `ts_ms`.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.moments import from_milliseconds

KEYS = frozenset({"op", "payload"})
_OPERATIONS = frozenset({"c", "u", "d", "r", "t", "m"})


def in_body(data: Any) -> bool:
    """Whether an operation and its source are told, in `payload` or in the body itself."""
    return isinstance(data, dict) and _change(data) is not None


def read(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """Schema (of a database without any: its name), table and operation as type, such as `public.orders.c`; the
    change as data.
    """
    change = _change(data) if isinstance(data, dict) else None
    if change is None:
        return Decoded(data=data)
    source = change["source"]
    parts = (
        source.get("schema") or source.get("db"),
        source.get("table") or source.get("collection"),
        change["op"],
    )
    return Decoded(
        type=".".join(part for part in parts if part and isinstance(part, str)),
        data=change,
        time=from_milliseconds(change.get("ts_ms")) or from_milliseconds(source.get("ts_ms")),
    )


def _change(data: dict[str, Any]) -> dict[str, Any] | None:
    payload = data.get("payload")
    for change in (payload, data):
        if isinstance(change, dict) and isinstance(change.get("source"), dict):
            operation = change.get("op")
            if isinstance(operation, str) and operation in _OPERATIONS:
                return change
    return None
