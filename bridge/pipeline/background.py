"""Small pieces of work that are done in the background, one after the other, each until it succeeds."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from bridge.core.base import Backoff
from bridge.core.errors import BridgeError

log = structlog.get_logger(__name__)

_MOST = 1000
"""That wait at once; beyond, the oldest is given up."""


class BackgroundQueue:
    """What was asked for is done in the order it came; what fails with a BridgeError is tried again."""

    def __init__(self, name: str) -> None:
        """`name` is what the log calls it."""
        self._name = name
        self._waiting: deque[Callable[[], Awaitable[None]]] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, work: Callable[[], Awaitable[None]]) -> None:
        """Have it done soon."""
        if len(self._waiting) >= _MOST:
            self._waiting.popleft()
            log.error("background_task.dropped", errands=self._name, effect=f"more than {_MOST} wait")
        self._waiting.append(work)
        self._idle.clear()
        self._arrived.set()

    async def run(self) -> None:
        """Do it all, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._done(self._waiting.popleft())
            self._idle.set()

    async def drained(self) -> None:
        """Return once all that was asked for is done."""
        await self._idle.wait()

    async def _done(self, work: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(0.5)
        while True:
            try:
                await work()
            except BridgeError as error:
                log.warning("background_task.failed", errands=self._name, error=str(error))
                await backoff.pause()
            except Exception:
                # A bug in one piece of work must cost neither the others nor the bridge.
                log.exception("background_task.internal_error", errands=self._name)
                return
            else:
                return
