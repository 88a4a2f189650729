"""The database record of events, deliveries and attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.model.delivery import Entry, Known
from bridge.model.hook import Hook


@dataclass(frozen=True, slots=True)
class HookState:
    """What the bridge or a person said about a hook beside its configuration; it survives restarts.

    `paused` is the bridge's own pause (410, only failures for days). What a person said of a hook from the file stands
    in `said_enabled` and `said_paused`; None: as the file has it. `reason` is that of the last pause, whoever said it.
    """

    hook: str
    paused: bool
    reason: str
    at: float
    said_enabled: bool | None = None
    said_paused: bool | None = None

    @property
    def overlaid(self) -> bool:
        """Whether a person said something of it."""
        return self.said_enabled is not None or self.said_paused is not None

    def over(self, hook: Hook) -> Hook:
        """The hook with what a person said of it in force."""
        said = {"enabled": self.said_enabled, "paused": self.said_paused}
        changes = {name: what for name, what in said.items() if what not in {None, getattr(hook, name)}}
        return hook.model_copy(update=changes) if changes else hook


@dataclass(frozen=True, slots=True)
class HistorySize:
    """How much there is: `bytes` on the disk, indexes included, and messages in quarantine."""

    bytes: int
    quarantined: int


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
        """Store what the bridge itself says of a hook (`paused`, `reason`, `at`); what a person said stays."""
        ...

    async def size(self) -> HistorySize:
        """How much there is; raises HistoryUnavailable."""
        ...

    async def prune(self, finished_before: float, limit: int) -> int:
        """Delete at most `limit` events whose deliveries are all final since before that Unix time, with all
        that belongs to them, and quarantined messages as old; gives the number of events deleted.
        """
        ...
