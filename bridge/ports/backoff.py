"""Waiting before the next try of something that must succeed sooner or later."""

import asyncio
import random


class Backoff:
    """Jittered waits that double from `first` to `longest` seconds: many processes must not try in step."""

    def __init__(self, first: float = 0.2, longest: float = 5.0) -> None:
        self._first = self._wait = first
        self._longest = longest

    @property
    def next_wait(self) -> float:
        """Take the next wait, in seconds."""
        wait, self._wait = self._wait, min(self._wait * 2, self._longest)
        return wait * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not secrecy

    async def pause(self) -> None:
        """Sleep for the next wait."""
        await asyncio.sleep(self.next_wait)

    def reset(self) -> None:
        """It worked: begin with the shortest wait next time."""
        self._wait = self._first
