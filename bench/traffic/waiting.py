"""Waiting for what only shows when it is looked at."""

import asyncio
from collections.abc import Awaitable, Callable


async def poll(count: Callable[[], Awaitable[int]], wanted: int, every_seconds: float) -> None:
    """Returns once the count is at least `wanted`; the caller bounds it in time."""
    while await count() < wanted:  # noqa: ASYNC110 - a broker and a file tell nothing unless they are asked
        await asyncio.sleep(every_seconds)
