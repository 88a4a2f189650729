"""Sums that are kept while deliveries are recorded, so that a month answers at once."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from bridge.core.base import value

Grain = Literal["minute", "hour", "day"]


@value(frozen=True, slots=True)
class Sums:
    """What was counted in a span: final deliveries by status, attempts, and how long these took.

    `durations` counts attempts by bucket; see bridge.measuring for their bounds.
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
    """How a hook has fared lately. Times in Unix seconds, None: never.

    `failed_attempts` and `failed_deliveries` (finally failed) count since the last success.
    """

    hook: str
    last_attempt_at: float | None = None
    last_success_at: float | None = None
    last_failure_at: float | None = None
    failing_since: float | None = None
    """The first failed attempt since the last success; None while the last attempt succeeded."""
    failed_attempts: int = 0
    failed_deliveries: int = 0

    @property
    def only_fails(self) -> bool:
        """Nothing but failures since the last success, and more than a chance one."""
        return self.failing_since is not None and self.failed_attempts >= FEWEST


@value(frozen=True, slots=True)
class Measured:
    """One value of a dimension, with how many events had it and the sums of the source's numeric dimensions."""

    key: str
    events: int
    sums: Mapping[str, float]


@value(frozen=True, slots=True)
class MeasuredStep:
    """What was measured in a step that began at `at`, in Unix seconds."""

    at: float
    events: int
    sums: Mapping[str, float]


class Statistics(Protocol):
    """Reading the sums. Spans are whole steps, in Unix seconds, `begin` until before `end`: see
    bridge.measuring.spans, whose `widened` makes them. All raise HistoryUnavailable.
    """

    async def sums(self, hook: str | None, begin: int, end: int) -> Sums:
        """Of one hook, None: of all that there ever were."""
        ...

    async def sums_by_hook(self, begin: int, end: int, most: int) -> Mapping[str, Sums]:
        """Of at most so many hooks, those with the most deliveries first."""
        ...

    async def series(
        self, hook: str | None, grain: Grain, begin: int, end: int
    ) -> Sequence[tuple[int, Sums]]:
        """For each step in which there was anything, its beginning and its sums (without `durations`)."""
        ...

    async def health(self, hooks: Sequence[str] | None = None) -> Mapping[str, HookHealth]:
        """By hook id; a hook that nothing was attempted for is absent."""
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
        """The keys of a dimension with the greatest sum of `order`, a numeric dimension; "": with the most events.

        Begin and end are those of days.
        """
        ...

    async def measured_series(
        self, source: str, grain: Literal["hour", "day"], begin: int, end: int, event_type: str | None = None
    ) -> Sequence[MeasuredStep]:
        """For each step in which there was an event, in order."""
        ...

    async def prune_statistics(self, now: float, keep: float, limit: int) -> int:
        """Delete some `limit` rows of sums that are no longer kept, those of days after `keep` seconds; gives how many."""
        ...


FEWEST = 3
"""Failed attempts without which nothing is said: a hook that hardly gets events may be well again by now."""
