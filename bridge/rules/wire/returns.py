"""What becomes of messages that a quorum queue hands out in vain again and again, and when to take them away from it.

Each death of a process, lost connection or closed channel counts one more return of every message that was held there,
begun or not (RabbitMQ before 4.3: a nack too). Over the queue's limit the broker drops the message, or dead-letters it.
"""

from collections.abc import Mapping
from typing import Any

from bridge.model.queue import QueueKind
from bridge.model.value import value
from bridge.rules.wire.fingerprint import delivery_count

NACKS_ARE_FREE = (4, 3)
"""The RabbitMQ release since which a nack does not count."""
ASSUMED = 20
"""The limit of RabbitMQ 4 where nobody says another one."""
_HALF, _MOST = 10, 15
_SMALL = 8
"""Below this limit a message may come to its last return by chance: it is taken into custody all the same."""
_FEW = 20
"""Messages held at once where already the first return counts for half of the limit."""


@value(frozen=True, slots=True)
class Returns:
    """How a source's queue treats what comes back: `counted` says that it is a quorum queue (None: it is not known), `limit`
    how often it may, `nacks_count` that a nack counts, too.
    """

    counted: bool | None = None
    limit: int = ASSUMED
    known: bool = False
    nacks_count: bool = True

    @property
    def spent_by_nacks(self) -> bool:
        """What goes back in order comes nearer to its last return all the same."""
        return self.counted is True and self.nacks_count

    @property
    def custody_from(self) -> int:
        """A message with so many returns goes into the lanes of its hooks before anything is attempted."""
        return min(_HALF, self.limit // 2)

    @property
    def kept_from(self) -> int | None:
        """One with so many goes into quarantine unread: even its custody failed again and again. None: never."""
        if self.counted is False or self.limit < _SMALL:
            return None
        return min(_MOST, self.limit * 3 // 4)

    @property
    def all_at_once(self) -> bool:
        """Already what comes for the first time must go into custody."""
        return self.counted is True and self.custody_from == 0

    def holdable(self, prefetch: int) -> int:
        """How many messages may be held at once, of `prefetch` that are wanted."""
        return min(prefetch, _FEW) if self.all_at_once else prefetch

    def near_the_end(self, headers: Mapping[str, Any]) -> bool:
        """A message with these headers must go into custody."""
        if self.all_at_once or self.counted is False:
            return self.all_at_once
        count = delivery_count(headers)
        return count > 0 and count >= self.custody_from


def returns_of(kind: QueueKind, by_policy: int | None = None, *, nacks_count: bool = True) -> Returns:
    """How a queue of this kind counts; of its own limit and that of a policy the lower one is in force."""
    if kind.type in {"classic", "stream"}:
        return Returns(counted=False)
    said = (kind.number("x-delivery-limit"), by_policy)
    limits = [limit for limit in said if limit is not None and limit >= 0]
    if limits:
        return Returns(counted=True, limit=min(limits), known=True, nacks_count=nacks_count)
    return Returns(counted=True if kind.type == "quorum" else None, nacks_count=nacks_count)
