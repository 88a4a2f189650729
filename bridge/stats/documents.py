"""The documents of statistics."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Self

from pydantic import Field

from bridge.core.statistics import HookHealth, Measured, MeasuredStep, Sums
from bridge.formats.text import utc_seconds
from bridge.http.documents import ClosedDocument, UtcMoment
from bridge.measuring.spans import percentile

Count = Annotated[int, Field(ge=0)]
Milliseconds = Annotated[float, Field(ge=0)]


class TotalsDocument(ClosedDocument):
    """Deliveries that came to a final status in a span, their attempts, and how the hook fares now."""

    total_deliveries: Count
    """SUCCESS, FAILED and SKIPPED together; what waits is not counted yet."""
    succeeded: Count
    """Those that are SUCCESS."""
    failed: Count
    """Those that are FAILED."""
    skipped: Count
    """Those that are SKIPPED, since their hook was disabled."""
    success_rate: Annotated[float, Field(ge=0, le=100)] | None
    """Percentage of succeeded among succeeded and failed; null where there are none."""
    attempts: Count
    """Tries of deliveries."""
    attempts_failed: Count
    """Those that failed."""
    average_ms: Milliseconds | None
    """How long an attempt took, in milliseconds; null where there was none."""
    p50_ms: Milliseconds | None
    """Half of the attempts took no longer."""
    p95_ms: Milliseconds | None
    """95 % of the attempts took no longer; beyond 600,000 nothing is told apart."""
    consecutive_failures: Count
    """Attempts that failed since the last success, whatever the span; of several hooks that of the worst."""
    failing: bool
    """It only fails now, or one of several does: three attempts at the least since the last success."""
    consecutive_failed_deliveries: Count
    """Deliveries that failed for good since the last success."""
    last_success_at: UtcMoment | None
    """When an attempt last succeeded, whatever the span."""
    last_attempt_at: UtcMoment | None
    """When an attempt last ended."""
    failing_since: UtcMoment | None
    """The first failed attempt since the last success; null where the last attempt succeeded."""

    @classmethod
    def of(cls, sums: Sums, health: Iterable[HookHealth], **more: Any) -> Self:
        """Returns the document of these totals, with the health of the worst of the hooks; `more` are further members."""
        every = list(health)
        ended = sums.succeeded + sums.failed
        durations = sums.durations or {}
        return cls.unchecked(
            total_deliveries=ended + sums.skipped,
            succeeded=sums.succeeded,
            failed=sums.failed,
            skipped=sums.skipped,
            success_rate=round(100 * sums.succeeded / ended, 2) if ended else None,
            attempts=sums.attempts,
            attempts_failed=sums.attempts_failed,
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


def _at(choose: Any, moments: Sequence[float | None]) -> str | None:
    known = [moment for moment in moments if moment is not None]
    return utc_seconds(choose(known)) if known else None


class HookStatsDocument(TotalsDocument):
    """The statistics of one hook."""

    hook: str
    """Id of the hook."""
    hook_name: str
    """Name of the hook; its id where the hook is gone."""
    from_: Annotated[UtcMoment | None, Field(alias="from")]
    """Where the span of whole steps begins; null: with the first delivery."""
    to: UtcMoment
    """Where it ends."""


class HookTotalsDocument(TotalsDocument):
    """The statistics of one hook among several."""

    hook: str
    """Id of the hook."""
    hook_name: str
    """Name of the hook; its id where the hook is gone."""


class StatsStepDocument(ClosedDocument):
    """What happened in one minute, hour or day; those in which nothing did are left out."""

    at: UtcMoment
    """Its beginning."""
    succeeded: Count
    """Deliveries that became SUCCESS."""
    failed: Count
    """Deliveries that became FAILED."""
    skipped: Count
    """Deliveries that became SKIPPED."""
    attempts: Count
    """Attempts that ended."""
    average_ms: Milliseconds | None
    """How long they took, in milliseconds; null where there was none."""

    @classmethod
    def of(cls, at: float, sums: Sums) -> Self:
        """Returns the document of the step that begins at this Unix time."""
        return cls.unchecked(
            at=utc_seconds(at),
            succeeded=sums.succeeded,
            failed=sums.failed,
            skipped=sums.skipped,
            attempts=sums.attempts,
            average_ms=_average(sums),
        )


class StatsDocument(ClosedDocument):
    """The statistics of all hooks, or of one."""

    from_: Annotated[UtcMoment | None, Field(alias="from")]
    """Where the span of whole steps begins; null: with the first delivery."""
    to: UtcMoment
    """Where it ends."""
    totals: TotalsDocument
    """All together."""
    hooks: list[HookTotalsDocument]
    """Each by itself, those with the most deliveries first."""
    series: list[StatsStepDocument] | None = None
    """Step by step, where `by` is given."""


class MeasuredDocument(ClosedDocument):
    """One value of a dimension."""

    key: str
    """The value as text."""
    events: Count
    """How many events had it."""
    sums: dict[str, float]
    """Sums of the other dimensions that are numbers, over these events."""

    @classmethod
    def of(cls, measured: Measured) -> Self:
        """Returns the document of the value."""
        return cls.unchecked(key=measured.key, events=measured.events, sums=dict(measured.sums))


class TopDocument(ClosedDocument):
    """The values of a dimension with the most."""

    items: list[MeasuredDocument]
    """The greatest first."""
    from_: Annotated[UtcMoment | None, Field(alias="from")]
    """Where the span of whole days begins; null: with the first event."""
    to: UtcMoment
    """Where it ends."""


class MeasuredStepDocument(ClosedDocument):
    """What was measured in one hour or day; those without events are left out."""

    at: UtcMoment
    """Its beginning."""
    events: Count
    """How many events."""
    sums: dict[str, float]
    """Sums of the dimensions that are numbers."""

    @classmethod
    def of(cls, step: MeasuredStep) -> Self:
        """Returns the document of the step."""
        return cls.unchecked(at=utc_seconds(step.at), events=step.events, sums=dict(step.sums))


class MeasuresDocument(ClosedDocument):
    """What was measured, step by step."""

    items: list[MeasuredStepDocument]
    """In order of time."""
    from_: Annotated[UtcMoment | None, Field(alias="from")]
    """Where the span of whole steps begins; null: with the first event."""
    to: UtcMoment
    """Where it ends."""


class DimensionsDocument(ClosedDocument):
    """What is measured of a source's events."""

    source: str
    """Name of the source."""
    items: list[str]
    """Names of its dimensions."""


class PlaybackRow(ClosedDocument):
    """One day, in Phlix's words."""

    date: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    """The day, in UTC."""
    play_count: Count
    """How often something was played to its end or stopped."""
    total_duration: Annotated[int, Field(ge=0)]
    """How long, in seconds."""
    completed_count: Count
    """How often to the end."""


class TopUserRow(ClosedDocument):
    """One user, in Phlix's words."""

    user_id: str
    """Id of the user."""
    total_watch_time: int
    """How long that user watched, in seconds."""
    play_count: Count
    """How often."""


class TopMediaRow(ClosedDocument):
    """One thing to watch, in Phlix's words."""

    media_item_id: str
    """Its id."""
    play_count: Count
    """How often it was played."""
    total_duration: int
    """How long, in seconds."""


class PlaybackDocument(ClosedDocument):
    """Playbacks day by day."""

    data: list[PlaybackRow]
    """In order of time; days without any are left out."""


class TopUsersDocument(ClosedDocument):
    """Who watches most."""

    data: list[TopUserRow]
    """The longest first."""


class TopMediaDocument(ClosedDocument):
    """What is watched most."""

    data: list[TopMediaRow]
    """The most often first."""
