"""Log lines that many messages give rise to, told once in a while with how many there were."""

import time
from collections.abc import Callable

_PAUSE = 60.0
"""Seconds between two lines of one kind about one thing."""
_MOST = 1000
"""Things that are remembered; their names come in messages, so that anybody can make up more."""


class RateLimitedLog:
    """Counts what happens to one thing, and says when the count is to be logged."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._count: dict[str, int] = {}

    def due(self, about: str) -> int:
        """How often it happened since the last line, this time included; 0 while it is too early for another line."""
        now = self._clock()
        count = self._count.get(about, 0) + 1
        if now < self._last.get(about, now - _PAUSE) + _PAUSE:
            self._count[about] = count
            return 0
        if len(self._last) >= _MOST:
            self._last.clear()
            self._count.clear()
        self._last[about] = now
        self._count.pop(about, None)
        return count
