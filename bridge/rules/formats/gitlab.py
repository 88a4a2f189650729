"""GitLab's webhooks and system hooks, which reach a queue through an inlet or somebody's forwarder.

Source: GitLab documentation, "Webhook events" and "System hooks". Headers may get lost on the way; times are
those of the object that the event is about.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.headers import by_lower_name
from bridge.rules.formats.moments import from_text
from bridge.rules.formats.text import text_of

HEADERS = frozenset({"x-gitlab-event"})
KEYS = frozenset({"object_kind", "event_name"})
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


def in_headers(_data: Any, _message: Message) -> bool:
    """Always: nobody else has such a header."""
    return True


def in_body(data: Any) -> bool:
    """Whether a kind of object is named, or an event of a system hook."""
    if not isinstance(data, dict):
        return False
    if isinstance(data.get("object_kind"), str):
        return True
    name = data.get("event_name")
    if not isinstance(name, str) or _CONTEXT.isdisjoint(data):
        return False
    return name in _PUSHES or name.startswith(_SUBJECTS)


def read(data: Any, message: Message, timezone: ZoneInfo) -> Decoded:
    """The kind of object or the name of the event as type, else the header's `Push Hook` as `push`; the whole
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
