"""The endpoints of a run: they count what they answered to which event, and have good days and bad days."""

import asyncio
import json
import time
from collections import Counter
from random import Random
from typing import Literal

from aiohttp import web

from tests.support.endpoint import Endpoint

Mood = Literal["well", "failing", "slow"]
Manner = Literal["steady", "flaky", "picky"]

MANNERS: tuple[Manner, ...] = ("steady", "flaky", "picky")
REFUSED = 422
"""What a picky endpoint answers to every hundredth event, for good."""


class CountingEndpoint(Endpoint):
    """One hook's endpoint. `mood` may be changed at any time, `manner` is its own."""

    def __init__(self, manner: Manner, random: Random) -> None:
        super().__init__()
        self.manner = manner
        self.mood: Mood = "well"
        self.answered: Counter[str] = Counter()
        self.first_seen_at: list[float] = []
        self._random = random

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        event = json.loads(await request.read())
        if self.mood == "slow":
            await asyncio.sleep(1)
        code = self._code(event["number"])
        if code == 200:
            if event["id"] not in self.answered:
                self.first_seen_at.append(time.monotonic())
            self.answered[event["id"]] += 1
        return web.Response(status=code)

    def _code(self, number: int) -> int:
        if self.manner == "picky" and number % 100 == 99:
            return REFUSED
        if self.mood == "failing" or (self.manner == "flaky" and self._random.random() < 0.05):
            return 500
        return 200
