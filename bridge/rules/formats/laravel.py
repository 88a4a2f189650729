r"""Laravel's queued jobs, by the RabbitMQ drivers of its queue: `job`, `displayName` and `data`.

Source: Illuminate\Queue\Queue::createPayload. `data.command` is what PHP serialised: it stays text. A job has no
time, and its id is that of the job, which keeps it over its retries.
"""

from typing import Any
from zoneinfo import ZoneInfo

from bridge.model.event import Decoded, Message
from bridge.rules.formats.text import text_of

HEADERS = frozenset({"laravel"})
KEYS = frozenset({"displayName"})


def in_headers(data: Any, message: Message) -> bool:
    """Whether the driver's header stands by a job."""
    return isinstance(message.headers.get("laravel"), dict) and isinstance(data, dict) and "job" in data


def in_body(data: Any) -> bool:
    """Whether a job is named and displayed."""
    return (
        isinstance(data, dict)
        and isinstance(data.get("job"), str)
        and isinstance(data.get("displayName"), str)
    )


def read(data: Any, _message: Message, _timezone: ZoneInfo) -> Decoded:
    """The displayed name as type, the job's data."""
    if not isinstance(data, dict):
        return Decoded(data=data)
    name = data.get("displayName") or data.get("job")
    return Decoded(type=text_of(name) if isinstance(name, str) else None, data=data.get("data", data))
