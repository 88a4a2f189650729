"""Making bodies of large events: in a thread, so that nobody waits for it, and not too many at once."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from bridge.model.event import Event
from bridge.ports.budget import Budget, Hold

T = TypeVar("T")

LARGE = 262_144
"""Bytes from which on others should not wait for what is made of them."""
_SHARE = 0.25
"""Of the memory, for what is made of all events that are under way."""
_ONE = ThreadPoolExecutor(1, thread_name_prefix="rendering")
"""Two at once would be no faster, for the interpreter has one lock; and the event loop would wait for both of them."""


class Rendering:
    """Makes what is sent of large events."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._holder = budget.holder("rendered")

    async def make(self, event: Event, build: Callable[[Event], T]) -> tuple[T, Hold | None]:
        """What `build` makes of the event, and its memory, which counts until that is let go of."""
        if event.weight <= LARGE:
            return build(event), None
        await self._holder.room(event.weight, self._budget.share(_SHARE))
        hold = Hold(self._holder, event.weight)
        return await asyncio.get_running_loop().run_in_executor(_ONE, build, event), hold
