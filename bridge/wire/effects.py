"""Warnings about queue types and arguments, for `run` and `doctor`, and delivery limits."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from bridge.core.base import value
from bridge.core.survey import QueueKind
from bridge.wire.copies import delivery_count

Weight = Literal["ok", "warning", "problem"]


@value(frozen=True, slots=True)
class Effect:
    """An effect of a queue's configuration, its severity, and the remedy; may be empty."""

    weight: Weight
    what: str
    advice: str = ""


def effects_of(kind: QueueKind) -> Iterator[Effect]:
    """Yield the effects that consumers of the queue should know; the delivery limit is below."""
    if kind.taken:
        yield Effect(
            "problem",
            f"another consumer has exclusive access, so no messages are delivered: {kind.taken}",
            "stop that consumer; the bridge keeps retrying",
        )
    if kind.is_stream:
        yield from _of_stream(kind)
    else:
        yield from _of_size(kind)
    if (milliseconds := kind.number("x-message-ttl")) is not None:
        yield Effect(
            "warning",
            f"messages expire after {milliseconds / 1000:g} s, while the bridge is stopped or behind",
            "remove x-message-ttl, or dead-letter to a queue that is monitored",
        )
    if (milliseconds := kind.number("x-expires")) is not None:
        yield Effect(
            "warning",
            f"the broker deletes it with its messages after {milliseconds / 1000:g} s without a consumer: a longer "
            "stop of the bridge loses events",
            "remove x-expires",
        )
    if kind.arguments.get("auto_delete") is True:
        yield Effect(
            "problem",
            "the broker deletes it with its messages when its last consumer stops: each stop of the bridge loses events",
            "declare it without auto-delete",
        )
    if kind.arguments.get("durable") is False:
        yield Effect("warning", "it does not survive a restart of the broker", "declare it durable")
    if kind.has_standbys and not kind.is_stream:
        yield Effect(
            "ok",
            "it has a single active consumer: one of several replicas gets all messages, the others are on standby",
        )


def _of_stream(kind: QueueKind) -> Iterator[Effect]:
    kept = {
        name: kind.arguments[name] for name in ("x-max-age", "x-max-length-bytes") if name in kind.arguments
    }
    bound = ", ".join(f"{name} {said}" for name, said in kept.items())
    yield Effect("ok", "a stream: read from the stored offset, by one replica at a time")
    if bound:
        yield Effect(
            "warning",
            f"its retention is limited ({bound}): messages that are not read in time are lost",
            "set a retention longer than any stop of the bridge",
        )


def _of_size(kind: QueueKind) -> Iterator[Effect]:
    bounds = [
        f"{number} {unit}"
        for argument, unit in (("x-max-length", "messages"), ("x-max-length-bytes", "bytes"))
        if (number := kind.number(argument)) is not None
    ]
    if not bounds:
        return
    if str(kind.arguments.get("x-overflow", "")).startswith("reject-publish"):
        what = "beyond that the broker rejects publishes, which publishers without confirms do not notice"
    else:
        what = "beyond that the broker drops the oldest (x-overflow: drop-head)"
    yield Effect(
        "warning",
        f"it holds at most {' or '.join(bounds)}: {what}",
        "alert on its depth, or remove the limit",
    )


# Delivery limits: a quorum queue counts how often a message was returned, and over its limit the broker drops or
# dead-letters it. Each crash of a process, lost connection or closed channel counts one return of every message that
# was held, started or not (RabbitMQ before 4.3: a nack too).


_ACQUIRED = "x-acquired-count"
"""A header of what a quorum queue hands out again, if it counts nacks apart from its delivery limit (since RabbitMQ 4.3).

The version does not tell: in a cluster that is being upgraded the queue counts as the oldest node does.
"""
ASSUMED = 20
"""The default limit of RabbitMQ 4."""
_HALF, _MOST = 10, 15
_SMALL = 8
"""Below this limit a message may reach its last return by chance: it is taken into custody early."""
_FEW = 20
"""Prefetch at which the first return already counts for half of the limit."""


@value(frozen=True, slots=True)
class Returns:
    """The accounting of returns by a source's queue: `counted`: it is a quorum queue (None: unknown), `limit` is
    its delivery limit, `nacks_count`: a nack counts too.
    """

    counted: bool | None = None
    limit: int = ASSUMED
    known: bool = False
    nacks_count: bool = True

    @property
    def spent_by_nacks(self) -> bool:
        """Returns whether a nack brings a message closer to its limit."""
        return self.counted is True and self.nacks_count

    @property
    def custody_from(self) -> int:
        """Returns the count from which a message is parked in the lanes of its hooks before any attempt."""
        return min(_HALF, self.limit // 2)

    @property
    def kept_from(self) -> int | None:
        """Returns the count from which a message is quarantined unread, as parking it failed again and again; None: never."""
        if self.counted is False or self.limit < _SMALL:
            return None
        return min(_MOST, self.limit * 3 // 4)

    @property
    def all_at_once(self) -> bool:
        """Returns whether even a message's first delivery must be parked."""
        return self.counted is True and self.custody_from == 0

    def seen_in(self, headers: Mapping[str, Any]) -> "Returns":
        """Returns the accounting, corrected by a redelivered message with these headers."""
        return replace(self, nacks_count=False) if self.nacks_count and _ACQUIRED in headers else self

    def holdable(self, prefetch: int) -> int:
        """Returns the prefetch, at most the wanted `prefetch`, that the limit allows."""
        return min(prefetch, _FEW) if self.all_at_once else prefetch

    def has_last_turn(self, headers: Mapping[str, Any]) -> bool:
        """Returns whether the broker drops or dead-letters a message with these headers once it is returned again."""
        return self.counted is not False and delivery_count(headers) >= max(1, self.limit)

    def near_the_end(self, headers: Mapping[str, Any]) -> bool:
        """Returns whether a message with these headers must be parked."""
        if self.all_at_once or self.counted is False:
            return self.all_at_once
        count = delivery_count(headers)
        return count > 0 and count >= self.custody_from


def returns_of(kind: QueueKind, by_policy: int | None = None, *, nacks_count: bool = True) -> Returns:
    """Returns the accounting of a queue; the lower of its own limit and a policy's applies."""
    if kind.type in {"classic", "stream"}:
        return Returns(counted=False)
    said = (kind.number("x-delivery-limit"), by_policy)
    limits = [limit for limit in said if limit is not None and limit >= 0]
    if limits:
        return Returns(counted=True, limit=min(limits), known=True, nacks_count=nacks_count)
    return Returns(counted=True if kind.type == "quorum" else None, nacks_count=nacks_count)
