"""A broker that allows few channels for each connection: sources, lanes, inlets and publishers have room all the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devtools.rabbitmq import RabbitMQNode
from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, status
from tests.support.inlets import TIKI, sender_to, signed_by_each
from tests.support.scene import Scene
from tests.support.waiting import until

SOURCES = 17
LANES = 110
"""More than share a channel where there are enough channels."""


@asynccontextmanager
async def channels(node: RabbitMQNode, most: int) -> AsyncIterator[None]:
    """New connections to the node may have so many, as by `channel_max` in its rabbitmq.conf."""
    for number in (most, 2047):
        await asyncio.to_thread(
            node.rabbitmqctl, "eval", f"application:set_env(rabbit, channel_max, {number})."
        )
        if number == most:
            yield


def hooks_of(scene: Scene) -> list[dict[str, object]]:
    """Those with a lane fail once; one more takes what the other sources bring."""
    retry = {"schedule": ["0s"], "max_attempts": 100}
    url = scene.endpoint.url("/flaky")
    failing = [
        scene.webhook(f"lane-{number}", sources=["s0"], retry=retry, target_url=url)
        for number in range(LANES)
    ]
    others = [f"s{number}" for number in range(1, SOURCES)]
    return [*failing, scene.webhook("others", sources=others)]


async def test_more_sources_and_lanes_than_a_connection_may_have_channels_are_all_served(
    harmed: Scene, node: RabbitMQNode
):
    queues = [await harmed.queue(f"source-{number}") for number in range(SOURCES)]
    sources = [{"name": f"s{number}", "queue": queue} for number, queue in enumerate(queues)]
    inlet = TIKI | {"source": "s1"}
    harmed.endpoint.script("/flaky", *[status(500)] * LANES, OK)
    async with channels(node, 8), harmed.prepared(hooks_of(harmed), sources) as bridge:
        bridge.write(inlets=[inlet])
        await bridge.start()
        for queue in queues:
            await harmed.queues.publish(queue, [b"{}"])
        async with sender_to(bridge.url) as sender:
            assert (await sender.send("/tiki-webhooks.php", signed_by_each()["crm-bot"])).status == 200
        await until(lambda: succeeded(bridge, LANES + SOURCES), 40, what=bridge.last_words)
        await until(lambda: consumed(harmed), 20, what=bridge.last_words)
        assert set((await bridge.health())[1]["broker"].values()) == {"up"}
        assert not bridge.said("connection.lost")
        await bridge.stop()


def succeeded(bridge: BridgeProcess, count: int) -> bool:
    found = bridge.history.rows("SELECT status, count(*) FROM deliveries GROUP BY status")
    return bool(found == [("SUCCESS", count)])


async def consumed(scene: Scene) -> bool:
    lanes = [scene.lane(f"lane-{number}") for number in range(LANES)]
    return all([await scene.queues.consumers(lane) == 1 for lane in lanes])


async def test_fewer_channels_than_a_bridge_needs_are_refused_in_words(harmed: Scene, node: RabbitMQNode):
    async with channels(node, 7), harmed.prepared([harmed.webhook("crm")], await harmed.queue()) as bridge:
        await bridge.launch()
        assert await bridge.ended() == 1
    assert "the broker allows 7 channels for each connection" in bridge.log_text
    assert "raise channel_max" in bridge.log_text
    assert "Traceback" not in bridge.log_text
