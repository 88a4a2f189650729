"""Copies: the messages that carry a delivery in a lane or on the retry ladder, how they are written and read; and the
codes that prove that a bridge wrote a message.

The body is the event's, byte for byte. All other state of the delivery is in headers `x-bridge-*`, so that a process
can deliver and record a copy without further data.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from bridge.core.delivery import Delivery, TraceContext
from bridge.core.event import Content, Event, Message, Undecodable

PREFIX = "x-bridge-"
HOPS = PREFIX + "hops"
INLET = PREFIX + "inlet"
"""The header in which an inlet marks the origin of a message."""
REQUEUED = PREFIX + "requeued"
"""The header of a message requeued from quarantine by a user: it is exempt from deduplication."""
ERROR_BYTES = 1000

_ROUTING = frozenset({"cc", "bcc"})
_DEATHS = ("x-death", "x-first-death-", "x-last-death-")
"""An old `expired` entry in these headers makes RabbitMQ 3.x treat a retry as a cycle and drop it."""
_COUNTS = ("x-delivery-count", "x-acquired-count")
_OF_THIS_QUEUE = frozenset(_COUNTS)
_BOOK_KEEPING = (PREFIX, *_DEATHS, *_COUNTS)

ReadContent = Callable[[Message, str], Content]
"""The function that parses the content of a message in the named format."""


def clean_headers(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the publisher's headers: without the broker's, re-routing (CC, BCC) and the bridge's."""
    return {name: value for name, value in headers.items() if not is_taken(name)}


def is_taken(name: str) -> bool:
    """Returns whether the header belongs to the broker or to the bridge."""
    lower = name.lower()
    return lower in _ROUTING or lower.startswith(_BOOK_KEEPING)


@lru_cache(maxsize=4096)  # cached: every message has the same few names
def _is_visible(name: str) -> bool:
    lower = name.lower()
    return lower not in _ROUTING and (not lower.startswith(PREFIX) or lower == HOPS)


def with_visible_headers(message: Message) -> Message:
    """Returns the message with the headers that events show: all but re-routing (CC, BCC) and the bridge's."""
    headers = message.headers
    if all(map(_is_visible, headers)):
        return message
    return replace(message, headers={name: headers[name] for name in headers if _is_visible(name)})


def _enclosed(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the headers that a copy carries in a nested table, which the broker ignores: `x-death` is kept, the
    delivery count of the source queue is dropped.
    """
    return {
        name: value
        for name, value in headers.items()
        if _is_visible(name) and name != HOPS and name.lower() not in _OF_THIS_QUEUE
    }


def hops_of(headers: Mapping[str, Any]) -> int:
    """Returns how many times bridges have forwarded this message to a queue."""
    hops = headers.get(HOPS)
    return hops if isinstance(hops, int) and not isinstance(hops, bool) and hops > 0 else 0


def write_copy(delivery: Delivery) -> dict[str, Any]:
    """Returns the headers of a copy, without absent values."""
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
        # As properties these would have the copy replied to, prioritized, or expired.
        "reply-to": event.message.reply_to,
        "priority": event.message.priority,
        "expiration": event.message.expiration,
        "provisional": delivery.provisional or None,
        **_trace_of(delivery),
        "headers": _enclosed(event.message.headers),
    }
    return {PREFIX + name: value for name, value in ours.items() if value not in (None, "")}


def _trace_of(delivery: Delivery) -> dict[str, Any]:
    """Returns the context of the span that parks the delivery; without one, the publisher's `traceparent`."""
    if delivery.trace is None:
        return {"traceparent": delivery.event.message.headers.get("traceparent")}
    return delivery.trace.headers


def _own_trace(ours: Mapping[str, Any]) -> TraceContext | None:
    """Returns the context of the span that parked the delivery; None if the copy has only the publisher's."""
    parent, state = ours.get("traceparent"), ours.get("tracestate", "")
    if not isinstance(parent, str) or parent == (ours.get("headers") or {}).get("traceparent"):
        return None
    return TraceContext(parent, str(state))


def read_copy(message: Message, content_of: ReadContent) -> Delivery | Undecodable:
    """Returns the delivery of a copy; `content_of` parses its body as for a fresh message."""
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
            trace=_own_trace(ours),
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
    """Returns the text cut to `limit` bytes of UTF-8, with characters that UTF-8 cannot encode replaced."""
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


# Digests that identify a message across redeliveries: classic queues neither count nor name messages.


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
    """Returns the SHA-256 of a source's message, over everything that is the same in all its redeliveries."""
    headers = ((name, value) for name, value in message.headers.items() if name not in _DELIVERY_COUNTS)
    told = (queue, message.exchange, message.routing_key, message.message_id, message.type, list(headers))
    return _digest([repr(each).encode("utf-8", "surrogatepass") for each in told], message.body)


def copy_digest(queue: str, message: Message) -> str:
    """Returns the SHA-256 that identifies a copy's attempt, event and hook; of the whole message if it is not a copy.

    The delivery's id is not included: if a process died before it settled the source's message, there are several
    copies of the same event, all of which may end the process alike.
    """
    if not all(message.headers.get(name) for name in _COPY):
        return message_digest(queue, message)
    ours = [message.headers.get(PREFIX + name) for name in _TOLD]
    return _digest([repr(each).encode("utf-8", "surrogatepass") for each in ours], message.body)


def delivery_count(headers: Mapping[str, Any]) -> int:
    """Returns a quorum queue's count of earlier deliveries; 0 without a count."""
    count = headers.get("x-delivery-count")
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 0


def _digest(parts: Iterable[bytes], body: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8))
        digest.update(part)
    digest.update(body)
    return digest.hexdigest()


# Message authentication codes (HMAC-SHA-256) prove that a bridge with this history wrote a message. Every publisher with a right
# to a named queue may publish through the default exchange into any queue, lanes and the bridge's own events included. A message
# of the bridge without a valid code is therefore not trusted.


CODE = PREFIX + "mac"
"""The header with the code."""
FORGED = "forged"
"""The quarantine reason of a message without a valid code."""

_PURPOSE = b"amqp-bridge message authentication, version 1: "
_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME


class Authenticator:
    """A signer and verifier of codes: signs with its first key and accepts every key, so that keys can be rotated."""

    def __init__(self, secrets: Sequence[bytes], purpose: str) -> None:
        """`purpose` keeps codes of one kind of message from validating another; at least one secret."""
        self._keys = [hmac.digest(secret, _PURPOSE + purpose.encode(), "sha256") for secret in secrets]

    def code(self, claims: object, body: bytes = b"") -> str:
        """Returns the code for these claims (JSON values, bytes, times) and the body."""
        return _code(self._keys[0], _content_digest(claims, body))

    def accepts(self, code: object, claims: object, body: bytes = b"") -> bool:
        """Returns whether a key produced this code for the same claims and body. Never raises."""
        if not isinstance(code, str) or not code.isascii():
            return False
        try:
            digest = _content_digest(claims, body)
        except TypeError:  # nested deeper than any published message
            return False
        return any(hmac.compare_digest(_code(key, digest), code) for key in self._keys)

    def sign(self, headers: Mapping[str, Any], like: Message, body: bytes) -> dict[str, Any]:
        """Returns the headers with a code over all of the bridge's own headers, the content type and the body.

        `headers` must be as they will be read: a header table cannot hold every value.
        """
        return {**headers, CODE: self.code(_claims(headers, like), body)}

    def is_genuine(self, message: Message) -> bool:
        """Returns whether the message is unchanged since `sign`. Never raises."""
        return self.accepts(message.headers.get(CODE), _claims(message.headers, message), message.body)


@dataclass(frozen=True, slots=True)
class MessageKeys:
    """The authenticators of a bridge, one for each kind of its own messages."""

    copies: Authenticator
    events: Authenticator
    control: Authenticator

    @classmethod
    def derived_from(cls, secrets: Sequence[bytes]) -> "MessageKeys":
        """Returns the authenticators with keys derived from these secrets, the signing one first."""
        return cls(*(Authenticator(secrets, purpose) for purpose in ("copies", "events", "control")))


def _claims(headers: Mapping[str, Any], message: Message) -> tuple[Any, ...]:
    ours = {name: value for name, value in headers.items() if name.startswith(PREFIX) and name != CODE}
    return ours, message.content_type or "", message.content_encoding or "", message.type or ""


def _content_digest(claims: object, body: bytes) -> bytes:
    """Returns the digest of both, each prefixed with its length."""
    digest = sha256(sha256(body).digest())
    digest.update(orjson.dumps(claims, default=_plain, option=_CANONICAL))
    return digest.digest()


def _plain(value: Any) -> Any:
    """Returns a JSON value for a value of a header table. Values with the same text are no use to an attacker."""
    match value:
        case bytes() | bytearray():
            return value.decode("utf-8", "replace")
        case datetime():
            return value.isoformat()
        case _:
            return str(value)


def _code(key: bytes, digest: bytes) -> str:
    return hmac.digest(key, digest, "sha256").hex()
