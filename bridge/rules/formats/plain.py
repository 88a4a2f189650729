"""Any other body, JSON or not: the format `json`, which `auto` falls back to.

Nothing in the body is taken for a type or an id: keys of those names belong to what the event is about.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message


def detect(_data: Any, _message: Message) -> bool:
    """Everything."""
    return True


def read(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """The whole body as data."""
    return Decoded(data=data)
