"""How long the event loop is held, in processor time of its own thread: what else the machine does counts for nothing."""

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MOST = 0.05
"""Seconds for which no input may hold it."""


@dataclass
class Held:
    """The longest callback so far, in seconds."""

    longest: float = 0.0


@contextmanager
def loop_held() -> Iterator[Held]:
    """Measure the callbacks of asyncio's own loop while this lasts."""
    held, run = Held(), asyncio.Handle._run
    gc.collect()
    gc.freeze()  # the test session's own objects, which a process has not, take the collector long

    def measured(self: asyncio.Handle) -> None:
        began = time.thread_time()
        run(self)
        held.longest = max(held.longest, time.thread_time() - began)

    asyncio.Handle._run = measured  # type: ignore[method-assign]
    try:
        yield held
    finally:
        gc.unfreeze()
        asyncio.Handle._run = run  # type: ignore[method-assign]
