"""How long it takes to be at work again, and what is repeated, after the broker was away twice under load."""

import asyncio
import time

import pytest

from devtools.rabbitmq import RabbitMQNode
from tests.support.endpoint import slow, status
from tests.support.measured import measured
from tests.support.scene import Scene
from tests.support.stream import PREFETCH, QUICK, Stream, a_source_with_events, one_source
from tests.support.waiting import until

EVENTS = 3_000
SLOTS = 16
FAILING = 20
RECOVERED_WITHIN = 15.0


@pytest.mark.timeout(120)
async def test_two_restarts_and_two_cuts_of_all_connections_under_load_lose_nothing(
    harmed: Scene, node: RabbitMQNode
):
    source = await a_source_with_events(harmed, EVENTS)
    retry = {"schedule": ["500ms"], "max_attempts": 1000}
    hook = harmed.webhook("crm", concurrency=SLOTS, retry=retry)
    async with harmed.bridge([hook], one_source(source), broker=QUICK) as bridge:
        stream = Stream(harmed, node, bridge, source, EVENTS)
        recovered = []
        for harm, after in (("cut", 300), ("restart", 900), ("cut", 1500), ("restart", 2100)):
            await stream.under_way(after)
            harmed.endpoint.script(
                "/crm", *[status(500)] * FAILING, slow(0.05)
            )  # retries are on their way, too
            if harm == "restart":
                await asyncio.to_thread(node.restart)
            else:
                await asyncio.to_thread(node.rabbitmqctl, "close_all_connections", "test")
            recovered.append(await until_next_delivery(harmed))
        measured(events=EVENTS, repeated=stream.repeated, recovery=max(recovered))
        assert max(recovered) < RECOVERED_WITHIN
        await stream.complete()  # the same process all along: it ends in order
        assert stream.repeated <= 4 * (PREFETCH + FAILING)


async def until_next_delivery(scene: Scene) -> float:
    """Seconds until the endpoint gets something again, or has everything: the harm may have taken as long as the rest."""
    before, started = len(scene.endpoint.requests), time.monotonic()

    def goes_on() -> bool:
        return len(scene.endpoint.requests) > before or len(set(scene.endpoint.bodies("/crm"))) == EVENTS

    await until(goes_on, 30)
    return time.monotonic() - started
