"""Reading what is large: in a thread of its own, one at a time, and only where there is memory for what comes of it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bridge.codings.inflating import is_compressed
from bridge.core.budget import Budget, Turn
from bridge.core.event import Message
from bridge.pipeline.settlement import InFlight

T = TypeVar("T")

_LOOK_EVERY = 0.02
_GROWTH = 4
"""Times its size that a large body is taken to grow to. What it came to is counted afterwards."""


class LargeBodyReader:
    """Does such work for all sources and lanes in turn. Two at once would be no faster: the interpreter has one lock."""

    def __init__(self, budget: Budget, load: InFlight, most: int, turn: Turn) -> None:
        """`load` tells what is under way and will make room, `most` is what one body may inflate to; `turn`: of what is read
        on the event loop after all.
        """
        self.turn = turn
        self._budget = budget
        self._holder = budget.holder("reading")
        self._load = load
        self._most = most
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._one = asyncio.Lock()

    async def read(self, message: Message, work: Callable[[], T], *, open_here: int = 1) -> T:
        """What `work` gives, which reads the body of the message; `open_here`: how many deliveries of the load wait for
        that.
        """
        needed = self._most if is_compressed(message) else min(self._most, _GROWTH * len(message.body))
        self._waiting += open_here
        try:
            async with self._one:
                while not self._budget.fits(needed) and self._load.open > self._waiting:  # noqa: ASYNC110 - rare
                    await asyncio.sleep(_LOOK_EVERY)
                self._holder.take(needed)
                try:
                    return await asyncio.get_running_loop().run_in_executor(self._thread, work)
                finally:
                    self._holder.give_back(needed)
        finally:
            self._waiting -= open_here

    @property
    def busy(self) -> bool:
        """Something is being read, or waits for that."""
        return self._one.locked()

    def close(self) -> None:
        """Let what is being read end, and wait for nothing."""
        self._thread.shutdown(wait=False, cancel_futures=True)
