"""Ports that prevent duplicate work and poison messages: duplicate detection, deduplication leases, poison
candidates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


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
    """A request for the lease of a deduplication key: `event_id` claims the key with this digest for `seconds`."""

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


class Stage(StrEnum):
    """The stage of a message that was redelivered after an unclean stop."""

    ARRIVED = "arrived"
    IN_COMPANY = "in_company"
    """Noted down, and begun beside a few others."""
    ALONE = "alone"
    """A suspect: begun with nothing else in flight."""
    QUARANTINED = "quarantined"
    SETTLED = "settled"


class Finding(StrEnum):
    """The finding that leads such a message to its next stage."""

    NO_DEATH = "in flight at no earlier death"
    DEATH = "in flight at an earlier death"
    CONVICTED = "in flight at too many deaths, at the last one alone"
    DONE = "all of it has its committed fate"
    NOT_DONE = "the broker hands it out again"
    NOT_IN_TIME = "it takes longer than a suspect may hold up others"


TRANSITIONS: Mapping[tuple[Stage, Finding], Stage] = {
    (Stage.ARRIVED, Finding.NO_DEATH): Stage.IN_COMPANY,
    (Stage.ARRIVED, Finding.DEATH): Stage.ALONE,
    (Stage.ARRIVED, Finding.CONVICTED): Stage.QUARANTINED,
    (Stage.IN_COMPANY, Finding.DONE): Stage.SETTLED,
    (Stage.IN_COMPANY, Finding.NOT_DONE): Stage.ARRIVED,
    (Stage.ALONE, Finding.DONE): Stage.SETTLED,
    (Stage.ALONE, Finding.NOT_DONE): Stage.ARRIVED,
    (Stage.ALONE, Finding.NOT_IN_TIME): Stage.IN_COMPANY,
    (Stage.QUARANTINED, Finding.DONE): Stage.SETTLED,
    (Stage.QUARANTINED, Finding.NOT_DONE): Stage.ARRIVED,
}
"""docs/architecture.md shows it as a diagram."""
