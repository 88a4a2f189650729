"""The database record of events, deliveries and attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.model.delivery import Entry, Known


@dataclass(frozen=True, slots=True)
class HookState:
    """What the bridge or a person said about a hook beside its configuration; it survives restarts."""

    hook: str
    paused: bool
    reason: str
    at: float


class History(Protocol):
    """What the pipeline asks of the database."""

    async def commit(self, entries: Sequence[Entry]) -> list[tuple[Entry, str]]:
        """Write all entries in one transaction as monotonic upserts.

        Gives back the entries that the database refuses for what they hold, with the reason; all others are
        committed. Raises HistoryUnavailable, with nothing written, when the database cannot be reached.
        """
        ...

    async def known(self, deliveries: Sequence[str]) -> dict[str, Known]:
        """What is recorded of these deliveries, in one statement; those without a row are absent."""
        ...

    async def hook_states(self) -> dict[str, HookState]:
        """The stored state of every hook that has one, by hook id."""
        ...

    async def set_hook_state(self, state: HookState) -> None:
        """Store the state of one hook in place of what was stored before."""
        ...

    async def prune(self, finished_before: float, limit: int) -> int:
        """Delete at most `limit` events whose deliveries are all final since before that Unix time, with all
        that belongs to them, and quarantined messages as old; gives the number of events deleted.
        """
        ...
