"""Time spans of statistics: their buckets, histograms of durations, and times in requests.

A span is composed of whole days, with hours and minutes at both ends: a month is some thirty days and at most a few
dozen hours and minutes.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from math import ceil, log2
from typing import Literal

from bridge.core.base import seconds, value

Step = Literal[60, 3600, 86400]
MINUTE: Step = 60
HOUR: Step = 3600
DAY: Step = 86400

MINUTES_KEPT = 2 * DAY
HOURS_KEPT = 60 * DAY
FAR = DAY * 3_000_000
"""The end of an unbounded span, in Unix seconds."""


@value(frozen=True, slots=True)
class BucketRange:
    """Buckets of one length, from `start` to `end` (exclusive), both in Unix seconds and multiples of the length."""

    step: Step
    start: int
    end: int


def widened(since: float | None, until: float | None, now: float, least: Step = MINUTE) -> tuple[int, int]:
    """Returns the span rounded outwards to the shortest whole buckets still stored, at least `least` long."""
    begin = 0 if since is None else floor(since, max(least, _kept(since, now)))
    end = FAR if until is None else -floor(-until, max(least, _kept(until, now)))
    return begin, max(begin, end)


def pieces(begin: int, end: int) -> list[BucketRange]:
    """Returns the pieces of a rounded span, in order."""
    return list(_cut(begin, end, (DAY, HOUR, MINUTE)))


def _cut(begin: int, end: int, steps: tuple[Step, ...]) -> Iterator[BucketRange]:
    if begin >= end:
        return
    step, finer = steps[0], steps[1:]
    first, last = -floor(-begin, step), floor(end, step)
    if first >= last:
        yield from _cut(begin, end, finer)
        return
    yield from _cut(begin, first, finer)
    yield BucketRange(step, first, last)
    yield from _cut(last, end, finer)


def _kept(at: float, now: float) -> Step:
    if at >= now - MINUTES_KEPT:
        return MINUTE
    return HOUR if at >= now - HOURS_KEPT else DAY


def floor(at: float, step: int) -> int:
    """Returns the time rounded down to the beginning of its bucket."""
    return int(at // step) * step


# Histograms of attempt durations: percentiles of any span are computed from sums of bucket counts. Four buckets for
# each doubling from 0.5 ms to 600 s: the bounds of one are a fifth apart, so a percentile is accurate to that.


LEAST_MS = 0.5
MOST_MS = 600_000.0
PER_DOUBLING = 4
_STEPS = ceil(PER_DOUBLING * log2(MOST_MS / LEAST_MS))
EDGES = [min(LEAST_MS * 2.0 ** (step / PER_DOUBLING), MOST_MS) for step in range(_STEPS + 1)]
"""The upper bound of each bucket in milliseconds, inclusive. Stored data depend on these values."""
LAST = len(EDGES)
"""The bucket of durations over MOST_MS; bucket 0 is for LEAST_MS or less."""


def bucket_of(duration_ms: float) -> int:
    """Returns the number of the bucket of a duration."""
    return bisect_left(EDGES, duration_ms)


def bounds(number: int) -> tuple[float, float]:
    """Returns the bounds of a bucket in milliseconds; the last one has no width."""
    low = EDGES[min(number, LAST) - 1] if number > 0 else 0.0
    return low, EDGES[min(max(number, 0), LAST - 1)]


def percentile(durations: Mapping[int, int], share: float) -> float | None:
    """Returns the percentile in milliseconds: the duration that this share of all attempts does not exceed; None
    without attempts.

    Durations are assumed to be evenly spread within a bucket. Durations beyond MOST_MS count as MOST_MS.
    """
    left = share * sum(durations.values())
    found: float | None = None
    for number in sorted(durations):
        count = durations[number]
        if count <= 0:
            continue
        low, high = bounds(number)
        found = low + (high - low) * min(1.0, max(0.0, left / count))
        if left <= count:
            return found
        left -= count
    return found


# Times in requests: RFC 3339, a date, a keyword, or an age. All in UTC.


_LONGEST = 64
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\d*\s?([Zz]|[+ -]\d\d:?\d\d)?", re.ASCII
)
_RELATIVE = re.compile(
    r"(?:now\s*)?([+-])\s*(\d{1,6})\s*([a-z]+)(\s+ago)?|(\d{1,6})\s*([a-z]+)\s+ago", re.ASCII
)
_AGO = re.compile(r"-?(\d{1,6}[smhd])+", re.ASCII)
_WORDS = {"now": None, "today": 0, "yesterday": -1, "tomorrow": 1}
_UNITS = {
    "s": "seconds", "sec": "seconds", "second": "seconds", "m": "minutes", "min": "minutes", "minute": "minutes",
    "h": "hours", "hour": "hours", "d": "days", "day": "days", "w": "weeks", "week": "weeks",
}  # fmt: skip
_MONTHS = {"month": 1, "year": 12}
EXPECTED = (
    "must be RFC 3339 such as 2025-05-05T07:08:09Z, a date such as 2025-05-05, now, today, yesterday, or so long "
    "before now, such as 7d, -24h or 2h30m"
)


def moment(text: str, now: float, *, end: bool = False) -> float:
    """Returns the Unix seconds of `text`. Raises ValueError, which lists the accepted forms.

    A date or a keyword such as `today` is a whole day: its beginning, with `end` its end. A duration is an age before
    `now`. A time without an offset is UTC; months and years follow the calendar.
    """
    given = text.strip()
    if len(given) > _LONGEST:
        raise ValueError(EXPECTED)
    try:
        found = _told(given, datetime.fromtimestamp(now, UTC), end)
    except (ValueError, OverflowError):
        found = None
    if found is None or found.timestamp() < 0:
        raise ValueError(EXPECTED)
    return min(found, _LAST).timestamp()


def _told(text: str, now: datetime, end: bool) -> datetime | None:
    lower = text.lower()
    if lower in _WORDS:
        days = _WORDS[lower]
        return now if days is None else _day(now + timedelta(days=days), end)
    if _DATE.fullmatch(text):
        return _day(datetime.fromisoformat(text), end)
    if found := _MOMENT.fullmatch(text):
        return _written(*found.groups())
    return _relative(lower, now)


def _relative(lower: str, now: datetime) -> datetime | None:
    if _AGO.fullmatch(lower):
        return now - timedelta(seconds=seconds(lower.removeprefix("-")))
    if relative := _RELATIVE.fullmatch(lower):
        sign, number, unit, ago, bare, unit_of_bare = relative.groups()
        if bare is not None:
            return _shifted(now, -int(bare), unit_of_bare)
        return None if ago and sign == "+" else _shifted(now, int(f"{sign}{number}"), unit)
    return None


def _day(within: datetime, end: bool) -> datetime:
    midnight = within.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    return midnight + timedelta(days=1) if end else midnight


def _written(day: str, clock: str, offset: str | None) -> datetime:
    """Returns the parsed time. An unescaped + arrives as a blank; a leap second has no Unix time of its own."""
    clock = clock.replace(":60", ":59")
    zone = (offset or "Z").replace(" ", "+").upper()
    try:
        return max(datetime.fromisoformat(f"{day}T{clock}{zone}").astimezone(UTC), _FIRST)
    except OverflowError:  # the first and the last day of the calendar, which programs use for "none"
        return _FIRST if day < "5000" else _LAST


def _shifted(now: datetime, number: int, unit: str) -> datetime | None:
    name = unit if unit in _UNITS or unit in _MONTHS else unit.removesuffix("s")
    if name in _MONTHS:
        return _months_on(now, number * _MONTHS[name])
    if name not in _UNITS:
        return None
    return now + timedelta(**{_UNITS[name]: number})


def _months_on(now: datetime, months: int) -> datetime:
    """Returns the same day of another month, or its last day."""
    year, month = divmod(now.year * 12 + now.month - 1 + months, 12)
    first = now.replace(year=year, month=month + 1, day=1)
    last = ((first + timedelta(days=31)).replace(day=1) - timedelta(days=1)).day
    return first.replace(day=min(now.day, last))
