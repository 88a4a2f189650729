"""Threads for what blocks, a bounded number of them, that nobody ever has to wait for."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TooManyHang(Exception):
    """Half of the threads or more still work for attempts that ended long ago."""


class Crew:
    """Up to `size` daemon threads at once, one for each piece of work.

    Not concurrent.futures: that joins its threads when Python exits. Whoever stops waiting for its work (by a
    timeout, by being cancelled) leaves a thread behind that holds its place until it ends by itself.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._places = asyncio.Semaphore(size)
        self._left: set[asyncio.Future[None]] = set()

    @property
    def left(self) -> int:
        """Threads that nobody waits for any more."""
        return len(self._left)

    async def run(self, work: Callable[[], T]) -> T:
        """What `work`, run in a thread once there is a place for it, returns or raises.

        Raises TooManyHang at once while half of the places are held by threads left behind.
        """
        if self.left * 2 >= max(self._size, 2):
            raise TooManyHang(f"{self.left} earlier notifications of this hook still hang")
        await self._places.acquire()
        outcome: list[T] = []
        ended = self._start(lambda: outcome.append(work()))
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            if not ended.done():
                self._left.add(ended)
                ended.add_done_callback(self._forget)
            raise
        return outcome[0]

    def _start(self, work: Callable[[], None]) -> "asyncio.Future[None]":
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def end(error: BaseException | None) -> None:
            self._places.release()
            ended.set_exception(error) if error else ended.set_result(None)

        def in_thread() -> None:
            error: BaseException | None = None
            try:
                work()
            except Exception as raised:  # noqa: BLE001 - handed over to who waits
                error = raised
            # The loop may be gone: the bridge does not wait for what hangs.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(end, error)

        try:
            threading.Thread(target=in_thread, name=self._name, daemon=True).start()
        except RuntimeError:  # the system has no thread left to give
            self._places.release()
            raise
        return ended

    def _forget(self, ended: "asyncio.Future[None]") -> None:
        self._left.discard(ended)
        if not ended.cancelled():
            ended.exception()  # Nobody asks any more; unasked it would be logged.
