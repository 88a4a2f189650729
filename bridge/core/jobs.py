"""Ports of jobs that one replica runs and that survive restarts: leases, replicas, the outbox, replays."""

from collections.abc import Mapping, Sequence

from bridge.core.base import value
from bridge.core.delivery import Status
from bridge.core.records import KnownEvent, ReplayStatus


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


@value(frozen=True, slots=True)
class Restart:
    """A delivery that is retried manually or replayed, with its new generation."""

    delivery_id: str
    event_id: str
    hook: str
    generation: int
    attempts: int
    """The number of earlier attempts; the next attempt continues the numbering."""


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
class MatchCounts:
    """The number of matching deliveries by hook. `exact` False: counting stopped early, so there are more."""

    by_hook: Mapping[str, int]
    exact: bool = True


@value(frozen=True, slots=True)
class Lacking:
    """Events without a delivery for a hook, oldest first; `reached` is the next position, None at the end."""

    events: Sequence[KnownEvent]
    reached: str | None
