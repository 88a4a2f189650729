"""The results of statistics: totals that are maintained in the commit of each delivery, so that queries over a
month are fast.
"""

from collections.abc import Mapping
from typing import Literal

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


FEWEST = 3
"""The minimum number of failed attempts for a warning: a hook with few events may have recovered."""
