"""How hooks fare and what sources measured, asked of the sums."""

import time
from collections.abc import Callable, Collection, Mapping

from bridge.core.base import value
from bridge.core.statistics import Grain
from bridge.formats.text import utc_seconds
from bridge.measuring.spans import DAY, FAR, HOUR, MINUTE, Step, widened
from bridge.stats.documents import (
    HookStatsDocument,
    HookTotalsDocument,
    StatsDocument,
    StatsStepDocument,
    TotalsDocument,
)
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

    async def of_hook(self, hook: str, asked: Asked) -> HookStatsDocument:
        """The totals of one hook."""
        now = time.time()
        begin, end = widened(asked.since, asked.until, now)
        sums = await self._statistics.sums(hook, begin, end)
        health = await self._statistics.health([hook])
        named = {"hook": hook, "hook_name": self._name_of(hook)}
        return HookStatsDocument.of(sums, health.values(), **named, **bounds(begin, end, now))

    async def overall(self, asked: Asked, hook: str | None, by: Grain | None) -> StatsDocument:
        """The totals of all hooks, or of one, and with `by` their series; raises TooManySteps."""
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
        hooks = [
            HookTotalsDocument.of(
                each, [health[name]] if name in health else [], hook=name, hook_name=self._name_of(name)
            )
            for name, each in by_hook.items()
        ]
        return StatsDocument.unchecked(
            **bounds(begin, end, now), totals=TotalsDocument.of(sums, faring), hooks=hooks, **series
        )

    async def _series(self, hook: str | None, by: Grain, begin: int, end: int) -> list[StatsStepDocument]:
        steps = (end - begin) // STEPS[by]
        if steps > MOST_STEPS:
            raise TooManySteps(f"the span has {steps:,} steps of one {by}, there may be {MOST_STEPS:,}")
        found = await self._statistics.series(hook, by, begin, end)
        return [StatsStepDocument.of(at, sums) for at, sums in found]


def bounds(begin: int, end: int, now: float) -> dict[str, str | None]:
    """The span that was answered; one without an end ends now."""
    return {"from_": utc_seconds(begin) if begin else None, "to": utc_seconds(now if end >= FAR else end)}


def next_step(now: float, by: Grain) -> int:
    """The end of the step that is under way, where an open series ends."""
    return (int(now // STEPS[by]) + 1) * STEPS[by]
