"""What tells one message from another when the broker hands it out again: queues of today count or name nothing."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from bridge.model.event import Message
from bridge.rules.wire.copies import PREFIX

_COUNTS = frozenset({"x-delivery-count", "x-acquired-count"})
_COPY = tuple(PREFIX + name for name in ("delivery", "generation", "attempt"))
_TOLD = (
    "hook",
    "generation",
    "attempt",
    "source",
    "exchange",
    "routing-key",
    "publisher-id",
    "type",
    "headers",
)


def message_digest(queue: str, message: Message) -> str:
    """SHA-256 of a source's message and all that stays the same from one delivery to the next."""
    headers = ((name, value) for name, value in message.headers.items() if name not in _COUNTS)
    told = (queue, message.exchange, message.routing_key, message.message_id, message.type, list(headers))
    return _digest([repr(each).encode("utf-8", "surrogatepass") for each in told], message.body)


def copy_digest(queue: str, message: Message) -> str:
    """SHA-256 of which attempt a copy is for, of what, and for whom; of the whole message where it is no copy.

    Not of the delivery's id: where a process died before it had settled the source's message there are several
    copies of that, which end the next ones alike.
    """
    if not all(message.headers.get(name) for name in _COPY):
        return message_digest(queue, message)
    ours = [message.headers.get(PREFIX + name) for name in _TOLD]
    return _digest([repr(each).encode("utf-8", "surrogatepass") for each in ours], message.body)


def delivery_count(headers: Mapping[str, Any]) -> int:
    """How often a quorum queue says that it handed the message out in vain; 0 where it does not say."""
    count = headers.get("x-delivery-count")
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 0


def _digest(parts: Iterable[bytes], body: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    digest.update(body)
    return digest.hexdigest()
