"""What keeps work from being done twice, and one message from ending the process again and again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Earlier:
    """An event that was received before with the same source, publisher id and body.

    `hooks` are those for which one of its deliveries has a committed fate: it ended, or a copy of it waits.
    """

    event_id: str
    hooks: frozenset[str]


class Recollection(Protocol):
    """What the history knows of messages that the broker hands out again."""

    async def earlier(self, keys: Collection[tuple[str, str, str]]) -> Mapping[tuple[str, str, str], Earlier]:
        """The newest earlier event of each (source, publisher id, webhook id), where there is one.

        The webhook id is made of source, publisher id and body. Raises HistoryUnavailable.
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
    """Whose the key is: the claiming event's own, or an earlier event's; `age` of that claim in seconds.

    `done`: all deliveries of that event have their fate. `hooks` as in Earlier, of that event.
    """

    event_id: str
    done: bool
    age: float
    hooks: frozenset[str]


class Claims(Protocol):
    """Keys of events that a publisher may send twice (`sources[].dedupe`)."""

    async def claim(self, claims: Sequence[Claim]) -> Mapping[str, Claimed]:
        """Claim all keys that nobody has, in one transaction; by digest, whose each is now. Raises HistoryUnavailable."""
        ...

    async def forget_claims(self, limit: int) -> int:
        """Delete at most `limit` claims that no longer count; gives how many."""
        ...


class Suspects(Protocol):
    """Messages that were under way when a process ended without stopping in order."""

    async def times(self, digests: Collection[str]) -> Mapping[str, int]:
        """In how many lives of a process each was under way at the end; those never are absent."""
        ...

    async def note(self, digests: Collection[str], replica: str) -> None:
        """One more for each, committed, before it is begun with; once per life of a process (`replica`)."""
        ...

    async def clear(self, digests: Collection[str]) -> None:
        """They did not end the process."""
        ...
