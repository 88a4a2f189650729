"""Splynx, Phlix, Plinqx and Cockpit. Splynx hooks of type queue: an object `type`, `call`, `data`, with the first two
empty.

Hooks of type webhook arrive through an inlet and may be posted as a form. Source: Splynx documentation, hooks.md, and
its public receivers. Every key may be absent.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.text import from_value, utc_text

ReadEvent = Callable[[Any, Message, ZoneInfo], Decoded]


def reader(kind: str, data: str, time: str | None = None, or_time: str | None = None) -> ReadEvent:
    """Returns a function that reads type, data and time from these keys of the body."""

    def read(body: Any, _message: Message, timezone: ZoneInfo) -> Decoded:
        if not isinstance(body, dict):
            return Decoded(data=body)
        name = body.get(kind)
        at = body.get(time, body.get(or_time))
        return Decoded(
            type=name if isinstance(name, str) else None,
            data=body.get(data, body),
            time=None if at is None else from_value(at, timezone),
        )

    return read


def is_splynx_body(data: dict[str, Any]) -> bool:
    """Returns whether `data.model` is a PHP class, or the envelope holds an object of that shape."""
    inner = data.get("data")
    if not isinstance(inner, dict):
        return False
    model = inner.get("model")
    return isinstance(model, str) and ("\\" in model or ("call" in data and "type" in data))


def read_splynx(data: Any, _message: Message, timezone: ZoneInfo) -> Decoded:
    """Returns type, time and the inner `data` object; an envelope without one is returned whole."""
    if not isinstance(data, dict):
        return Decoded(data=data)
    inner = data.get("data", data)
    if not isinstance(inner, dict):
        return Decoded(type=_type_of_envelope(data), data=inner)
    return Decoded(
        type=_type_of_model(inner) or _type_of_envelope(data),
        data=inner,
        time=_time(inner.get("date"), inner.get("time"), timezone),
    )


def _type_of_model(inner: dict[str, Any]) -> str | None:
    model = inner.get("model")
    if not isinstance(model, str) or not model:
        return None
    parts = [part for part in model.rsplit("\\", 2)[-2:] if part]
    action = inner.get("action")
    if isinstance(action, str) and action:
        parts.append(action)
    return ".".join(parts).lower()


def _type_of_envelope(data: dict[str, Any]) -> str | None:
    """Returns `call` with dots, else `type` (a ping has nothing else), unless that is only "event"."""
    call = data.get("call")
    if isinstance(call, str) and call:
        return call.replace("/", ".").lower()
    kind = data.get("type")
    return kind if isinstance(kind, str) and kind != "event" else None


def _time(date: Any, time: Any, timezone: ZoneInfo) -> str | None:
    if isinstance(date, str) and isinstance(time, str) and len(date) == 10 and 0 < len(time) <= 32:
        return _in_utc(date, time, timezone)
    return None


@lru_cache(maxsize=64)  # cached: events of one second share it, and it costs more than parsing the body
def _in_utc(date: str, time: str, timezone: ZoneInfo) -> str | None:
    """Returns the publisher's local time in UTC, None for an invalid date.

    A time skipped by a clock change gets the offset before it; an ambiguous time is the first one.
    """
    try:
        moment = datetime.fromisoformat(f"{date}T{time}")
    except ValueError:
        return None
    return utc_text(moment if moment.tzinfo else moment.replace(tzinfo=timezone))


# Phlix's webhooks and its unsigned subscription deliveries, which use `timestamp` for `occurred_at`. Source:
# detain/phlix-server, `src/Webhooks`. Its documentation calls the time `timestamp` everywhere.


def is_phlix_body(data: dict[str, Any]) -> bool:
    """Returns whether all keys of either kind are present."""
    return (
        "event_type" in data
        and "payload" in data
        and ("occurred_at" in data or ("event_id" in data and "delivery_id" in data))
        and isinstance(data["event_type"], str)
    )


read_phlix = reader("event_type", "payload", "occurred_at", "timestamp")


# Plinqx's webhooks: `event`, `timestamp`, `data`, and mostly `metadata`. Source: Plinqx documentation, admin webhooks.


def is_plinqx_body(data: dict[str, Any]) -> bool:
    """Returns whether an event, a time as text and data are present."""
    return (
        "event" in data
        and "data" in data
        and isinstance(data.get("timestamp"), str)
        and isinstance(data["event"], str)
    )


read_plinqx = reader("event", "data", "timestamp")


# Cockpit's webhooks: version 1 sends `event`, `hook`, `backend` and `args`, version 2 only the arguments. Source:
# agentejo/cockpit, `modules/Cockpit/webhooks.php`, and the documentation of Cockpit Pro. An event for one collection
# has its name at the end: `collections.save.after.articles`.


def is_cockpit_body(data: dict[str, Any]) -> bool:
    """Returns whether all four keys of version 1 are present; a bare array of arguments is not specific enough."""
    return (
        "hook" in data
        and "backend" in data
        and isinstance(data.get("args"), list)
        and isinstance(data.get("event"), str)
    )


read_cockpit = reader("event", "args")
