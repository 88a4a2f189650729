"""Reading the bodies of requests: no larger, no slower and no more at once than there is room for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.http.inlet_answers import MALFORMED, TOO_SLOW, Refusal, too_large, unavailable
from bridge.ports.budget import Budget

MOST_REQUESTS = 1000
MOST_BYTES = 256 * 1024 * 1024
_SHARE = 0.25
BODY_TIME = 30.0
"""Seconds for a whole body to arrive."""

_CROWDED = unavailable("too many requests at once", "too_many", close=True)


class Room:
    """What all requests together may hold, on both sockets."""

    def __init__(
        self, budget: Budget | None = None, requests: int = MOST_REQUESTS, octets: int = MOST_BYTES
    ) -> None:
        """`octets` at the most, within a quarter of the `budget` and what of it is free."""
        self._budget = budget or Budget()
        self._holder = self._budget.holder("inlets")
        self._most_requests = requests
        self._most_octets = min(octets, self._budget.share(_SHARE))
        self.requests = 0
        self.octets = 0

    @contextmanager
    def place(self) -> Iterator["Place | None"]:
        """A place for one request while it is handled; None where all are taken."""
        if self.requests >= self._most_requests:
            yield None
            return
        self.requests += 1
        place = Place(self)
        try:
            yield place
        finally:
            self.requests -= 1
            self.octets -= place.octets
            self._holder.give_back(place.octets, 0)

    def has_space_for(self, octets: int) -> bool:
        """One body has it always, however large a setting lets it be."""
        if self.requests == 1:
            return True
        return self.octets + octets <= self._most_octets and self._budget.fits(octets)

    def hold(self, octets: int) -> None:
        """So much more is held."""
        self.octets += octets
        self._holder.take(octets, 0)


class Place:
    """What one request holds."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.octets = 0

    def grow(self, octets: int) -> bool:
        """Hold that much more; False where there is no room for it."""
        if not self._room.has_space_for(octets):
            return False
        self.octets += octets
        self._room.hold(octets)
        return True


async def read_body(request: web.Request, place: Place, limit: int, seconds: float) -> bytes | Refusal:
    """The body as it was sent, content coding and all; what is refused is not read to its end."""
    if (request.content_length or 0) > limit:
        return too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(request, place, limit)
    except TimeoutError:
        return TOO_SLOW
    except (web.RequestPayloadError, HttpProcessingError, OSError):
        return MALFORMED


async def _read(request: web.Request, place: Place, limit: int) -> bytes | Refusal:
    chunks = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > limit:
            return too_large(limit)
        if not place.grow(len(chunk)):
            return _CROWDED
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
