"""Reading the bodies of requests: no larger, no slower and no more at once than there is room for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.http.inlet_answers import MALFORMED, TOO_SLOW, Refusal, too_large, unavailable

MOST_REQUESTS = 1000
MOST_BYTES = 256 * 1024 * 1024
BODY_TIME = 30.0
"""Seconds for a whole body to arrive."""

_CROWDED = unavailable("too many requests at once", "too_many", close=True)


class Room:
    """What all requests together may hold, on both sockets."""

    def __init__(self, requests: int = MOST_REQUESTS, octets: int = MOST_BYTES) -> None:
        self._most_requests = requests
        self._most_octets = octets
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

    def has_space_for(self, octets: int) -> bool:
        """One body has it always, however large a setting lets it be."""
        return self.octets + octets <= self._most_octets or self.requests == 1


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
        self._room.octets += octets
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
