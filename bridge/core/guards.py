"""What keeps work from being done twice, and one message from ending the process again and again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Earlier:
    """An event that was received before.

    `hooks` are those for which one of its deliveries has a committed fate: it ended, or a copy of it waits. What was
    skipped as a duplicate is no fate.
    """

    event_id: str
    hooks: frozenset[str]


EventKey = tuple[str, str, str]
"""Source, publisher id and webhook id, which is made of these two and the body."""


class Recollection(Protocol):
    """What the history knows of messages that the broker hands out again."""

    async def earlier(self, keys: Collection[EventKey]) -> Mapping[EventKey, Earlier]:
        """The newest earlier event of each key, where there is one that was not skipped as a duplicate.

        Looks among the newest events only (some hundred thousand), for what the broker hands out again was received
        not long ago. Raises HistoryUnavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """The event `event_id` says that it is the first with the key of this digest, for `seconds`."""

    digest: str
    event_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """Whose a key is: that of the event `event_id`, which the process `holder` has (empty: nobody).

    `at`: the Unix time of the claim, or when its holder last said that it is at it. `done`: all deliveries of that
    event have their fate. `new`: it was claimed just now.
    """

    digest: str
    event_id: str
    holder: str
    at: float
    done: bool
    new: bool


class Claims(Protocol):
    """Keys of events that a publisher may send twice (`sources[].dedupe`). `holder` is the process that asks, `at` the
    Unix time. Each call is one transaction and raises HistoryUnavailable.
    """

    async def now(self) -> float:
        """Unix seconds by the clock that all who claim share: those of hosts differ, and are set anew."""
        ...

    async def claim(self, claims: Sequence[Claim], *, holder: str, at: float) -> Mapping[str, Claimed]:
        """Claim all keys that nobody has (any more), the first of several with one digest; by digest, whose each is."""
        ...

    async def take_over(self, seen: Collection[Claimed], *, holder: str, at: float) -> Mapping[str, Earlier]:
        """Go on with events that their holders have given up; by digest, those that are as `seen` still."""
        ...

    async def renew(self, claims: Collection[tuple[str, str]], *, holder: str, at: float) -> None:
        """Say of (digest, event id) that this process is at it."""
        ...

    async def release(self, claims: Collection[tuple[str, str]], *, holder: str) -> None:
        """Say of (digest, event id) that nobody is at it any more, so that others need not wait."""
        ...

    async def forget_claims(self, before: float, limit: int) -> int:
        """Delete at most `limit` claims that count no longer since that Unix time; gives how many."""
        ...


class Suspects(Protocol):
    """Messages that were under way when a process ended without stopping in order. All raise HistoryUnavailable.

    `replica` is one life of a process. What was noted down more than a day ago is forgotten.
    """

    async def died(self) -> int:
        """One more process ended without stopping in order; gives how many did in a row, minutes apart at the most."""
        ...

    async def times(self, digests: Collection[str], replica: str) -> Mapping[str, int]:
        """In how many lives before this one each was noted down and never over; those in none are absent."""
        ...

    async def note(self, digests: Collection[str], replica: str, over: Collection[str] = ()) -> None:
        """One more for each, before it is begun with, once per life; those that are `over` are forgotten before.

        In one transaction: whoever dies over the next one leaves nothing behind of the one before.
        """
        ...

    async def doubt(self, digests: Collection[str], replica: str) -> None:
        """They were not alone after all: what this life counted up goes back to one."""
        ...

    async def clear(self, digests: Collection[str]) -> None:
        """They are over, and did not end the process."""
        ...

    async def leave(self, replica: str) -> None:
        """The process stops in order: forget what was noted down, but for what others did that are still there."""
        ...
