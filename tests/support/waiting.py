"""Waiting for a condition with a deadline, in place of sleeping and hoping."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any


async def until(
    look: Callable[[], Any],
    seconds: float = 15.0,
    *,
    what: str | Callable[[], str] = "",
    every: float = 0.05,
) -> Any:
    """What `look`, or what it returns to be awaited, gives as soon as that is true; AssertionError with `what` when it takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        if time.monotonic() > deadline:
            said = what() if callable(what) else what
            raise AssertionError(f"not within {seconds:g} s: {said or inspect.getsource(look).strip()}")
        await asyncio.sleep(every)


async def holds(look: Callable[[], Any], seconds: float, *, what: str) -> None:
    """Return after `seconds` in which `look` was true all the time; for what must not happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        assert await found if inspect.isawaitable(found) else found, what
        await asyncio.sleep(0.05)
