"""How hooks fare and what sources measured, asked of the sums."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from bridge.core.base import value
from bridge.core.statistics import Grain, HookHealth, Sums
from bridge.formats.text import utc_seconds
from bridge.measuring.spans import DAY, FAR, HOUR, MINUTE, Step, percentile, widened
from bridge.stats.store import SqlStatistics

STEPS: Mapping[Grain, Step] = {"minute": MINUTE, "hour": HOUR, "day": DAY}
USUAL_SPANS: Mapping[Grain, float] = {"minute": HOUR, "hour": DAY, "day": 30 * DAY}
"""Seconds that a series goes back where no beginning is given."""
MOST_STEPS = 3000
"""Of one series: two days of minutes, four months of hours."""


@value(frozen=True, slots=True)
class Asked:
    """A span as it was asked for, in Unix seconds; None: no bound."""

    since: float | None = None
    until: float | None = None


class TooManySteps(Exception):
    """The series would have too many steps; the text says how many and how many there may be."""


class HookStatistics:
    """Totals, percentiles and series of deliveries."""

    def __init__(
        self,
        statistics: SqlStatistics,
        there: Callable[[], Collection[str]],
        name_of: Callable[[str], str],
        most_hooks: int = 200,
    ) -> None:
        """`there` gives the ids of the hooks that there are, `name_of` the name of one; `most_hooks`: how many are told one by one."""
        self._statistics = statistics
        self._there = there
        self._name_of = name_of
        self._most_hooks = most_hooks

    async def of_hook(self, hook: str, asked: Asked) -> dict[str, Any]:
        """A HookStatsDocument."""
        now = time.time()
        begin, end = widened(asked.since, asked.until, now)
        sums = await self._statistics.sums(hook, begin, end)
        health = await self._statistics.health([hook])
        return {
            "hook": hook,
            "hook_name": self._name_of(hook),
            **bounds(begin, end, now),
            **totals(sums, health.values()),
        }

    async def overall(self, asked: Asked, hook: str | None, by: Grain | None) -> dict[str, Any]:
        """A StatsDocument; raises TooManySteps."""
        now = time.time()
        if by is not None and asked.since is None:
            asked = Asked((now if asked.until is None else asked.until) - USUAL_SPANS[by], asked.until)
        begin, end = widened(asked.since, asked.until, now, MINUTE if by is None else STEPS[by])
        series = (
            {}
            if by is None
            else {"series": await self._series(hook, by, begin, min(end, next_step(now, by)))}
        )
        sums = await self._statistics.sums(hook, begin, end)
        if hook is None:
            by_hook = await self._statistics.sums_by_hook(begin, end, self._most_hooks)
            health = await self._statistics.health()
            there = set(self._there())
            faring = [each for name, each in health.items() if name in there]
        else:
            by_hook = {hook: sums}
            health = await self._statistics.health([hook])
            faring = list(health.values())
        return {
            **bounds(begin, end, now),
            "totals": totals(sums, faring),
            "hooks": [
                {
                    "hook": name,
                    "hook_name": self._name_of(name),
                    **totals(each, [health[name]] if name in health else []),
                }
                for name, each in by_hook.items()
            ],
            **series,
        }

    async def _series(self, hook: str | None, by: Grain, begin: int, end: int) -> list[dict[str, Any]]:
        steps = (end - begin) // STEPS[by]
        if steps > MOST_STEPS:
            raise TooManySteps(f"the span has {steps:,} steps of one {by}, there may be {MOST_STEPS:,}")
        found = await self._statistics.series(hook, by, begin, end)
        return [
            {
                "at": utc_seconds(at),
                "succeeded": sums.succeeded,
                "failed": sums.failed,
                "skipped": sums.skipped,
                "attempts": sums.attempts,
                "average_ms": _average(sums),
            }
            for at, sums in found
        ]


def totals(sums: Sums, health: Iterable[HookHealth]) -> dict[str, Any]:
    """A TotalsDocument. Of several hooks the worst tells how they fare."""
    every = list(health)
    ended = sums.succeeded + sums.failed
    durations = sums.durations or {}
    return {
        "total_deliveries": ended + sums.skipped,
        "succeeded": sums.succeeded,
        "failed": sums.failed,
        "skipped": sums.skipped,
        "success_rate": round(100 * sums.succeeded / ended, 2) if ended else None,
        "attempts": sums.attempts,
        "attempts_failed": sums.attempts_failed,
        "average_ms": _average(sums),
        "p50_ms": _rounded(percentile(durations, 0.5)),
        "p95_ms": _rounded(percentile(durations, 0.95)),
        "consecutive_failures": max((one.failed_attempts for one in every), default=0),
        "failing": any(one.only_fails for one in every),
        "consecutive_failed_deliveries": max((one.failed_deliveries for one in every), default=0),
        "last_success_at": _at(max, [one.last_success_at for one in every]),
        "last_attempt_at": _at(max, [one.last_attempt_at for one in every]),
        "failing_since": _at(min, [one.failing_since for one in every]),
    }


def bounds(begin: int, end: int, now: float) -> dict[str, str | None]:
    """The span that was answered; one without an end ends now."""
    return {"from": utc_seconds(begin) if begin else None, "to": utc_seconds(now if end >= FAR else end)}


def next_step(now: float, by: Grain) -> int:
    """The end of the step that is under way, where an open series ends."""
    return (int(now // STEPS[by]) + 1) * STEPS[by]


def _average(sums: Sums) -> float | None:
    return _rounded(sums.duration_ms / sums.attempts) if sums.attempts else None


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)


def _at(choose: Any, moments: Sequence[float | None]) -> str | None:
    known = [moment for moment in moments if moment is not None]
    return utc_seconds(choose(known)) if known else None
