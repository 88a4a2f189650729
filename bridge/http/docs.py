"""/, /openapi.json and /docs: what there is, and what the API can do, for whoever asks, without a token."""

from collections.abc import Sequence
from functools import cached_property

import orjson
from aiohttp import web

from bridge.http.docs_page import DocsPage
from bridge.http.openapi import description
from bridge.http.operation import Operation

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
