"""The port to the statistics: totals that are maintained in the commit of each delivery, so that queries over a
month are fast.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from bridge.core.base import value

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


class Statistics(Protocol):
    """The port that reads the statistics. Spans are whole buckets, in Unix seconds, from `begin` to `end`
    (exclusive); `widened` of bridge.measuring.spans makes them. Each method raises HistoryUnavailable.
    """

    async def sums(self, hook: str | None, begin: int, end: int) -> Sums:
        """Returns the totals of one hook; None: of all hooks, deleted ones included."""
        ...

    async def sums_by_hook(self, begin: int, end: int, most: int) -> Mapping[str, Sums]:
        """Returns the totals by hook of at most `most` hooks, those with the most deliveries first."""
        ...

    async def series(
        self, hook: str | None, grain: Grain, begin: int, end: int
    ) -> Sequence[tuple[int, Sums]]:
        """Returns, for each non-empty bucket, its beginning and its totals (without `durations`)."""
        ...

    async def health(self, hooks: Sequence[str] | None = None) -> Mapping[str, HookHealth]:
        """Returns the results by hook id; hooks without attempts are absent."""
        ...

    async def measured_top(
        self,
        source: str,
        dimension: str,
        *,
        order: str,
        begin: int,
        end: int,
        limit: int,
        event_type: str | None = None,
    ) -> Sequence[Measured]:
        """Returns the keys of a dimension with the greatest sum of the numeric dimension `order`; "": with the most
        events.

        Begin and end are day boundaries.
        """
        ...

    async def measured_series(
        self, source: str, grain: Literal["hour", "day"], begin: int, end: int, event_type: str | None = None
    ) -> Sequence[MeasuredStep]:
        """Returns the non-empty buckets, in order."""
        ...

    async def prune_statistics(self, now: float, keep: float, limit: int) -> int:
        """Delete about `limit` expired rows, rows of days after `keep` seconds; returns the number deleted."""
        ...


FEWEST = 3
"""The minimum number of failed attempts for a warning: a hook with few events may have recovered."""
