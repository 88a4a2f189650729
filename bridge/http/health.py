"""/health/live and /health/ready."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import web

Status = Callable[[], Mapping[str, Any]]
"""Tells the state of broker, database and consumers, as plain JSON values."""


class Health:
    """Live while the event loop turns; ready from the first successful start until shutdown.

    An outage changes neither: it shows in the body of /health/ready, so that orchestrators do not restart
    what waits for a broker, and inlets and UI stay reachable.
    """

    def __init__(self, status: Status) -> None:
        self._status = status
        self._ready = False

    def serving(self) -> None:
        """The bridge has started and serves."""
        self._ready = True

    def ending(self) -> None:
        """The bridge is shutting down: no new traffic, please."""
        self._ready = False

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/health/live", self._live), web.get("/health/ready", self._readiness)]

    async def _live(self, _: web.Request) -> web.Response:
        return _json(200, {"live": True})

    async def _readiness(self, _: web.Request) -> web.Response:
        return _json(200 if self._ready else 503, {"ready": self._ready, **self._status()})


def _json(status: int, value: Mapping[str, Any]) -> web.Response:
    return web.Response(
        status=status,
        body=orjson.dumps(value),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
