"""A delivery as a broker message of ours: what a copy in a lane or on the ladder carries, and how it is read.

The body is the event's, byte for byte. Everything else of the delivery stands in headers `x-bridge-*`, so that
a copy can be delivered and recorded by a process that knows nothing but the copy.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from bridge.core.delivery import Delivery
from bridge.core.event import Content, Event, Message, Undecodable

PREFIX = "x-bridge-"
HOPS = PREFIX + "hops"
INLET = PREFIX + "inlet"
"""Header in which an inlet says where a message came from."""
REQUEUED = PREFIX + "requeued"
"""Header of a message that a person put back from quarantine: it is no duplicate, whatever came before."""
ERROR_BYTES = 1000

_ROUTING = frozenset({"cc", "bcc"})
_DEATHS = ("x-death", "x-first-death-", "x-last-death-")
"""An old `expired` entry in these makes RabbitMQ 3.x take a retry for a cycle and drop it."""
_COUNTS = ("x-delivery-count", "x-acquired-count")
_OF_THIS_QUEUE = frozenset(_COUNTS)
_BOOK_KEEPING = (PREFIX, *_DEATHS, *_COUNTS)

ReadContent = Callable[[Message, str], Content]
"""What stands in a message of the named format."""


def clean_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The publisher's own headers: without the broker's book-keeping, re-routing (CC, BCC) and ours."""
    return {name: value for name, value in headers.items() if not is_taken(name)}


def is_taken(name: str) -> bool:
    """A header of this name belongs to the broker or to the bridge."""
    lower = name.lower()
    return lower in _ROUTING or lower.startswith(_BOOK_KEEPING)


@lru_cache(maxsize=4096)  # the same few names on every message
def _is_visible(name: str) -> bool:
    lower = name.lower()
    return lower not in _ROUTING and (not lower.startswith(PREFIX) or lower == HOPS)


def with_visible_headers(message: Message) -> Message:
    """The message with the headers that an event shows: all but re-routing (CC, BCC) and ours."""
    headers = message.headers
    if all(map(_is_visible, headers)):
        return message
    return replace(message, headers={name: headers[name] for name in headers if _is_visible(name)})


def _enclosed(headers: Mapping[str, Any]) -> dict[str, Any]:
    """The headers that travel inside a copy, where the broker does not look: where a message died before stays
    known, how often its source queue delivered it means nothing any more.
    """
    return {
        name: value
        for name, value in headers.items()
        if _is_visible(name) and name != HOPS and name.lower() not in _OF_THIS_QUEUE
    }


def hops_of(headers: Mapping[str, Any]) -> int:
    """How many times bridges have passed this message on to a queue."""
    hops = headers.get(HOPS)
    return hops if isinstance(hops, int) and not isinstance(hops, bool) and hops > 0 else 0


def write_copy(delivery: Delivery) -> dict[str, Any]:
    """The headers of a copy; absent values are left out."""
    event = delivery.event
    ours: dict[str, Any] = {
        "delivery": delivery.id,
        "generation": delivery.generation,
        "hook": delivery.hook,
        "attempt": delivery.attempt,
        "retries": delivery.retries,
        "restarted": _milliseconds(delivery.restarted_at) or None,
        "not-before": _milliseconds(delivery.not_before),
        "waits-from": _milliseconds(delivery.waits_from) or None,
        "event": event.id,
        "source": event.source,
        "exchange": event.message.exchange,
        "routing-key": event.message.routing_key,
        "type": event.type,
        "format": event.format,
        "time": event.time,
        "publisher-id": event.publisher_id,
        "webhook-id": event.webhook_id,
        "received": _milliseconds(event.received_at),
        "first-seen": _milliseconds(event.received_at),
        "identity": event.identity,
        "hops": hops_of(event.message.headers),
        "error": cut_text(delivery.error, ERROR_BYTES),
        "done": " ".join(delivery.done),
        # As properties they would have the copy answered, put before others, or vanish.
        "reply-to": event.message.reply_to,
        "priority": event.message.priority,
        "expiration": event.message.expiration,
        "provisional": delivery.provisional or None,
        "traceparent": event.message.headers.get("traceparent"),
        "headers": _enclosed(event.message.headers),
    }
    return {PREFIX + name: value for name, value in ours.items() if value not in (None, "")}


def read_copy(message: Message, content_of: ReadContent) -> Delivery | Undecodable:
    """The delivery that a copy carries; `content_of` reads its body as the direct way does."""
    ours = {name[len(PREFIX) :]: value for name, value in message.headers.items() if name.startswith(PREFIX)}
    try:
        return Delivery(
            id=_text(ours, "delivery"),
            event=_event(ours, message, content_of),
            hook=_text(ours, "hook"),
            generation=_number(ours, "generation"),
            attempt=_number(ours, "attempt"),
            retries=_number(ours, "retries"),
            not_before=_number(ours, "not-before") / 1000,
            waits_from=_number(ours, "waits-from") / 1000 if "waits-from" in ours else 0.0,
            error=str(ours.get("error", "")),
            done=tuple(str(ours.get("done", "")).split()),
            restarted_at=_number(ours, "restarted") / 1000 if "restarted" in ours else 0.0,
            provisional=ours.get("provisional") is True,
        )
    except (KeyError, TypeError, ValueError) as missing:
        return Undecodable("not_a_copy", f"a header {PREFIX}* is missing or of the wrong type: {missing}")


def _event(ours: Mapping[str, Any], message: Message, content_of: ReadContent) -> Event:
    headers = dict(ours.get("headers") or {})
    if ours.get("hops"):
        headers[HOPS] = ours["hops"]
    original = replace(
        message,
        exchange=ours.get("exchange", ""),
        routing_key=ours.get("routing-key", ""),
        message_id=ours.get("publisher-id"),
        headers=headers,
        reply_to=ours.get("reply-to"),
        priority=ours.get("priority"),
        expiration=ours.get("expiration"),
    )
    form = _text(ours, "format")
    content = content_of(original, form)
    return Event(
        id=_text(ours, "event"),
        source=_text(ours, "source"),
        type=_text(ours, "type"),
        format=form,
        received_at=_number(ours, "received") / 1000,
        message=original,
        data=content.data,
        time=ours.get("time"),
        publisher_id=ours.get("publisher-id"),
        identity=ours.get("identity"),
        webhook_id=ours.get("webhook-id") or _text(ours, "event"),
        parsed=content.parsed,
        data_fault=content.fault,
        weight=content.weight,
    )


def cut_text(text: str, limit: int) -> str:
    """The text, cut to `limit` bytes of UTF-8; what UTF-8 cannot hold is replaced."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _text(ours: Mapping[str, Any], name: str) -> str:
    value = ours[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _number(ours: Mapping[str, Any], name: str) -> int:
    value = ours[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(name)
    return value


# What tells one message from another when the broker hands it out again: queues of today count or name nothing.


_DELIVERY_COUNTS = frozenset({"x-delivery-count", "x-acquired-count"})
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
    headers = ((name, value) for name, value in message.headers.items() if name not in _DELIVERY_COUNTS)
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
