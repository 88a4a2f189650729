"""Events and deliveries for tests."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson

from bridge.core.delivery import Delivery
from bridge.core.event import Event, Message

NASTY_BODIES: dict[str, bytes] = {
    "empty": b"",
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "not UTF-8": b'{"a":"\xff\xfe"}',
    "NaN": b'{"a":NaN}',
    "lone surrogate": b'{"a":"\\ud83d"}',
    "duplicate keys": b'{"a":1,"a":2}',
    "big integer": b'{"a":123456789012345678901234567890}',
    "NUL": b"\x00\x00",
    "300 kB": b'{"a":"' + b"x" * 300_000 + b'"}',
    "2,000 brackets": b"[" * 2000 + b"]" * 2000,
    "null": b"null",
}


def delivery(
    body: bytes = b'{"a":1}',
    *,
    headers: Mapping[str, Any] | None = None,
    parse: bool = True,
    attempt: int = 1,
    event_id: str = "01987a5c-0000-7000-8000-000000000000",
    **fields: Any,
) -> Delivery:
    """A delivery of an event with this body; other fields go to the event or, if it has them, the message."""
    of_message = {each.name for each in dataclasses.fields(Message)} - {"type"}
    message = Message(
        body=body, headers=headers or {}, **{name: fields.pop(name) for name in of_message & fields.keys()}
    )
    event = Event(
        **{
            "id": event_id,
            "source": "splynx",
            "type": "customers.create",
            "format": "json",
            "received_at": 1_746_428_889.0,
            "message": message,
            "data": _parsed(body) if parse else None,
            **fields,
        }
    )
    return Delivery(id="dlv_1", event=event, hook="crm", attempt=attempt)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
