"""The points that are checked, in their order."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from playwright.async_api import Error

from tests.ui_check.points import (
    access,
    addresses,
    axe,
    bulk,
    console,
    languages,
    live,
    shell,
    speed,
    tasks,
    texts,
)
from tests.ui_check.subject import Subject

_MOST_SECONDS = 900
"""Seconds for one point; what takes longer hangs."""


@dataclass(frozen=True)
class Point:
    """One point: its number in the list of promises, what it says, and what finds where it does not hold."""

    number: int
    name: str
    check: Callable[[Subject], Awaitable[list[str]]]
    own: bool = False
    """It needs a bridge that was started for the check."""

    def __str__(self) -> str:
        """Its line."""
        return f"{self.number:2}  {self.name}"

    async def found(self, subject: Subject) -> list[str]:
        """Where it does not hold; a check that could not be done is a fault as well."""
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                return await self.check(subject)
        except (AssertionError, Error, OSError, TimeoutError) as error:
            return [f"{type(error).__name__}: {error}"]


QUICK = (
    Point(3, "axe finds nothing on all pages, in their states and looks", axe.check),
    Point(4, "no error in the console, nothing against the policy, no code in attributes", console.check),
    Point(5, "hostile texts are shown as they are and do nothing", texts.check),
    Point(6, "roles see and may do what is theirs; foreign forms change nothing", access.check),
)
"""What is checked in every run of the tests."""
POINTS = (
    *QUICK,
    Point(1, "tasks are done with the promised clicks, on a desk and a phone", tasks.with_script, own=True),
    Point(2, "tasks are done without JavaScript", tasks.without_script, own=True),
    Point(7, "the address is the state of a page", addresses.check),
    Point(9, "pages take 100 ms and 60 kB at the most, and nothing shifts", speed.check),
    Point(10, "what was counted is what is done", bulk.check, own=True),
    Point(11, "a copied command line with curl sends the very body", shell.check, own=True),
    Point(12, "no page overflows with longer words, from right to left", languages.check),
    Point(8, "eight tabs follow what happens, also after a restart", live.check, own=True),
    Point(6, "guessed logins are slowed down", access.guesses),
)
