"""/health/live and /health/ready."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import orjson
from aiohttp import web

from bridge.http.openapi import description
from bridge.http.openapi_page import DocsPage
from bridge.http.operation import Operation

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


# /, /openapi.json and /docs: what there is, and what the API can do, for whoever asks, without a token.


_COMMON = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}

_LINKS = {
    "/docs": "the API, to read and to try from a shell",
    "/openapi.json": "the same for programs (OpenAPI)",
    "/health/ready": "what is up, and what is down",
    "/metrics": "metrics for Prometheus",
}
_FRONT = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>amqp-bridge</title><h1>amqp-bridge</h1><ul>'
    + "".join(f'<li><a href="{path}">{path}</a>: {what}</li>' for path, what in _LINKS.items())
    + "</ul></html>"
).encode()


class Docs:
    """The description of these operations, made when it is first asked for."""

    def __init__(self, operations: Sequence[Operation], prefix: str) -> None:
        """The operations' paths stand behind `prefix`."""
        self._operations = operations
        self._prefix = prefix

    def routes(self) -> list[web.RouteDef]:
        """What the server is to serve."""
        return [
            web.get("/", self._front),
            web.get("/openapi.json", self._openapi),
            web.get("/docs", self._docs),
        ]

    @cached_property
    def _document(self) -> bytes:
        return orjson.dumps(description(self._operations, self._prefix))

    @cached_property
    def _page(self) -> tuple[bytes, str]:
        page = DocsPage(orjson.loads(self._document))
        return page.html().encode(), page.policy

    async def _front(self, _: web.Request) -> web.Response:
        headers = {**_COMMON, "Content-Security-Policy": "default-src 'none'"}
        return web.Response(body=_FRONT, content_type="text/html", charset="utf-8", headers=headers)

    async def _openapi(self, _: web.Request) -> web.Response:
        # Programs on other sites may read it: it tells what everybody may know.
        headers = {**_COMMON, "Access-Control-Allow-Origin": "*"}
        return web.Response(body=self._document, content_type="application/json", headers=headers)

    async def _docs(self, _: web.Request) -> web.Response:
        html, policy = self._page
        headers = {**_COMMON, "Content-Security-Policy": policy}
        return web.Response(body=html, content_type="text/html", charset="utf-8", headers=headers)
