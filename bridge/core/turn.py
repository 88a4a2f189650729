"""The present turn of the event loop, of which messages may take so much: others wait for its end."""

import asyncio
import time
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

MOST = 0.005
"""Seconds of one turn; the message that goes beyond is finished."""
_WOKEN = 16
"""Of those who wait, who may go on in one turn."""


class Turn:
    """One for each event loop. A chunk from the broker may hold hundreds of messages, and each of them many values."""

    def __init__(self, most: float = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._began: float | None = None
        self._numbers = count()
        self._waiting: list[tuple[int, asyncio.Future[bool]]] = []
        self._woken = 0

    def is_over(self) -> bool:
        """Whether what takes time should wait for another turn; asked before each piece of it, for the first question
        marks the beginning.
        """
        if self._began is None:
            self._began = self._clock()
            asyncio.get_running_loop().call_soon(self._next)
            return False
        return self._clock() - self._began > self._most

    async def own(self) -> None:
        """Return at once if there is time left, else in a later turn, in the order of those who asked."""
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
        """Another turn: the first of those who wait has it, the others as far as there is time."""
        self._began = None
        while self._waiting and self._woken < _WOKEN:
            _, each = heappop(self._waiting)
            if not each.done():  # else it was cancelled
                each.set_result(not self._woken)
                self._woken += 1
        if self._waiting:
            self.is_over()
