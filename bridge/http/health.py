"""The operations without a token: health, metrics, and the description of the API."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

import orjson
from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

Status = Callable[[], Mapping[str, Any]]
"""Returns the state of broker, database and consumers, as plain JSON values."""


class Health:
    """The liveness and readiness: live while the event loop runs, ready from the first successful start until shutdown.

    An outage changes neither: it shows in the body of /health/ready, so that orchestrators do not restart a process that waits
    for a broker, and inlets and API stay reachable.
    """

    def __init__(self, status: Status) -> None:
        self._status = status
        self._ready = False

    def serving(self) -> None:
        """Notes that the bridge has started."""
        self._ready = True

    def ending(self) -> None:
        """Notes that the bridge is shutting down, so that no new traffic is routed to it."""
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


# The overview, the OpenAPI document and its page at /, /openapi.json and /docs, without a token.


_COMMON = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}

_LINKS = {
    "/docs": "the API, to read and to try from a shell",
    "/openapi.json": "the same for programs (OpenAPI)",
    "/health/ready": "what is up, and what is down",
    "/metrics": "metrics for Prometheus",
}
_UI = {"/ui/": "the operator UI"}


def _front_page(links: Mapping[str, str]) -> bytes:
    items = "".join(f'<li><a href="{path}">{path}</a>: {what}</li>' for path, what in links.items())
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>amqp-bridge</title><h1>amqp-bridge</h1>'
    )
    return f"{head}<ul>{items}</ul></html>".encode()


class Docs:
    """Serves the OpenAPI document and its page, which `./dev generate` makes from the operations."""

    def __init__(self, *, ui: bool = False) -> None:
        """`ui`: whether there is a UI to lead to."""
        self._links = {**(_UI if ui else {}), **_LINKS}

    def routes(self) -> list[web.RouteDef]:
        """Returns the routes of these documents."""
        return [
            web.get("/", self._front),
            web.get("/openapi.json", self._openapi),
            web.get("/docs", self._docs),
        ]

    async def _front(self, _: web.Request) -> web.Response:
        headers = {**_COMMON, "Content-Security-Policy": "default-src 'none'"}
        return web.Response(
            body=_front_page(self._links), content_type="text/html", charset="utf-8", headers=headers
        )

    async def _openapi(self, _: web.Request) -> web.Response:
        # Scripts of other sites may read it: its content is public.
        headers = {**_COMMON, "Access-Control-Allow-Origin": "*"}
        return web.Response(body=_packaged("openapi.json"), content_type="application/json", headers=headers)

    async def _docs(self, _: web.Request) -> web.Response:
        page = _packaged("docs.html")
        headers = {**_COMMON, "Content-Security-Policy": _policy(page)}
        return web.Response(body=page, content_type="text/html", charset="utf-8", headers=headers)


@cache
def _packaged(name: str) -> bytes:
    return files("bridge.http").joinpath(name).read_bytes()


@cache
def _policy(page: bytes) -> str:
    """Returns the Content-Security-Policy: nothing is loaded, and only the page's own style applies."""
    style = page.partition(b"<style>")[2].partition(b"</style>")[0]
    digest = b64encode(sha256(style).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


# /metrics is rendered in a thread: hundreds of hooks make a megabyte of text, and deliveries continue meanwhile.


_OPENMETRICS = "application/openmetrics-text"


@dataclass(frozen=True, slots=True)
class _Collected(Collector):
    """The metrics collected at one moment."""

    metrics: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def metrics_route(registry: CollectorRegistry, want_examples: Callable[[], None]) -> web.RouteDef:
    """Returns the route of the text of all metrics: as OpenMetrics with exemplars for whom accepts that, else in the format of
    Prometheus. `want_examples` is called after each scrape of the former, to collect exemplars for the next one.
    """

    async def scrape(request: web.Request) -> web.Response:
        metrics: list[Metric] = []
        for metric in registry.collect():
            metrics.append(metric)
            await asyncio.sleep(0)  # one metric of 200 hooks takes some ten milliseconds
        encode, content_type = choose_encoder(",".join(request.headers.getall(hdrs.ACCEPT, [])))
        if content_type.startswith(_OPENMETRICS):
            want_examples()
        text = await asyncio.to_thread(encode, _Collected(metrics))
        response = web.Response(body=text, headers={hdrs.CONTENT_TYPE: content_type})
        response.enable_compression()
        return response

    return web.get("/metrics", scrape)
