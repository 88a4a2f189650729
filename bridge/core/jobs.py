"""Ports of jobs that one replica runs and that survive restarts: leases, replicas, the outbox, replays."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bridge.core.base import value
from bridge.core.delivery import Status
from bridge.core.records import KnownEvent, Page, ReplayStatus


class Leases(Protocol):
    """The port of leases: at most one replica holds each. Each method raises HistoryUnavailable."""

    async def lease(self, name: str, holder: str, seconds: float) -> bool:
        """Acquire or renew the lease for this many seconds; returns False while another replica holds it."""
        ...

    async def release(self, name: str, holder: str) -> None:
        """Release the lease if `holder` holds it."""
        ...


@value(frozen=True, slots=True)
class Replica:
    """A process that uses this database. Times are in Unix seconds."""

    id: str
    host: str
    targets: str
    """The target types that it serves, separated by commas."""
    started_at: float
    seen_at: float
    """Time of its last heartbeat, by the database's clock."""
    revision: int
    """The revision of its active hooks."""
    settled: int = 0
    """The revision up to which no delivery of removed hooks is in-flight here."""


class Replicas(Protocol):
    """The port to the list of live replicas. Each method raises HistoryUnavailable."""

    async def seen(self, replica: Replica) -> None:
        """Store this replica's heartbeat and its revisions."""
        ...

    async def replicas(self, within: float) -> Sequence[Replica]:
        """Returns the replicas with a heartbeat in the last `within` seconds."""
        ...

    async def leave(self, replica_id: str) -> None:
        """Remove a replica and its leases at its graceful shutdown."""
        ...


class UnfinishedDeliveries(Protocol):
    """The port to the deliveries of a deleted hook that are not final. Each method raises HistoryUnavailable."""

    async def waiting(self, hook: str) -> int:
        """Returns how many deliveries of the hook are not final."""
        ...

    async def end_waiting(self, hook: str, at: float, limit: int) -> int:
        """Set up to `limit` of them to FAILED with reason `hook_deleted`; returns how many."""
        ...

    async def ended(self, hook: str) -> int:
        """Returns how many deliveries of the hook are FAILED with reason `hook_deleted`."""
        ...


@value(frozen=True, slots=True)
class Restart:
    """A delivery that is retried manually or replayed, with its new generation."""

    delivery_id: str
    event_id: str
    hook: str
    generation: int
    attempts: int
    """The number of earlier attempts; the next attempt continues the numbering."""


class Outbox(Protocol):
    """The transactional outbox: deliveries whose new copy is not published yet. Each method raises HistoryUnavailable.

    A manual retry first raises the delivery's generation and adds the delivery to the outbox, in one transaction; then
    publishes its copy; then removes it from the outbox. A crash at any point at most repeats the publish, and the fence
    drops the second copy.
    """

    async def restart(
        self, delivery_ids: Sequence[str], at: float, *, statuses: frozenset[Status]
    ) -> Sequence[Restart]:
        """Raise the generation of the deliveries with one of these statuses, set them to PENDING and add them to the
        outbox.

        Deliveries whose event was deleted from the history are left unchanged.
        """
        ...

    async def cancel(self, delivery_id: str, at: float) -> bool:
        """Set the delivery to FAILED `cancelled`, raise its generation and remove it from the outbox; returns False
        if it is final or unknown.
        """
        ...

    async def outbox(self, older_than: float, limit: int) -> Sequence[Restart]:
        """Returns entries that were added before that Unix time."""
        ...

    async def sizes(self, event_ids: Sequence[str]) -> Mapping[str, int]:
        """Returns the size of these events in bytes; deleted events are absent."""
        ...

    async def whole_events(self, event_ids: Sequence[str]) -> Sequence[KnownEvent]:
        """Returns these events with their bodies; deleted events are absent."""
        ...

    async def sent(self, restarts: Sequence[Restart]) -> None:
        """Remove entries whose copies were confirmed."""
        ...


@value(frozen=True, slots=True)
class ReplayFilter:
    """A filter for the deliveries of a replay; with `missing`, for events without a delivery for `hook`.

    Times are in Unix seconds of the event's receipt, from `since` to `until` (exclusive).
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
    """A replay job, with its progress. `rate` is in deliveries per second, None: unlimited. Times are in Unix seconds.

    Each hook has its own position, from the oldest event to the newest, so that a failing hook delays no other hook.
    """

    id: str
    which: ReplayFilter
    rate: float | None
    status: ReplayStatus
    total: int
    """The number of matching deliveries, counted when the replay was created."""
    exact: bool
    """False: the count stopped early, so there are more."""
    done: int
    """The number of deliveries that were replayed."""
    left_out: int
    """The number of matching deliveries that were skipped, because their hooks are deleted or disabled."""
    left: Mapping[str, str]
    """The position by hook, empty at the beginning; without hooks that are done."""
    created_at: float
    created_by: str
    updated_at: float
    finished_at: float | None = None
    error: str = ""


@value(frozen=True, slots=True)
class Counted:
    """The number of matching deliveries by hook. `exact` False: counting stopped early, so there are more."""

    by_hook: Mapping[str, int]
    exact: bool = True


@value(frozen=True, slots=True)
class Lacking:
    """Events without a delivery for a hook, oldest first; `reached` is the next position, None at the end."""

    events: Sequence[KnownEvent]
    reached: str | None


class Replays(Protocol):
    """The port of replays. Each method raises HistoryUnavailable.

    A replay takes each delivery that matched when it was created, once. A delivery that has changed since is left
    alone, so a delivery that fails again is not taken again.
    """

    async def count(self, which: ReplayFilter) -> Counted:
        """Returns the number of deliveries that match now, of all hooks; not for `missing`. Takes a few seconds at
        most.
        """
        ...

    async def add_replay(self, replay: Replay) -> None: ...

    async def replay(self, replay_id: str) -> Replay | None: ...

    async def replays(self, *, after: str | None, limit: int) -> Page[Replay]:
        """Returns a page of replays, newest first. Raises ValueError for an invalid cursor."""
        ...

    async def unfinished(self) -> Sequence[Replay]: ...

    async def take(
        self, replay: Replay, hook: str, limit: int, at: float
    ) -> tuple[Replay, Sequence[Restart]]:
        """Move the next deliveries of a hook to the outbox and advance the job, in one transaction; returns the job.

        Takes nothing if the job has ended or another process advanced it.
        """
        ...

    async def lacking(self, replay: Replay, hook: str, limit: int) -> Lacking:
        """Returns the next events for `missing`, whether or not they match the hook; a short page is not the end."""
        ...

    async def supply(
        self, replay: Replay, hook: str, target: str, found: Lacking, at: float
    ) -> tuple[Replay, Sequence[Restart]]:
        """Create deliveries for these events, PENDING and in the outbox, and advance the job, as `take` does.

        Delivery ids are derived from event and hook, so no delivery is created twice. `target` is the type of the
        hook's target.
        """
        ...

    async def leave_out(self, replay: Replay, hook: str, at: float) -> Replay:
        """Count the hook's remaining deliveries as skipped and end its part: the hook is deleted or disabled."""
        ...

    async def end_replay(self, replay_id: str, status: ReplayStatus, at: float, error: str = "") -> bool:
        """Set the final status; returns False if the replay has ended already."""
        ...
