"""Which sums a span is put together from: whole days, and at both ends hours and minutes.

A month is then some thirty days and at most a few dozen hours and minutes, whatever happened in it.
"""

from collections.abc import Iterator
from typing import Literal

from bridge.model.value import value

Step = Literal[60, 3600, 86400]
MINUTE: Step = 60
HOUR: Step = 3600
DAY: Step = 86400

MINUTES_KEPT = 2 * DAY
HOURS_KEPT = 60 * DAY
FAR = DAY * 3_000_000
"""Beyond everything, in Unix seconds: the end of a span that has none."""


@value(frozen=True, slots=True)
class Piece:
    """Steps of one length, from `start` until before `end`, both in Unix seconds and multiples of it."""

    step: Step
    start: int
    end: int


def widened(since: float | None, until: float | None, now: float, least: Step = MINUTE) -> tuple[int, int]:
    """The span of whole steps around this one. Steps are as short as they are still kept, and at least `least`."""
    begin = 0 if since is None else _floor(since, max(least, _kept(since, now)))
    end = FAR if until is None else -_floor(-until, max(least, _kept(until, now)))
    return begin, max(begin, end)


def pieces(begin: int, end: int) -> list[Piece]:
    """What a widened span consists of, in order."""
    return list(_cut(begin, end, (DAY, HOUR, MINUTE)))


def floor(at: float, step: Step) -> int:
    """The beginning of the step that a moment lies in."""
    return _floor(at, step)


def _cut(begin: int, end: int, steps: tuple[Step, ...]) -> Iterator[Piece]:
    if begin >= end:
        return
    step, finer = steps[0], steps[1:]
    first, last = -_floor(-begin, step), _floor(end, step)
    if first >= last:
        yield from _cut(begin, end, finer)
        return
    yield from _cut(begin, first, finer)
    yield Piece(step, first, last)
    yield from _cut(last, end, finer)


def _kept(at: float, now: float) -> Step:
    if at >= now - MINUTES_KEPT:
        return MINUTE
    return HOUR if at >= now - HOURS_KEPT else DAY


def _floor(at: float, step: int) -> int:
    return int(at // step) * step
