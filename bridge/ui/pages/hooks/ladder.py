"""The retry plan of a hook as a drawing: each attempt a step, each wait the way to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log10
from typing import Any

from bridge.core.hook import Retry
from bridge.retry.policy import schedule_of
from bridge.ui.words import duration

_MOST = 12
"""Attempts that are drawn."""
_WIDTH, _HEIGHT = 76, 96
_LONGEST = 86_400.0


@dataclass(frozen=True, slots=True)
class Rung:
    """An attempt: where it stands in the drawing, the wait before it, and the time since the first one, in words."""

    number: int
    left: int
    top: int
    wait: str
    since: str


@dataclass(frozen=True, slots=True)
class Ladder:
    """The attempts that are drawn, and how many there are."""

    rungs: list[Rung]
    attempts: int
    total: str
    """The time from the first attempt to the last."""
    jitter: int
    """How many percent a wait may be longer."""
    max_age: float | None

    @property
    def width(self) -> int:
        """Returns the width of the drawing."""
        return _WIDTH * len(self.rungs)

    @property
    def height(self) -> int:
        """Returns the height of the drawing, without its text."""
        return _HEIGHT


def ladder_of(retry: Mapping[str, Any]) -> Ladder:
    """Returns the ladder of a retry policy of the API."""
    schedule = schedule_of(Retry.model_validate(retry))
    most = schedule.max_attempts if schedule.waits else 1
    rungs, passed = [Rung(1, 0, _HEIGHT - _up(0), "", "")], 0.0
    for number in range(2, most + 1):
        wait = schedule.waits[min(number - 2, len(schedule.waits) - 1)]
        passed += wait
        if number <= _MOST:
            left = _WIDTH * (number - 1)
            rungs.append(Rung(number, left, _HEIGHT - _up(passed), duration(wait), duration(passed)))
    return Ladder(rungs, most, duration(passed), round(schedule.jitter * 100), schedule.max_age)


def _up(seconds: float) -> int:
    """Returns how high an attempt stands that comes so long after the first: a second is low, a day is high."""
    return 8 + round((_HEIGHT - 16) * min(1.0, log10(1 + seconds) / log10(4 * _LONGEST)))
