"""What people ask of the sums, each with the time that it takes."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sized
from statistics import median

from bench.archive import rows
from bench.archive.answer import Answer
from bridge.measuring.spans import DAY, HOUR, widened
from bridge.stats.store import SqlStatistics

_TIMES = 10
_MOST_HOOKS = 200

Ask = Callable[[], Awaitable[Sized]]


async def answers(statistics: SqlStatistics) -> list[Answer]:
    """Every question's."""
    return [await _measure(title, ask) for title, ask in _questions(statistics)]


async def _measure(title: str, ask: Ask) -> Answer:
    took: list[float] = []
    items = 0
    for _ in range(_TIMES):
        started = time.perf_counter()
        items = len(await ask())
        took.append((time.perf_counter() - started) * 1000)
    return Answer(title, took[0], median(took), max(took), items, short=False)


def _questions(statistics: SqlStatistics) -> Iterator[tuple[str, Ask]]:
    end, middle = rows.END, HOUR / 2 + 7
    spans = {"an hour": HOUR, "a day": DAY, "a week": 7 * DAY, "a month": 30 * DAY}
    for name, length in spans.items():
        span = widened(end - length - middle, end, end)
        for hook in (None, rows.BUSY, rows.QUIET):
            yield f"statistics: {hook or 'all'}, {name}", _sums(statistics, hook, span)
        yield f"statistics: each hook, {name}", _by_hook(statistics, span)
    month = widened(end - 30 * DAY, end, end, DAY)
    for grain, begin in (("minute", end - DAY), ("hour", end - 30 * DAY), ("day", end - 30 * DAY)):
        span = widened(begin, end, end)
        yield f"statistics: series of each {grain}", _series(statistics, grain, span)
    for order in ("", "duration"):
        yield f"statistics: top users by {order or 'events'}, a month", _top(statistics, order, month)
    yield "statistics: measures of each hour, a month", _measured(statistics, month)


def _sums(statistics: SqlStatistics, hook: str | None, span: tuple[int, int]) -> Ask:
    async def ask() -> Sized:
        found = await statistics.sums(hook, *span)
        assert found.attempts or hook == rows.QUIET
        await statistics.health(None if hook is None else [hook])
        return [found]

    return ask


def _by_hook(statistics: SqlStatistics, span: tuple[int, int]) -> Ask:
    return lambda: statistics.sums_by_hook(*span, most=_MOST_HOOKS)


def _series(statistics: SqlStatistics, grain: str, span: tuple[int, int]) -> Ask:
    match grain:
        case "minute" | "hour" | "day":
            return lambda: statistics.series(None, grain, *span)
        case _:
            raise ValueError(grain)


def _top(statistics: SqlStatistics, order: str, span: tuple[int, int]) -> Ask:
    begin, end = span
    return lambda: statistics.measured_top(
        rows.SOURCES[1], "user", order=order, begin=begin, end=end, limit=10, event_type="playback.ended"
    )


def _measured(statistics: SqlStatistics, span: tuple[int, int]) -> Ask:
    return lambda: statistics.measured_series(rows.SOURCES[1], "hour", *span)
