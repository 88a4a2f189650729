"""/metrics, rendered beside the event loop: hundreds of hooks make a megabyte of text, and deliveries go on meanwhile."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class _Collected(Collector):
    """What was counted at one moment."""

    metrics: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def metrics_route(registry: CollectorRegistry) -> web.RouteDef:
    """The text of all metrics."""

    async def scrape(request: web.Request) -> web.Response:
        metrics: list[Metric] = []
        for metric in registry.collect():
            metrics.append(metric)
            await asyncio.sleep(0)  # one metric of 200 hooks takes some ten milliseconds
        encode, content_type = choose_encoder(",".join(request.headers.getall(hdrs.ACCEPT, [])))
        text = await asyncio.to_thread(encode, _Collected(metrics))
        response = web.Response(body=text, headers={hdrs.CONTENT_TYPE: content_type})
        response.enable_compression()
        return response

    return web.get("/metrics", scrape)
