"""Work that is done once among all replicas, and survives a restart: leases, the outbox, replays."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bridge.core.base import value
from bridge.core.delivery import Status
from bridge.core.records import KnownEvent, Page, ReplayStatus


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
    """A process on this database. Times in Unix seconds."""

    id: str
    host: str
    targets: str
    """The types of targets that it attempts, separated by commas."""
    started_at: float
    seen_at: float
    """By the database's clock."""
    revision: int
    """That of the hooks it has in force."""
    settled: int = 0
    """The revision up to which it has nothing under way of hooks that went out of routing."""


class Replicas(Protocol):
    """Who else is there. All raise HistoryUnavailable."""

    async def seen(self, replica: Replica) -> None:
        """Write down that it lives now, and what it has in force."""
        ...

    async def replicas(self, within: float) -> Sequence[Replica]:
        """Those seen within so many seconds."""
        ...

    async def leave(self, replica_id: str) -> None:
        """It stops in order: it is not there any more, and lets go of its leases."""
        ...


class UnfinishedDeliveries(Protocol):
    """What of a deleted hook has no final status. All raise HistoryUnavailable."""

    async def waiting(self, hook: str) -> int:
        """How many of its deliveries have none."""
        ...

    async def end_waiting(self, hook: str, at: float, limit: int) -> int:
        """Make up to `limit` of them FAILED `hook_deleted`, for good; gives how many these were."""
        ...

    async def ended(self, hook: str) -> int:
        """How many of its deliveries are FAILED `hook_deleted`."""
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
        """Raise the generation of those that have one of these statuses, make them PENDING, and put them in.

        Those whose event is not in the history any more are left as they are.
        """
        ...

    async def cancel(self, delivery_id: str, at: float) -> bool:
        """FAILED `cancelled` with a raised generation, and out of the outbox; False where it is final or unknown."""
        ...

    async def outbox(self, older_than: float, limit: int) -> Sequence[Restart]:
        """What has been in it since before that Unix time."""
        ...

    async def sizes(self, event_ids: Sequence[str]) -> Mapping[str, int]:
        """How many bytes these events have; those that are gone are absent."""
        ...

    async def whole_events(self, event_ids: Sequence[str]) -> Sequence[KnownEvent]:
        """These events with their bodies, as far as they are there."""
        ...

    async def sent(self, restarts: Sequence[Restart]) -> None:
        """Their copies are confirmed."""
        ...


@value(frozen=True, slots=True)
class ReplayFilter:
    """Which deliveries are started anew; with `missing`, which events get one for `hook` that have none.

    Times are Unix seconds of the event's receipt, from `since` until before `until`.
    """

    hook: str | None = None
    statuses: frozenset[Status] = frozenset({Status.FAILED})
    event_type: str | None = None
    source: str | None = None
    since: float | None = None
    until: float | None = None
    missing: bool = False


@value(frozen=True, slots=True)
class Replay:
    """A job: one row of state. `rate` in deliveries per second, None: as fast as it goes. Times in Unix seconds.

    Each hook goes on by itself, from the oldest event to the newest, so that one that is down holds up no other.
    """

    id: str
    which: ReplayFilter
    rate: float | None
    status: ReplayStatus
    total: int
    """How many it takes, as they were counted when it was made."""
    exact: bool
    """False: there are more than were counted."""
    done: int
    """How many were started anew."""
    left_out: int
    """How many fitted, but their hooks are gone or disabled."""
    left: Mapping[str, str]
    """By hook where to go on, empty at the beginning; without those that are through."""
    created_at: float
    created_by: str
    updated_at: float
    finished_at: float | None = None
    error: str = ""


@value(frozen=True, slots=True)
class Counted:
    """How many fit, by hook. `exact` False: there are more, but counting them all would take too long."""

    by_hook: Mapping[str, int]
    exact: bool = True


@value(frozen=True, slots=True)
class Lacking:
    """Events without a delivery for a hook, oldest first; `reached` is where to look on, None at the end."""

    events: Sequence[KnownEvent]
    reached: str | None


class Replays(Protocol):
    """Replays and the deliveries they take. All raise HistoryUnavailable.

    A replay takes what fitted when it was made, once: a delivery that changed since is left alone, so one that fails
    again is not taken again.
    """

    async def count(self, which: ReplayFilter) -> Counted:
        """How many it would take now, whatever their hooks; not for `missing`. Takes a few seconds at the most."""
        ...

    async def add_replay(self, replay: Replay) -> None: ...

    async def replay(self, replay_id: str) -> Replay | None: ...

    async def replays(self, *, after: str | None, limit: int) -> Page[Replay]:
        """Newest first; ValueError for a cursor that is none of ours."""
        ...

    async def unfinished(self) -> Sequence[Replay]: ...

    async def take(
        self, replay: Replay, hook: str, limit: int, at: float
    ) -> tuple[Replay, Sequence[Restart]]:
        """The next of a hook: restarted into the outbox, and the job moved on, in one transaction.

        Takes nothing where the job has ended or was moved on by somebody else; gives the job as it stands then.
        """
        ...

    async def lacking(self, replay: Replay, hook: str, limit: int) -> Lacking:
        """The next events for `missing`, whether or not the hook asks for them; also few or none before the end."""
        ...

    async def supply(
        self, replay: Replay, hook: str, target: str, found: Lacking, at: float
    ) -> tuple[Replay, Sequence[Restart]]:
        """Make deliveries for these events, PENDING and in the outbox, and move the job on, as in `take`.

        Their ids follow from event and hook: nothing is made twice. `target` is the type of the hook's target.
        """
        ...

    async def leave_out(self, replay: Replay, hook: str, at: float) -> Replay:
        """The hook is gone or disabled: count what is left of it, and take no more."""
        ...

    async def end_replay(self, replay_id: str, status: ReplayStatus, at: float, error: str = "") -> bool:
        """False where it had ended already."""
        ...
