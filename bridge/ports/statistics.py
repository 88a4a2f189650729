"""Sums that are kept while deliveries are recorded, so that a month answers at once."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from bridge.model.value import value

Grain = Literal["minute", "hour", "day"]


@value(frozen=True, slots=True)
class Sums:
    """What was counted in a span: final deliveries by status, attempts, and how long these took.

    `durations` counts attempts by bucket; see bridge.rules.statistics for their bounds.
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


@value(frozen=True, slots=True)
class Measured:
    """One value of a dimension, with how many events had it and the sums of the source's numeric dimensions."""

    key: str
    events: int
    sums: Mapping[str, float]


class Statistics(Protocol):
    """Reading the sums. Spans are Unix seconds, `since` until before `until`, widened to whole steps. All raise
    HistoryUnavailable.
    """

    async def sums(self, hook: str | None, since: float | None, until: float | None) -> Sums: ...

    async def sums_by_hook(self, since: float | None, until: float | None) -> Mapping[str, Sums]: ...

    async def series(
        self, hook: str | None, grain: Grain, since: float, until: float
    ) -> Sequence[tuple[float, Sums]]:
        """For each step in which there was anything, its beginning and its sums (without `durations`)."""
        ...

    async def health(self, hooks: Sequence[str] | None = None) -> Mapping[str, HookHealth]: ...

    async def measured_top(
        self,
        source: str,
        dimension: str,
        *,
        order: str,
        since: float | None,
        until: float | None,
        limit: int,
        event_type: str | None = None,
    ) -> Sequence[Measured]:
        """The values of a dimension with the greatest `order`: `events`, or the name of a numeric dimension."""
        ...

    async def measured_series(
        self,
        source: str,
        grain: Literal["hour", "day"],
        since: float | None,
        until: float | None,
        event_type: str | None = None,
    ) -> Sequence[Measured]:
        """For each step its beginning (RFC 3339 in `key`), events and sums."""
        ...
