"""The documents of statistics."""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Self

from pydantic import Field

from bridge.core.records import Failures, HookHealth, Sums
from bridge.http.documents import ClosedDocument, UtcMoment
from bridge.measuring.spans import percentile

Count = Annotated[int, Field(ge=0)]
Milliseconds = Annotated[float, Field(ge=0)]


class TotalsDocument(ClosedDocument):
    """The totals of deliveries that became final in a span, of their attempts, and the present health of the hook."""

    total_deliveries: Count
    """SUCCESS, FAILED and SKIPPED together; waiting deliveries are not counted yet."""
    succeeded: Count
    """Deliveries with status SUCCESS."""
    failed: Count
    """Deliveries with status FAILED."""
    skipped: Count
    """Deliveries with status SKIPPED, because their hook was disabled."""
    success_rate: Annotated[float, Field(ge=0, le=100)] | None
    """Percentage of succeeded among succeeded and failed; null where there are none."""
    attempts: Count
    """Attempts."""
    attempts_failed: Count
    """Attempts that failed."""
    average_ms: Milliseconds | None
    """Average duration of an attempt in milliseconds; null if there was none."""
    p50_ms: Milliseconds | None
    """Median duration of an attempt."""
    p95_ms: Milliseconds | None
    """95th percentile of the duration of an attempt; values beyond 600,000 are not distinguished."""
    consecutive_failures: Count
    """Attempts that failed since the last success, regardless of the span; of several hooks the highest value."""
    failing: bool
    """Whether the hook, or one of several, only fails at present: at least three attempts since the last success."""
    consecutive_failed_deliveries: Count
    """Deliveries that failed for good since the last success."""
    last_success_at: UtcMoment | None
    """When an attempt last succeeded, regardless of the span."""
    last_attempt_at: UtcMoment | None
    """When an attempt last ended."""
    failing_since: UtcMoment | None
    """First failed attempt since the last success; null if the last attempt succeeded."""

    @classmethod
    def of(cls, sums: Sums, health: Iterable[HookHealth], **more: Any) -> Self:
        """Returns the document of these totals, with the health of the worst of the hooks; `more` are further members."""
        every = list(health)
        ended = sums.succeeded + sums.failed
        durations = sums.durations or {}
        return cls.unchecked(
            sums,
            total_deliveries=ended + sums.skipped,
            success_rate=round(100 * sums.succeeded / ended, 2) if ended else None,
            average_ms=_average(sums),
            p50_ms=_rounded(percentile(durations, 0.5)),
            p95_ms=_rounded(percentile(durations, 0.95)),
            consecutive_failures=max((one.failed_attempts for one in every), default=0),
            failing=any(one.only_fails for one in every),
            consecutive_failed_deliveries=max((one.failed_deliveries for one in every), default=0),
            last_success_at=_at(max, [one.last_success_at for one in every]),
            last_attempt_at=_at(max, [one.last_attempt_at for one in every]),
            failing_since=_at(min, [one.failing_since for one in every]),
            **more,
        )


def _average(sums: Sums) -> float | None:
    return _rounded(sums.duration_ms / sums.attempts) if sums.attempts else None


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)


def _at(choose: Any, moments: Sequence[float | None]) -> float | None:
    known = [moment for moment in moments if moment is not None]
    return choose(known) if known else None


class HookStatsDocument(TotalsDocument):
    """The statistics of one hook."""

    hook: str
    """Id of the hook."""
    hook_name: str
    """Name of the hook, with ` (deleted)` after it once the hook is; the id if the name is unknown."""
    from_: Annotated[UtcMoment | None, Field(alias="from")]
    """Start of the span, which has whole steps; null: the first delivery."""
    to: UtcMoment
    """End of the span."""


class HookTotalsDocument(TotalsDocument):
    """The statistics of one hook among several."""

    hook: str
    """Id of the hook."""
    hook_name: str
    """Name of the hook, with ` (deleted)` after it once the hook is; the id if the name is unknown."""


class StatsStepDocument(ClosedDocument):
    """The counts of one minute, hour or day; steps without any are omitted."""

    at: UtcMoment
    """Start of the step."""
    succeeded: Count
    """Deliveries that became SUCCESS."""
    failed: Count
    """Deliveries that became FAILED."""
    skipped: Count
    """Deliveries that became SKIPPED."""
    attempts: Count
    """Attempts that ended."""
    average_ms: Milliseconds | None
    """Average duration of an attempt in milliseconds; null if there was none."""

    @classmethod
    def of(cls, at: float, sums: Sums) -> Self:
        """Returns the document of the step that begins at this Unix time."""
        return cls.unchecked(sums, at=at, average_ms=_average(sums))


class StatsDocument(ClosedDocument):
    """The statistics of all hooks, or of one."""

    from_: Annotated[UtcMoment | None, Field(alias="from")]
    """Start of the span, which has whole steps; null: the first delivery."""
    to: UtcMoment
    """End of the span."""
    totals: TotalsDocument
    """Totals of all hooks."""
    hooks: list[HookTotalsDocument]
    """Totals of each hook, those with the most deliveries first."""
    series: list[StatsStepDocument] | None = None
    """Counts by step, if `by` is given."""


class HookSeriesDocument(ClosedDocument):
    """The counts of one hook by step."""

    hook: str
    """Id of the hook."""
    hook_name: str
    """Name of the hook; its id if the hook does not exist any more."""
    steps: list[StatsStepDocument]
    """In order of time; steps without any delivery or attempt are omitted."""


class ManySeriesDocument(ClosedDocument):
    """The counts of several hooks by step."""

    items: list[HookSeriesDocument]
    """In the order of the request."""
    from_: Annotated[UtcMoment | None, Field(alias="from")]
    """Start of the span, which has whole steps."""
    to: UtcMoment
    """End of the span."""


class FailureDocument(ClosedDocument):
    """The failures of a hook with one outcome and code."""

    hook: str
    """Id of the hook."""
    hook_name: str
    """Name of the hook; its id if the hook does not exist any more."""
    outcome: str
    """Kind of the fault, as in attempts."""
    status_code: int | None
    """HTTP status or exit code."""
    attempts: Count
    """Attempts that failed so."""
    deliveries: Count
    """Deliveries that became FAILED with such an attempt; a later retry does not reduce the number."""
    since: UtcMoment
    """Start of the first step with one."""
    until: UtcMoment
    """End of the last step with one."""

    @classmethod
    def of(cls, known: Failures, name_of: Callable[[str], str]) -> Self:
        """Returns the document of these failures."""
        return cls.unchecked(known, hook_name=name_of(known.hook), status_code=known.code)


class FailuresDocument(ClosedDocument):
    """The failures of a span by hook, outcome and code."""

    items: list[FailureDocument]
    """Most attempts first."""
    from_: Annotated[UtcMoment | None, Field(alias="from")]
    """Start of the span, which has whole steps; null: the first attempt."""
    to: UtcMoment
    """End of the span."""


class MeasuredDocument(ClosedDocument):
    """One value of a dimension."""

    key: str
    """The value as text."""
    events: Count
    """Number of events with this value."""
    sums: dict[str, float]
    """Sums of the other numeric dimensions over these events."""


class TopDocument(ClosedDocument):
    """The top values of a dimension."""

    items: list[MeasuredDocument]
    """Values in descending order."""
    from_: Annotated[UtcMoment | None, Field(alias="from")]
    """Start of the span, which has whole days; null: the first event."""
    to: UtcMoment
    """End of the span."""


class MeasuredStepDocument(ClosedDocument):
    """The measures of one hour or day; steps without events are omitted."""

    at: UtcMoment
    """Start of the step."""
    events: Count
    """Number of events."""
    sums: dict[str, float]
    """Sums of the numeric dimensions."""


class MeasuresDocument(ClosedDocument):
    """The measures by step."""

    items: list[MeasuredStepDocument]
    """In order of time."""
    from_: Annotated[UtcMoment | None, Field(alias="from")]
    """Start of the span, which has whole steps; null: the first event."""
    to: UtcMoment
    """End of the span."""


class DimensionsDocument(ClosedDocument):
    """The dimensions of a source."""

    source: str
    """Name of the source."""
    items: list[str]
    """Names of its dimensions."""


class PlaybackRow(ClosedDocument):
    """The playbacks of one day, with the members of Phlix's API."""

    date: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    """The day, in UTC."""
    play_count: Count
    """Number of playbacks that ended or were stopped."""
    total_duration: Annotated[int, Field(ge=0)]
    """Total duration in seconds."""
    completed_count: Count
    """Number of playbacks that ran to the end."""


class TopUserRow(ClosedDocument):
    """The playbacks of one user, with the members of Phlix's API."""

    user_id: str
    """Id of the user."""
    total_watch_time: int
    """Total watch time in seconds."""
    play_count: Count
    """Number of playbacks."""


class TopMediaRow(ClosedDocument):
    """The playbacks of one media item, with the members of Phlix's API."""

    media_item_id: str
    """Id of the media item."""
    play_count: Count
    """Number of playbacks."""
    total_duration: int
    """Total duration in seconds."""


class PlaybackDocument(ClosedDocument):
    """The playbacks by day."""

    data: list[PlaybackRow]
    """Days in order; days without playbacks are omitted."""


class TopUsersDocument(ClosedDocument):
    """The users with the longest watch time."""

    data: list[TopUserRow]
    """Users in descending order."""


class TopMediaDocument(ClosedDocument):
    """The media items with the most playbacks."""

    data: list[TopMediaRow]
    """Media items in descending order."""
