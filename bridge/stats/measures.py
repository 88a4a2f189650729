"""What sources measured of their events: the values with the most, and series."""

import time
from collections.abc import Mapping, Sequence
from typing import Literal

from bridge.core.event import Source
from bridge.core.statistics import Measured, MeasuredStep
from bridge.formats.text import utc_seconds
from bridge.measuring.dimensions import dimensions_of
from bridge.measuring.spans import DAY, HOUR, Step, widened
from bridge.stats.documents import (
    MeasuredDocument,
    MeasuredStepDocument,
    MeasuresDocument,
    PlaybackDocument,
    PlaybackRow,
    TopDocument,
    TopMediaDocument,
    TopMediaRow,
    TopUserRow,
    TopUsersDocument,
)
from bridge.stats.service import Asked, bounds
from bridge.stats.store import SqlStatistics

PLAYBACK = "playback.ended"
"""The type of Phlix's event that its statistics are over."""
_STEPS: Mapping[Literal["hour", "day"], Step] = {"hour": HOUR, "day": DAY}


class Measures:
    """Asks about sources that declare dimensions."""

    def __init__(self, statistics: SqlStatistics, sources: Sequence[Source]) -> None:
        self._statistics = statistics
        self._names = {source.name: list(dimensions_of(source)) for source in sources}
        self._of_phlix = [source.name for source in sources if source.format in ("phlix", "auto")]
        self._declared = [source.name for source in sources if source.dimensions or source.format == "phlix"]

    @property
    def sources(self) -> list[str]:
        """Those that measure anything; where some do so for certain, without those that might get Phlix's events."""
        return self._declared or [source for source, names in self._names.items() if names]

    def knows(self, source: str) -> bool:
        """Whether there is such a source."""
        return source in self._names

    def dimensions(self, source: str) -> list[str]:
        """The names of a source's dimensions."""
        return self._names.get(source, [])

    async def top(
        self, source: str, dimension: str, asked: Asked, *, order: str, limit: int, event_type: str | None
    ) -> TopDocument:
        """The values of a dimension with the most."""
        now = time.time()
        begin, end = widened(asked.since, asked.until, now, DAY)
        found = await self._statistics.measured_top(
            source,
            dimension,
            order="" if order == "events" else order,
            begin=begin,
            end=end,
            limit=limit,
            event_type=event_type,
        )
        return TopDocument.unchecked(items=list(map(MeasuredDocument.of, found)), **bounds(begin, end, now))

    async def series(
        self, source: str, by: Literal["hour", "day"], asked: Asked, event_type: str | None
    ) -> MeasuresDocument:
        """What was measured, step by step."""
        now = time.time()
        begin, end = widened(asked.since, asked.until, now, _STEPS[by])
        found = await self._statistics.measured_series(source, by, begin, end, event_type)
        return MeasuresDocument.unchecked(
            items=list(map(MeasuredStepDocument.of, found)), **bounds(begin, end, now)
        )

    # ---- in Phlix's words, over all of its sources ------------------------------------------------------

    async def playback(self, asked: Asked) -> PlaybackDocument:
        """Playbacks day by day, in order."""
        begin, end = widened(asked.since, asked.until, time.time(), DAY)
        days: dict[float, list[MeasuredStep]] = {}
        for source in self._of_phlix:
            for step in await self._statistics.measured_series(source, "day", begin, end, PLAYBACK):
                days.setdefault(step.at, []).append(step)
        rows = [
            PlaybackRow(
                date=utc_seconds(at)[:10],
                play_count=_events(steps),
                total_duration=_summed(steps, "duration"),
                completed_count=_summed(steps, "completed"),
            )
            for at, steps in sorted(days.items())
        ]
        return PlaybackDocument(data=rows)

    async def top_users(self, asked: Asked, limit: int) -> TopUsersDocument:
        """Who watched longest."""
        found = await self._phlix_top("user", "duration", asked, limit)
        rows = [
            TopUserRow(user_id=key, total_watch_time=_summed(each, "duration"), play_count=_events(each))
            for key, each in found
        ]
        return TopUsersDocument(data=rows)

    async def top_media(self, asked: Asked, limit: int) -> TopMediaDocument:
        """What was played most often."""
        found = await self._phlix_top("media", "events", asked, limit)
        rows = [
            TopMediaRow(media_item_id=key, play_count=_events(each), total_duration=_summed(each, "duration"))
            for key, each in found
        ]
        return TopMediaDocument(data=rows)

    async def _phlix_top(
        self, dimension: str, order: str, asked: Asked, limit: int
    ) -> list[tuple[str, list[Measured]]]:
        """By key what each source has of it, the greatest first."""
        begin, end = widened(asked.since, asked.until, time.time(), DAY)
        found: dict[str, list[Measured]] = {}
        for source in self._of_phlix:
            top = await self._statistics.measured_top(
                source,
                dimension,
                order="" if order == "events" else order,
                begin=begin,
                end=end,
                limit=limit,
                event_type=PLAYBACK,
            )
            for each in top:
                found.setdefault(each.key, []).append(each)
        weight = _events if order == "events" else lambda each: _summed(each, order)
        return sorted(found.items(), key=lambda item: (-weight(item[1]), item[0]))[:limit]


def _events(found: Sequence[Measured | MeasuredStep]) -> int:
    return sum(each.events for each in found)


def _summed(found: Sequence[Measured | MeasuredStep], name: str) -> int:
    """Phlix's figures are whole numbers."""
    return round(sum(each.sums.get(name, 0.0) for each in found))
