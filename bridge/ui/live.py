"""The live stream: a counter for each topic that grows when something of it changed, never content.

One task asks the API once a second while anybody listens. Browsers have one stream, whatever the number of their tabs.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from aiohttp import web

from bridge.core.access import Actor, Role
from bridge.http.documents import REQUEST_ID, RequestProblem
from bridge.http.in_process import Operations
from bridge.ui.guard import HEADERS

MOST_STREAMS = 100
"""Streams at once; further ones are refused with 503, and their pages poll."""
EVERY = 1.0
"""Seconds between two looks."""
_COMMENT = 15.0
_SEEN_BY = Actor("bridge", Role.VIEWER)
_LOOKS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "deliveries": ("deliveries.list", {"order": "updated", "limit": "1"}),
    "events": ("events.list", {"limit": "1"}),
    "state": ("overview.show", {}),
}
"""The operation and query whose answer changes with each topic; `state` is what the overview tells."""
_PARTS = ("hooks", "quarantine", "replays", "replicas", "sources")
"""The topics that change with `state`."""


class Pulse:
    """The counters of all topics, as of the last look."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._marks: dict[str, str] = {}
        self._looked = -EVERY
        self._looking: asyncio.Lock = asyncio.Lock()
        # Counters grow over restarts and are comparable between replicas with clocks that agree about a second.
        self.counters: dict[str, int] = {topic: int(time.time()) for topic in _LOOKS}

    async def look(self, request: web.Request) -> dict[str, int]:
        """Returns the counters, looked at anew if the last look is a second old; `request` is one that listens."""
        async with self._looking:
            if time.monotonic() >= self._looked + EVERY * 0.9:
                for topic in _LOOKS:
                    await self._compare(topic, request)
                self._looked = time.monotonic()
        return {**self.counters, **dict.fromkeys(_PARTS, self.counters["state"])}

    async def _compare(self, topic: str, request: web.Request) -> None:
        name, query = _LOOKS[topic]
        if name not in self._operations:
            return
        answer = await self._operations.call(name, _SEEN_BY, request, query=query)
        mark = json.dumps(_lasting(answer.document), default=str)
        if self._marks.setdefault(topic, mark) != mark:
            self._marks[topic] = mark
            self.counters[topic] = max(self.counters[topic] + 1, int(time.time()))


def _lasting(document: object) -> object:
    """Returns what counts as a change: not when the answer was made, and by which request."""
    if not isinstance(document, Mapping):
        return document
    return {name: value for name, value in document.items() if name not in {"at", "request_id"}}


class Streams:
    """The streams of browsers, and the same for those that poll."""

    def __init__(self, pulse: Pulse, check: Callable[[web.Request], Awaitable[object]]) -> None:
        """`check` raises RequestProblem once the session of a request has ended."""
        self._pulse = pulse
        self._check = check
        self._open = 0
        self._ending = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes of the stream and of a look at it."""
        return [web.get("/live", self._stream), web.get("/live/now", self._now)]

    async def end(self, _: web.Application) -> None:
        """Ends all streams, as the server stops."""
        self._ending.set()

    async def _now(self, request: web.Request) -> web.Response:
        await self._check(request)
        return web.json_response(await self._pulse.look(request))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        await self._check(request)
        if self._open >= MOST_STREAMS:
            raise RequestProblem(503, "too many streams at once; poll live/now", headers={"Retry-After": "5"})
        headers = {
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
            "X-Request-Id": request[REQUEST_ID],
        }
        response = web.StreamResponse(headers={**HEADERS, **headers, "Content-Type": "text/event-stream"})
        self._open += 1
        try:
            await response.prepare(request)
            with suppress(ConnectionError, RequestProblem):
                await self._send(request, response)
        finally:
            self._open -= 1
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse) -> None:
        told: dict[str, int] = {}
        wrote = time.monotonic()
        # aiohttp tells a handler only when it writes that its client has gone, and most of the time there is nothing to write.
        while not self._ending.is_set() and request.transport is not None:
            counters = await self._pulse.look(request)
            text = "".join(f"data: {topic} {n}\n\n" for topic, n in counters.items() if told.get(topic) != n)
            if not text and time.monotonic() >= wrote + _COMMENT:
                text = ":\n\n"
            if text:
                await response.write(text.encode())
                told, wrote = counters, time.monotonic()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), EVERY)
            await self._check(request)
