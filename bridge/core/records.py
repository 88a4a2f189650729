"""The results of reading the history, and the records of jobs that survive restarts: leases, replicas, the outbox, replays."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Generic, Literal, TypeVar

from bridge.core.base import value
from bridge.core.delivery import KnownEvidence, Status
from bridge.core.event import Content, Event, Message

T = TypeVar("T")


@value(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list, newest first; `next` is the cursor of the next page, None at the end.

    A page with a `next` is full, unless matches are so rare that the time limit for the search was reached: then the
    page is short or empty.
    """

    items: tuple[T, ...]
    next: str | None


@value(frozen=True, slots=True)
class DeliveryFilter:
    """A filter for deliveries. A delivery must match every field that is set. Times are in Unix seconds: `since` to
    `until` (exclusive) of the event's receipt, `updated_since` to `updated_until` (exclusive) of the last status
    change.
    """

    hook: str | None = None
    statuses: frozenset[Status] = frozenset()
    event_type: str | None = None
    event_id: str | None = None
    since: float | None = None
    until: float | None = None
    updated_since: float | None = None
    updated_until: float | None = None
    source: str | None = None
    reason: str | None = None
    outcome: str | None = None
    """That of the last attempt, as is `status_code`."""
    status_code: int | None = None
    replay: str | None = None
    by_update: bool = False
    """True: ordered by the time of the last status change, not of receipt; filters on that time require this order."""


class EventStatus(StrEnum):
    """The status of an event: hooks matched, all that matched skip it (disabled, duplicate), or none matched."""

    MATCHED = "matched"
    SKIPPED = "skipped"
    UNMATCHED = "unmatched"


@value(frozen=True, slots=True)
class EventFilter:
    """A filter for events. An event must match every field that is set. Times are in Unix seconds of the receipt, from
    `since` to `until` (exclusive). `types`: one of these. `dimensions` of the event's source, each with its key.
    """

    source: str | None = None
    type: str | None = None
    publisher_id: str | None = None
    since: float | None = None
    until: float | None = None
    status: EventStatus | None = None
    webhook_id: str | None = None
    dimensions: tuple[tuple[str, str], ...] = ()
    types: frozenset[str] | None = None


@value(frozen=True, slots=True)
class KnownAttempt:
    """One attempt as stored. `started_at` is in Unix seconds."""

    number: int
    generation: int
    started_at: float
    duration_ms: float
    outcome: str
    status_code: int | None
    response: str
    error: str
    evidence: KnownEvidence | None = None


@value(frozen=True, slots=True)
class LastAttempt:
    """The result of a delivery's latest attempt. `at` is in Unix seconds."""

    at: float
    duration_ms: float
    outcome: str
    status_code: int | None
    error: str


@value(frozen=True, slots=True)
class KnownDelivery:
    """A delivery as stored; `attempts` is their number. Times are in Unix seconds."""

    id: str
    event_id: str
    event_type: str
    hook: str
    target: str
    status: Status
    reason: str
    generation: int
    attempts: int
    created_at: float
    updated_at: float
    next_attempt_at: float | None
    last: LastAttempt | None = None
    """The latest attempt; None if no attempt was made."""


@value(frozen=True, slots=True)
class Beyond:
    """The number of entries after a page; `exact` False: at least this many."""

    count: int
    exact: bool


@value(frozen=True, slots=True)
class KnownEvent:
    """An event as stored, without parsed data.

    `message` has its body and headers; in a list it has neither, nor properties. Only lists fill `status` and `counts`,
    the number of deliveries by status; None if there are too many to count.
    """

    id: str
    source: str
    type: str
    format: str
    publisher_id: str | None
    webhook_id: str
    time: str | None
    received_at: float
    identity: str | None
    message: Message
    status: EventStatus | None = None
    counts: Mapping[Status, int] | None = None

    def as_routed(self, content: Content) -> Event:
        """Returns the event as it was routed, with the parsed content."""
        return Event(
            id=self.id,
            source=self.source,
            type=self.type,
            format=self.format,
            received_at=self.received_at,
            message=self.message,
            data=content.data,
            time=self.time,
            publisher_id=self.publisher_id,
            identity=self.identity,
            webhook_id=self.webhook_id,
            parsed=content.parsed,
            data_fault=content.fault,
        )


# Replay status.


class ReplayStatus(StrEnum):
    """The status of a replay; the last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


# Names and ids in the history.


IdOf = Literal["event", "delivery", "quarantine", "replay"]


# The quarantine (a dead-letter store): messages that could not be handled, stored whole.


REASONS = (
    "batch_too_large", "body_too_large", "bug", "delivery_limit", "ended_the_process", "forged", "headers_too_large",
    "not_a_copy", "not_utf8", "redelivered_too_often", "schema_mismatch", "undecodable",
)  # fmt: skip
"""The reasons for quarantine; rows of other versions may have further reasons."""


@value(frozen=True, slots=True)
class KnownQuarantined:
    """A message in quarantine; `at` is in Unix seconds. In a list, `message` has no body, headers or properties."""

    id: str
    source: str
    reason: str
    detail: str
    at: float
    message: Message


@value(frozen=True, slots=True)
class QuarantineFilter:
    """A filter for quarantined messages. A message must match every field that is set. Times are in Unix seconds of
    the quarantine, from `since` to `until` (exclusive).
    """

    source: str | None = None
    reason: str | None = None
    since: float | None = None
    until: float | None = None


# Statistics: totals that are maintained in the commit of each delivery, so that queries over a month are fast.


Grain = Literal["minute", "hour", "day"]


@value(frozen=True, slots=True)
class Sums:
    """The totals of a time span: final deliveries by status, attempts, and durations of attempts.

    `durations` counts attempts by histogram bucket; see bridge.measuring for the bounds.
    """

    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    attempts: int = 0
    attempts_failed: int = 0
    duration_ms: float = 0.0
    durations: Mapping[int, int] | None = None


@value(frozen=True, slots=True)
class HookHealth:
    """The recent results of a hook. Times are in Unix seconds, None: never.

    `failed_attempts` and `failed_deliveries` (final failures) count since the last success.
    """

    hook: str
    last_attempt_at: float | None = None
    last_success_at: float | None = None
    last_failure_at: float | None = None
    failing_since: float | None = None
    """Time of the first failed attempt since the last success; None if the last attempt succeeded."""
    failed_attempts: int = 0
    failed_deliveries: int = 0

    @property
    def only_fails(self) -> bool:
        """Returns whether all of at least FEWEST attempts since the last success failed."""
        return self.failing_since is not None and self.failed_attempts >= FEWEST


@value(frozen=True, slots=True)
class Failures:
    """The failures of a hook with one outcome and code: attempts, and deliveries that failed for good with that attempt.

    `since` and `until` are the start of the first and the end of the last bucket with one, in Unix seconds.
    """

    hook: str
    outcome: str
    code: int | None
    attempts: int
    deliveries: int
    since: int
    until: int


@value(frozen=True, slots=True)
class Measured:
    """One value of a dimension: the number of events with it and the sums of the source's numeric dimensions."""

    key: str
    events: int
    sums: Mapping[str, float]


@value(frozen=True, slots=True)
class MeasuredStep:
    """The values measured in the bucket that begins at `at`, in Unix seconds."""

    at: float
    events: int
    sums: Mapping[str, float]


FEWEST = 3
"""The minimum number of failed attempts for a warning: a hook with few events may have recovered."""


# Jobs that one replica runs and that survive restarts: leases, replicas, the outbox, replays.


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

    Times are in Unix seconds of the event's receipt, from `since` to `until` (exclusive). `ids`: only these deliveries;
    `outcome` and `status_code` are those of the last attempt.
    """

    hook: str | None = None
    statuses: frozenset[Status] = frozenset({Status.FAILED})
    event_type: str | None = None
    source: str | None = None
    since: float | None = None
    until: float | None = None
    missing: bool = False
    ids: tuple[str, ...] = ()
    outcome: str | None = None
    status_code: int | None = None


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
