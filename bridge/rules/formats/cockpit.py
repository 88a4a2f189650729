"""Cockpit's webhooks: version 1 tells `event`, `hook`, `backend` and `args`, version 2 only the arguments.

Source: agentejo/cockpit, `modules/Cockpit/webhooks.php`, and the documentation of Cockpit Pro. An event that is
meant for one collection has its name at the end: `collections.save.after.articles`.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message


def in_body(data: dict[str, Any]) -> bool:
    """Whether all four keys of version 1 are there; a bare array of arguments could be anybody's."""
    return (
        "hook" in data
        and "backend" in data
        and isinstance(data.get("args"), list)
        and isinstance(data.get("event"), str)
    )


def read(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """The event's own name as type, the arguments as data."""
    if not isinstance(data, dict):
        return Decoded(data=data)
    name = data.get("event")
    return Decoded(type=name if isinstance(name, str) else None, data=data.get("args", data))
