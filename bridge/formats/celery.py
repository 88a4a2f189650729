"""Celery: tasks of protocol 2 (header `task`) and 1 (keys `task` and `id`), and the events of its workers.

Source: Celery documentation, "Message Protocol". Bodies may be pickled or msgpack: these are never read. A task
has no time but the one at which it is due.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.parse import singles
from bridge.formats.text import from_seconds, from_text, text_of

EXCHANGE = "celeryev"
"""The exchange to which workers publish events."""
CELERY_HEADERS = frozenset({"task"})
CELERY_KEYS = frozenset({"task", "utcoffset"})
_PARTS_OF_A_TASK = frozenset({"args", "kwargs", "retries", "eta", "expires"})
_UNREAD = ("python-serialize", "pickle", "msgpack")


def has_celery_headers(data: Any, message: Message) -> bool:
    """Returns whether the header `task` is present with another header of protocol 2."""
    headers = message.headers
    return text_of(headers.get("task")) is not None and (
        "id" in headers or "lang" in headers or "root_id" in headers or _is_call(data)
    )


def is_celery_body(data: Any) -> bool:
    """Returns whether the body is a task of protocol 1, an event, or a list of events."""
    if isinstance(data, list):
        return bool(data) and all(isinstance(item, dict) and _is_event(item) for item in data)
    return isinstance(data, dict) and (_is_task(data) or _is_event(data))


def _is_task(data: Mapping[str, Any]) -> bool:
    named = isinstance(data.get("task"), str) and isinstance(data.get("id"), str)
    return named and not _PARTS_OF_A_TASK.isdisjoint(data)


def _is_event(data: Mapping[str, Any]) -> bool:
    return isinstance(data.get("type"), str) and all(
        name in data for name in ("hostname", "timestamp", "utcoffset")
    )


def read_celery(data: Any, message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns a task by its name, with `args` and `kwargs` as data, or an event by its type, with the body as data."""
    if message.content_type and any(kind in message.content_type.lower() for kind in _UNREAD):
        return _unread(message)
    task = text_of(message.headers.get("task"))
    if task is not None:
        return Decoded(type=task, data=_arguments(data), time=from_text(message.headers.get("eta")))
    if not isinstance(data, dict):
        return Decoded(data=data)
    if isinstance(data.get("task"), str):
        arguments = {"args": data.get("args", []), "kwargs": data.get("kwargs", {})}
        return Decoded(type=text_of(data["task"]), data=arguments, time=from_text(data.get("eta")))
    if "hostname" not in data:
        return Decoded(data=data)
    kind = data.get("type")
    return Decoded(
        type=kind if isinstance(kind, str) else None, data=data, time=from_seconds(data.get("timestamp"))
    )


def envelope(data: Any, message: Message) -> Any:
    """Returns a task of protocol 2 with the keys of protocol 1: its headers and arguments.

    `headers` are the message's; `embed`, which holds callbacks, is dropped. Any other body is returned unchanged.
    """
    if "task" not in message.headers:
        return data
    whole: dict[str, Any] = {"headers": dict(message.headers), **message.headers}
    if isinstance(data, list) and len(data) >= 2:
        whole |= zip(("args", "kwargs", "embed"), data, strict=False)
    return whole


def _unread(message: Message) -> Decoded:
    return Decoded(
        type=text_of(message.headers.get("task")),
        time=from_text(message.headers.get("eta")),
        unread=f"bodies of type {message.content_type} are never read",
    )


def split(data: Any, message: Message) -> Sequence[Message] | None:
    """Returns the messages of a list of events."""
    if "task" in message.headers or not isinstance(data, list) or not data:
        return None
    if not all(isinstance(item, dict) and "hostname" in item for item in data):
        return None
    return singles(message, message.content_type)


def _is_call(data: Any) -> bool:
    return isinstance(data, list) and len(data) == 3 and isinstance(data[1], dict)


def _arguments(data: Any) -> Any:
    """Returns the arguments of `[args, kwargs, embed]`, without `embed`, which holds callbacks."""
    return {"args": data[0], "kwargs": data[1]} if isinstance(data, list) and len(data) >= 2 else data
