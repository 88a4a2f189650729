"""Debezium's change events, with or without their schema, and GitLab's webhooks. Tombstones cannot be recognized.

Source: Debezium documentation of the connectors: `op` (c, u, d, r, t, m), `source`, `before`, `after`, `ts_ms`.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.core.event import Decoded, Message
from bridge.formats.text import by_lower_name, from_milliseconds, from_text, text_of

DEBEZIUM_KEYS = frozenset({"op", "payload"})
_OPERATIONS = frozenset({"c", "u", "d", "r", "t", "m"})


def is_debezium_body(data: Any) -> bool:
    """Returns whether an operation and its source are present, in `payload` or in the body itself."""
    return isinstance(data, dict) and _change(data) is not None


def read_debezium(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """Returns schema (or database, if it has no schemas), table and operation as type, such as `public.orders.c`,
    and the change as data.
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


# GitLab's webhooks and system hooks, which reach a queue through an inlet or a forwarder. Source: GitLab documentation,
# "Webhook events" and "System hooks". Forwarders may drop the headers; times are those of the event's object.


GITLAB_HEADERS = frozenset({"x-gitlab-event"})
GITLAB_KEYS = frozenset({"object_kind", "event_name"})
_CONTEXT = frozenset({"project_id", "group_id", "user_id", "username", "updated_at"})
_SUBJECTS = ("project_", "group_", "user_", "key_", "gitlab_")
_PUSHES = frozenset({"push", "tag_push", "repository_update"})
_OBJECT_TIMES = ("updated_at", "finished_at", "created_at")
_EVENT_TIMES = (
    "status_changed_at",
    "build_finished_at",
    "build_started_at",
    "build_created_at",
    "released_at",
    "updated_at",
    "created_at",
)


def has_gitlab_headers(_data: Any, _message: Message) -> bool:
    """Returns True: the header is GitLab's own."""
    return True


def is_gitlab_body(data: Any) -> bool:
    """Returns whether the body names a kind of object, or an event of a system hook."""
    if not isinstance(data, dict):
        return False
    if isinstance(data.get("object_kind"), str):
        return True
    name = data.get("event_name")
    if not isinstance(name, str) or _CONTEXT.isdisjoint(data):
        return False
    return name in _PUSHES or name.startswith(_SUBJECTS)


def read_gitlab(data: Any, message: Message, timezone: ZoneInfo) -> Decoded:
    """Returns the object kind or the event name as type, else the header's (`Push Hook` as `push`), and the whole
    body as data.
    """
    if not isinstance(data, dict):
        return Decoded(type=_by_header(message), data=data)
    name = data.get("object_kind") or data.get("event_name")
    return Decoded(
        type=name if isinstance(name, str) else _by_header(message), data=data, time=_time(data, timezone)
    )


def _by_header(message: Message) -> str | None:
    told = text_of(by_lower_name(message.headers).get("x-gitlab-event"))
    return told.strip().removesuffix(" Hook").replace(" ", "_").lower() if told else None


def _time(data: dict[str, Any], timezone: ZoneInfo) -> str | None:
    attributes = data.get("object_attributes")
    if isinstance(attributes, dict):
        for key in _OBJECT_TIMES:
            if found := from_text(attributes.get(key), timezone):
                return found
    for key in _EVENT_TIMES:
        if found := from_text(data.get(key), timezone):
            return found
    return None
