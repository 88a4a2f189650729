"""Ports that prevent duplicate work and poison messages: duplicate detection, deduplication leases, poison
candidates.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Earlier:
    """An event that was received before.

    `hooks` are the hooks with a committed fate of one of its deliveries: it is final, or a copy of it waits. A delivery
    skipped as a duplicate is not a fate.
    """

    event_id: str
    hooks: frozenset[str]


EventKey = tuple[str, str, str]
"""Source, publisher id and webhook id; the webhook id is derived from both and the body."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A request for the deduplication lease of a key: the event `event_id` claims the key with this digest for
    `seconds`.
    """

    digest: str
    event_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """The owner of a deduplication lease: the event `event_id`, in process by `holder` (empty: no process).

    `at` is the Unix time of the claim or of its last renewal. `done`: all deliveries of that event have a durable fate.
    `new`: this call claimed the key.
    """

    digest: str
    event_id: str
    holder: str
    at: float
    done: bool
    new: bool
