"""The statistics of hooks and of measures, computed from the sums."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

from bridge.core.base import value
from bridge.core.event import Source
from bridge.core.records import Grain, Measured, MeasuredStep
from bridge.formats.text import utc_seconds
from bridge.measuring.dimensions import dimensions_of
from bridge.measuring.spans import DAY, FAR, HOUR, MINUTE, widened
from bridge.stats import documents
from bridge.stats.store import STEPS, SqlStatistics

USUAL_SPANS: Mapping[Grain, float] = {"minute": HOUR, "hour": DAY, "day": 30 * DAY}
"""Seconds that a series covers if no start is given."""
MOST_STEPS = 3000
"""Maximum steps of one series: two days of minutes, four months of hours."""
MOST_BARS = 100
"""Maximum steps of a series among several."""


@value(frozen=True, slots=True)
class TimeRange:
    """The requested span in Unix seconds; None: no bound."""

    since: float | None = None
    until: float | None = None


class TooManySteps(Exception):
    """The series would have too many steps; the text has their number and the limit."""


class HookStatistics:
    """The totals, percentiles and series of deliveries."""

    def __init__(
        self,
        statistics: SqlStatistics,
        there: Callable[[], Collection[str]],
        name_of: Callable[[str], str],
        most_hooks: int = 200,
    ) -> None:
        """`there` returns existing hooks' ids, `name_of` a hook's name; at most `most_hooks` are listed individually."""
        self._statistics = statistics
        self._there = there
        self._name_of = name_of
        self._most_hooks = most_hooks

    async def of_hook(self, hook: str, asked: TimeRange) -> documents.HookStatsDocument:
        """Returns the totals of one hook."""
        now = time.time()
        begin, end = widened(asked.since, asked.until, now)
        sums = await self._statistics.sums(hook, begin, end)
        health = await self._statistics.health([hook])
        named = {"hook": hook, "hook_name": self._name_of(hook)}
        return documents.HookStatsDocument.of(sums, health.values(), **named, **bounds(begin, end, now))

    async def overall(self, asked: TimeRange, hook: str | None, by: Grain | None) -> documents.StatsDocument:
        """Returns the totals of all hooks, or of one, and with `by` a series; raises TooManySteps."""
        now = time.time()
        if by is not None and asked.since is None:
            asked = TimeRange((now if asked.until is None else asked.until) - USUAL_SPANS[by], asked.until)
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
            documents.HookTotalsDocument.of(
                each, [health[name]] if name in health else [], hook=name, hook_name=self._name_of(name)
            )
            for name, each in by_hook.items()
        ]
        return documents.StatsDocument.unchecked(
            **bounds(begin, end, now), totals=documents.TotalsDocument.of(sums, faring), hooks=hooks, **series
        )

    async def failures(self, asked: TimeRange, hook: str | None, most: int) -> documents.FailuresDocument:
        """Returns the most frequent failures by hook, outcome and code, of one hook or of all."""
        now = time.time()
        begin, end = widened(asked.since, asked.until, now)
        hooks = None if hook is None else [hook]
        found = await self._statistics.failures(hooks, begin, end, most)
        items = [documents.FailureDocument.of(each, self._name_of) for each in found]
        return documents.FailuresDocument.unchecked(items=items, **bounds(begin, end, now))

    async def series(self, asked: TimeRange, hooks: Sequence[str], by: Grain) -> documents.ManySeriesDocument:
        """Returns the series of each of these hooks; raises TooManySteps."""
        now = time.time()
        until = now if asked.until is None else asked.until
        since = until - USUAL_SPANS[by] if asked.since is None else asked.since
        begin, end = widened(since, asked.until, now, STEPS[by])
        self._check_steps(begin, min(end, next_step(now, by)), by, MOST_BARS)
        found = await self._statistics.many_series(hooks, by, begin, end)
        items = [
            documents.HookSeriesDocument.unchecked(
                hook=hook,
                hook_name=self._name_of(hook),
                steps=[documents.StatsStepDocument.of(at, sums) for at, sums in steps],
            )
            for hook, steps in found.items()
        ]
        return documents.ManySeriesDocument.unchecked(items=items, **bounds(begin, end, now))

    def _check_steps(self, begin: int, end: int, by: Grain, most: int) -> None:
        steps = (end - begin) // STEPS[by]
        if steps > most:
            raise TooManySteps(f"the span has {steps:,} steps of one {by}, there may be {most:,}")

    async def _series(
        self, hook: str | None, by: Grain, begin: int, end: int
    ) -> list[documents.StatsStepDocument]:
        self._check_steps(begin, end, by, MOST_STEPS)
        found = await self._statistics.series(hook, by, begin, end)
        return [documents.StatsStepDocument.of(at, sums) for at, sums in found]


def bounds(begin: int, end: int, now: float) -> dict[str, float | None]:
    """Returns the span of the answer; without an end it ends now."""
    return {"from_": begin or None, "to": now if end >= FAR else end}


def next_step(now: float, by: Grain) -> int:
    """Returns the end of the present step, where an open series ends."""
    return (int(now // STEPS[by]) + 1) * STEPS[by]


# The measures of sources: the top values, and series.


PLAYBACK = "playback.ended"
"""The type of the event on which Phlix's statistics are based."""


class Measures:
    """The measures of sources that declare dimensions."""

    def __init__(self, statistics: SqlStatistics, sources: Sequence[Source]) -> None:
        self._statistics = statistics
        self._names = {source.name: list(dimensions_of(source)) for source in sources}
        self._of_phlix = [source.name for source in sources if source.format in ("phlix", "auto")]
        self._declared = [source.name for source in sources if source.dimensions or source.format == "phlix"]

    @property
    def sources(self) -> list[str]:
        """Returns the sources with measures; if some declare dimensions, without those that only may receive Phlix's events."""
        return self._declared or [source for source, names in self._names.items() if names]

    def knows(self, source: str) -> bool:
        """Returns whether the source exists."""
        return source in self._names

    def dimensions(self, source: str) -> list[str]:
        """Returns the names of a source's dimensions."""
        return self._names.get(source, [])

    async def top(
        self, source: str, dimension: str, asked: TimeRange, *, order: str, limit: int, event_type: str | None
    ) -> documents.TopDocument:
        """Returns the values of a dimension with the greatest counts or sums."""
        now = time.time()
        begin, end = widened(asked.since, asked.until, now, DAY)
        found = await self._statistics.measured_top(
            source, dimension, order=order, begin=begin, end=end, limit=limit, event_type=event_type
        )
        return documents.TopDocument.unchecked(
            items=list(map(documents.MeasuredDocument.unchecked, found)), **bounds(begin, end, now)
        )

    async def series(
        self, source: str, by: Literal["hour", "day"], asked: TimeRange, event_type: str | None
    ) -> documents.MeasuresDocument:
        """Returns the measures by step."""
        now = time.time()
        begin, end = widened(asked.since, asked.until, now, STEPS[by])
        found = await self._statistics.measured_series(source, by, begin, end, event_type)
        return documents.MeasuresDocument.unchecked(
            items=list(map(documents.MeasuredStepDocument.unchecked, found)), **bounds(begin, end, now)
        )

    # ---- Phlix's statistics, over all of its sources ----------------------------------------------------

    async def playback(self, asked: TimeRange) -> documents.PlaybackDocument:
        """Returns the playbacks by day, in order."""
        begin, end = widened(asked.since, asked.until, time.time(), DAY)
        days: dict[float, list[MeasuredStep]] = {}
        for source in self._of_phlix:
            for step in await self._statistics.measured_series(source, "day", begin, end, PLAYBACK):
                days.setdefault(step.at, []).append(step)
        rows = [
            documents.PlaybackRow(
                date=utc_seconds(at)[:10],
                play_count=_events(steps),
                total_duration=_summed(steps, "duration"),
                completed_count=_summed(steps, "completed"),
            )
            for at, steps in sorted(days.items())
        ]
        return documents.PlaybackDocument(data=rows)

    async def top_users(self, asked: TimeRange, limit: int) -> documents.TopUsersDocument:
        """Returns the users with the longest total watch time."""
        found = await self._phlix_top("user", "duration", asked, limit)
        rows = [
            documents.TopUserRow(
                user_id=key, total_watch_time=_summed(each, "duration"), play_count=_events(each)
            )
            for key, each in found
        ]
        return documents.TopUsersDocument(data=rows)

    async def top_media(self, asked: TimeRange, limit: int) -> documents.TopMediaDocument:
        """Returns the media items that were played most often."""
        found = await self._phlix_top("media", "events", asked, limit)
        rows = [
            documents.TopMediaRow(
                media_item_id=key, play_count=_events(each), total_duration=_summed(each, "duration")
            )
            for key, each in found
        ]
        return documents.TopMediaDocument(data=rows)

    async def _phlix_top(
        self, dimension: str, order: str, asked: TimeRange, limit: int
    ) -> list[tuple[str, list[Measured]]]:
        """Returns the values of each source by key, the greatest first."""
        begin, end = widened(asked.since, asked.until, time.time(), DAY)
        found: dict[str, list[Measured]] = {}
        for source in self._of_phlix:
            top = await self._statistics.measured_top(
                source, dimension, order=order, begin=begin, end=end, limit=limit, event_type=PLAYBACK
            )
            for each in top:
                found.setdefault(each.key, []).append(each)
        weight = _events if order == "events" else lambda each: _summed(each, order)
        return sorted(found.items(), key=lambda item: (-weight(item[1]), item[0]))[:limit]


def _events(found: Sequence[Measured | MeasuredStep]) -> int:
    return sum(each.events for each in found)


def _summed(found: Sequence[Measured | MeasuredStep], name: str) -> int:
    """Returns a total as a whole number, as Phlix's clients expect."""
    return round(sum(each.sums.get(name, 0.0) for each in found))
