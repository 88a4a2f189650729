"""Ports that prevent duplicate work and poison messages: duplicate detection, deduplication leases, poison
candidates.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


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


class Recollection(Protocol):
    """The port of duplicate detection: earlier events of messages that the broker redelivers."""

    async def earlier(self, keys: Collection[EventKey]) -> Mapping[EventKey, Earlier]:
        """Returns, by key, the newest earlier event that was not skipped as a duplicate.

        Searches only the newest events (some hundred thousand), because redelivered messages were received recently.
        Raises HistoryUnavailable.
        """
        ...


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


class Claims(Protocol):
    """The port of deduplication leases: keys of events that a publisher may send twice (`sources[].dedupe`).

    `holder` is the calling process, `at` the Unix time. Each call is one transaction and raises HistoryUnavailable.
    """

    async def now(self) -> float:
        """Returns Unix seconds by the clock that all processes share: the clocks of hosts differ and are adjusted."""
        ...

    async def claim(self, claims: Sequence[Claim], *, holder: str, at: float) -> Mapping[str, Claimed]:
        """Claim all keys that are free or expired, for the first event with each digest; returns the owners by
        digest.
        """
        ...

    async def take_over(self, seen: Collection[Claimed], *, holder: str, at: float) -> Mapping[str, Earlier]:
        """Take over events whose holders stopped renewing; returns, by digest, those that are unchanged since
        `seen`.
        """
        ...

    async def renew(self, claims: Collection[tuple[str, str]], *, holder: str, at: float) -> None:
        """Renew the leases of these (digest, event id) pairs."""
        ...

    async def release(self, claims: Collection[tuple[str, str]], *, holder: str) -> None:
        """Release the leases of these (digest, event id) pairs, so that other processes need not wait for their
        expiry.
        """
        ...

    async def forget_claims(self, before: float, limit: int) -> int:
        """Delete at most `limit` leases that expired before that Unix time; returns the number deleted."""
        ...


class Suspects(Protocol):
    """The port to poison candidates: messages that were in-flight when a process ended without a graceful shutdown.

    `replica` identifies one run of a process. Records older than a day are deleted. Each method raises
    HistoryUnavailable.
    """

    async def died(self) -> int:
        """Record another unclean shutdown; returns how many happened in a row, at most minutes apart."""
        ...

    async def times(self, digests: Collection[str], replica: str) -> Mapping[str, int]:
        """Returns in how many earlier runs each message was in-flight at the end; messages without a record are
        absent.
        """
        ...

    async def note(self, digests: Collection[str], replica: str, over: Collection[str] = ()) -> None:
        """Count each message once per run, before it is started; messages in `over` are forgotten first.

        Both happen in one transaction, so that a crash over the next message leaves no record of the previous one.
        """
        ...

    async def doubt(self, digests: Collection[str], replica: str) -> None:
        """Reset the count of this run to one: the messages were not processed alone after all."""
        ...

    async def clear(self, digests: Collection[str]) -> None:
        """Delete the records: the messages were settled and did not end the process."""
        ...

    async def leave(self, replica: str) -> None:
        """Delete the records of this run at a graceful shutdown, except counts of other processes that still run."""
        ...
