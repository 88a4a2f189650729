"""The documents of the overview: what needs attention, and the figures of the last hour."""

from typing import Annotated, Literal, Self

from pydantic import Field

from bridge.core.records import Beyond, Failures
from bridge.http.documents import ClosedDocument, UtcMoment

Count = Annotated[int, Field(ge=0)]

AlarmKind = Literal[
    "database_down",
    "broker_down",
    "source_down",
    "problem",
    "hook_broken",
    "hook_failing",
    "hook_paused",
    "breaker_open",
    "quarantine",
    "replay_running",
]
"""The kinds of alarms, the worst first."""


class CauseDocument(ClosedDocument):
    """The failures of a failing hook with one outcome and code, since it fails."""

    outcome: str
    """Kind of the fault, as in attempts."""
    status_code: int | None
    """HTTP status or exit code."""
    attempts: Count
    """Attempts that failed so."""
    deliveries: Count
    """Deliveries that became FAILED with such an attempt."""

    @classmethod
    def of(cls, known: Failures) -> Self:
        """Returns the document of these failures."""
        return cls.unchecked(known, status_code=known.code)


class AlarmDocument(ClosedDocument):
    """Something that needs attention, or is in progress."""

    kind: AlarmKind
    """What it is about."""
    level: Literal["critical", "warning", "info"]
    """critical: nothing is delivered, to one hook or to all; warning: something waits for a person; info: in progress."""
    id: str
    """Id of the hook or replay, name of the source, role of the connection, or reason of the quarantine; else empty."""
    name: str
    """The same for people: name of the hook."""
    since: UtcMoment | None = None
    """Since when, if known."""
    reason: str | None = None
    """Reason in words, if there is one."""
    waiting: Count | None = None
    """Of a hook: deliveries that wait for it."""
    failed: Count | None = None
    """Of a failing hook: deliveries that failed for good since then."""
    breaker: Literal["closed", "open", "half_open"] | None = None
    """Of a hook: its breaker in this process."""
    causes: list[CauseDocument] = Field(default_factory=list)
    """Of a failing hook: what its attempts came to since then, the most frequent first."""
    pauses_at: UtcMoment | None = None
    """Of a failing hook: when it will be paused if it goes on failing; null: never."""
    count: Count | None = None
    """Of the quarantine: messages with this reason, counted up to 10,000. Of a replay: deliveries done."""
    total: Count | None = None
    """Of a replay: deliveries in all."""
    exact: bool = True
    """false: `count` or `total` is at least this."""


class CountDocument(ClosedDocument):
    """A number that is counted up to a limit."""

    count: Count
    """The number."""
    exact: bool
    """false: there are more."""

    @classmethod
    def of(cls, known: Beyond) -> Self:
        """Returns the document of a count."""
        return cls.unchecked(known)


class TilesDocument(ClosedDocument):
    """The figures of the last hour, and of what waits now."""

    since: UtcMoment
    """Start of the hour, a whole minute."""
    delivered: Count
    """Deliveries that became SUCCESS."""
    failed: Count
    """Deliveries that became FAILED."""
    attempts: Count
    """Attempts that ended."""
    attempts_failed: Count
    """Attempts that failed."""
    p95_ms: Annotated[float, Field(ge=0)] | None
    """95th percentile of the duration of an attempt in milliseconds; null if there was none."""
    waiting: CountDocument
    """Deliveries that wait now, PENDING or RETRYING."""
    oldest_waiting_at: UtcMoment | None
    """When the event of the oldest of these was received; null if none waits."""
    quarantined: CountDocument
    """Messages that came into quarantine and are still there."""


class OverviewDocument(ClosedDocument):
    """The state of the bridge: what needs attention, and the figures of the last hour. Up to a second old."""

    at: UtcMoment
    """When it was made."""
    alarms: list[AlarmDocument]
    """What needs attention, the worst first; at most 200."""
    more_alarms: Count
    """Number of further ones."""
    last_failure_at: UtcMoment | None
    """When an attempt last failed; null: never, as far as known."""
    tiles: TilesDocument | None
    """Figures; null while the database does not respond."""
