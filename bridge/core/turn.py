"""Cooperative scheduling: the time that message handling may take in one iteration of the event loop."""

import asyncio
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

MOST = 0.005
"""Maximum seconds of one iteration; the message that exceeds it is finished."""
_WOKEN = 16
"""Maximum number of waiting tasks that are resumed in one iteration."""


class Turn:
    """The time slice of one event loop's iteration. A chunk from the broker may hold hundreds of messages, each
    with many values.
    """

    def __init__(self, most: float = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._began: float | None = None
        self._numbers = count()
        self._waiting: list[tuple[int, asyncio.Future[bool]]] = []
        self._woken = 0

    def is_over(self) -> bool:
        """Returns whether long work should wait for the next iteration. Call it before each piece of work: the
        first call starts the clock.
        """
        if self._began is None:
            self._began = self._clock()
            asyncio.get_running_loop().call_soon(self._next)
            return False
        return self._clock() - self._began > self._most

    async def own(self) -> None:
        """Return at once if time is left, else in a later iteration, first come first served."""
        if not self._waiting and not self._woken and not self.is_over():
            return
        number = next(self._numbers)
        while True:
            mine: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            heappush(self._waiting, (number, mine))
            self.is_over()
            try:
                is_first = await mine
            finally:
                self._woken -= mine.done() and not mine.cancelled()
            if not self.is_over() or is_first:
                return

    def _next(self) -> None:
        """Start the next iteration: the first waiting task runs, the next ones as long as time is left."""
        self._began = None
        while self._waiting and self._woken < _WOKEN:
            _, each = heappop(self._waiting)
            if not each.done():  # not cancelled
                each.set_result(not self._woken)
                self._woken += 1
        if self._waiting:
            self.is_over()
