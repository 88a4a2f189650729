"""Work that is done once among all replicas, and survives a restart: leases, the outbox, replays."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from bridge.model.delivery import Status
from bridge.model.value import value
from bridge.ports.records import Page


class Leases(Protocol):
    """Who may do a certain work now. All raise HistoryUnavailable."""

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or prolong it for so long; False while somebody else has it."""
        ...

    async def release(self, name: str, holder: str) -> None:
        """Let go of it, if it is ours."""
        ...


@value(frozen=True, slots=True)
class Replica:
    """A process on this database. `revision` is that of the hooks it has in force; times in Unix seconds."""

    id: str
    host: str
    targets: str
    started_at: float
    seen_at: float
    revision: int


class Replicas(Protocol):
    """Who else is there. All raise HistoryUnavailable."""

    async def seen(self, replica: Replica) -> None:
        """Write down that it lives, and what it has in force."""
        ...

    async def replicas(self, seen_after: float) -> Sequence[Replica]:
        """Those seen since."""
        ...

    async def leave(self, replica_id: str) -> None:
        """It stops in order."""
        ...


@value(frozen=True, slots=True)
class Restart:
    """A delivery to be started anew, with the generation that it has from then on."""

    delivery_id: str
    event_id: str
    hook: str
    generation: int
    attempts: int
    """So many were made before: the next one has the number after."""


class Outbox(Protocol):
    """Deliveries whose new copy is still to be published. All raise HistoryUnavailable.

    A delivery is started anew in this order: its generation is raised and it is put into the outbox, in one
    transaction; its copy is published; it is taken out. A crash anywhere repeats a publish at the most, and the fence
    drops the second copy.
    """

    async def restart(
        self, delivery_ids: Sequence[str], at: float, *, statuses: frozenset[Status]
    ) -> Sequence[Restart]:
        """Raise the generation of those that have one of these statuses, make them PENDING, and put them in."""
        ...

    async def cancel(self, delivery_id: str, at: float) -> bool:
        """FAILED `cancelled` with a raised generation, and out of the outbox; False where it is final or unknown."""
        ...

    async def outbox(self, older_than: float, limit: int) -> Sequence[Restart]:
        """What has been in it since before that Unix time."""
        ...

    async def sent(self, restarts: Sequence[Restart]) -> None:
        """Their copies are confirmed."""
        ...


class ReplayStatus(StrEnum):
    """Where a replay stands; the last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@value(frozen=True, slots=True)
class ReplayFilter:
    """Which deliveries are started anew; with `missing`, which events get one for `hook` that have none."""

    hook: str | None = None
    statuses: frozenset[Status] = frozenset({Status.FAILED})
    event_type: str | None = None
    source: str | None = None
    since: float | None = None
    until: float | None = None
    missing: bool = False


@value(frozen=True, slots=True)
class Replay:
    """A job: one row of state. `rate` in deliveries per second, None: as fast as it goes. Times in Unix seconds."""

    id: str
    which: ReplayFilter
    rate: float | None
    status: ReplayStatus
    total: int
    done: int
    cursor: str
    """Where to go on; empty at the beginning."""
    created_at: float
    created_by: str
    updated_at: float
    finished_at: float | None = None
    error: str = ""


class Replays(Protocol):
    """Replays and the deliveries they take. All raise HistoryUnavailable."""

    async def count(self, which: ReplayFilter, at: float) -> int:
        """How many it would take now."""
        ...

    async def add_replay(self, replay: Replay) -> None: ...

    async def replay(self, replay_id: str) -> Replay | None: ...

    async def replays(self, *, after: str | None, limit: int) -> Page[Replay]:
        """Newest first; ValueError for a cursor that is none of ours."""
        ...

    async def unfinished(self) -> Sequence[Replay]: ...

    async def take(self, replay: Replay, limit: int, at: float) -> tuple[Replay, Sequence[Restart]]:
        """The next batch: restarted into the outbox, and the job moved on, in one transaction."""
        ...

    async def end_replay(self, replay_id: str, status: ReplayStatus, at: float, error: str = "") -> bool:
        """False where it had ended already."""
        ...
