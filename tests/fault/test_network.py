"""The network between bridge and broker is cut, slow, or swallows everything."""

import asyncio
import time

from devtools.rabbitmq import RabbitMQNode
from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, status
from tests.support.proxy import open_proxy
from tests.support.scene import Scene
from tests.support.stream import EVENTS, PREFETCH, QUICK, Stream, a_source_with_events, one_source
from tests.support.waiting import until

PATIENT = QUICK | {"heartbeat": "3s"}


def through(scene: Scene, port: int) -> str:
    """The broker's URL by way of the proxy."""
    before, _, _ = scene.amqp_url.rpartition(":")
    return f"{before}:{port}/"


async def test_connections_are_cut_again_and_again(harmed: Scene, node: RabbitMQNode):
    source = await a_source_with_events(harmed)
    hook = harmed.webhook("crm", retry={"schedule": ["300ms"], "max_attempts": 1000})
    async with open_proxy(node.amqp_port) as proxy:
        url = through(harmed, proxy.port)
        async with harmed.bridge([hook], one_source(source), amqp_url=url, broker=QUICK) as bridge:
            stream = Stream(harmed, node, bridge, source)
            for count in (40, 90, 140):
                await stream.under_way(count)
                harmed.endpoint.script("/crm", *[status(500)] * 5, OK)
                proxy.cut()
            await stream.complete()
            assert stream.repeated <= 3 * (PREFETCH + 5)


async def test_a_silent_connection_is_given_up(harmed: Scene, node: RabbitMQNode):
    source = await a_source_with_events(harmed)
    async with open_proxy(node.amqp_port) as proxy:
        url = through(harmed, proxy.port)
        async with harmed.bridge(
            [harmed.webhook("crm")], one_source(source), amqp_url=url, broker=QUICK
        ) as bridge:
            stream = Stream(harmed, node, bridge, source)
            await stream.under_way(60)
            proxy.silent = True
            await until(lambda: bridge.said("connection.lost"), 20, what=bridge.last_words)
            await until(lambda: all_down(bridge), 20, what=bridge.last_words)
            proxy.silent = False
            proxy.cut()
            await stream.complete()
            assert stream.repeated <= PREFETCH


async def all_down(bridge: BridgeProcess) -> bool:
    return set((await bridge.health())[1]["broker"].values()) == {"down"}


async def test_a_slow_network_costs_time_only(harmed: Scene, node: RabbitMQNode):
    source = await a_source_with_events(harmed, 100)
    async with open_proxy(node.amqp_port) as proxy:
        url = through(harmed, proxy.port)
        async with harmed.bridge([harmed.webhook("crm")], one_source(source), amqp_url=url) as bridge:
            proxy.delay = 0.1
            stream = Stream(harmed, node, bridge, source, 100)
            await stream.complete()
            assert stream.repeated == 0
            assert not bridge.said("connection.lost")


async def test_a_broker_that_is_out_of_reach_for_long_is_taken_up_when_it_is_back(
    harmed: Scene, node: RabbitMQNode
):
    source = await a_source_with_events(harmed, 100)
    async with open_proxy(node.amqp_port) as proxy:
        url = through(harmed, proxy.port)
        broker = QUICK | {"outage_after": "1s"}
        async with harmed.bridge(
            [harmed.webhook("crm")], one_source(source), amqp_url=url, broker=broker
        ) as bridge:
            stream = Stream(harmed, node, bridge, source, 100)
            await stream.under_way(30)
            proxy.refusing = True
            proxy.cut()
            tried, began, lines = proxy.accepted, time.monotonic(), len(bridge.log_text.splitlines())
            await until(lambda: bridge.said("dependency.unavailable"), 20, what=bridge.last_words)
            assert (await bridge.health())[0] == 200
            # Three connections, each with waits that double from 0.2 s on.
            await until(lambda: proxy.accepted - tried >= 3 * 3, what=bridge.last_words)
            seconds = time.monotonic() - began
            assert proxy.accepted - tried <= 3 * (4 + 2 * seconds)
            assert len(bridge.log_text.splitlines()) - lines <= 3 * (10 + 4 * seconds)
            proxy.refusing = False
            await stream.complete()


async def test_a_broker_that_believes_in_the_old_connection_does_not_end_the_bridge(
    harmed: Scene, node: RabbitMQNode
):
    """As after a firewall forgot the connection: the exclusive queue of ours is still locked."""
    source = await a_source_with_events(harmed, 100)
    async with open_proxy(node.amqp_port) as proxy:
        url = through(harmed, proxy.port)
        async with harmed.bridge(
            [harmed.webhook("crm")], one_source(source), amqp_url=url, broker=PATIENT
        ) as bridge:
            stream = Stream(harmed, node, bridge, source, 100)
            await stream.under_way(30)
            proxy.cut_client_side()
            await stream.complete(40)


async def test_a_stop_does_not_wait_for_a_broker_that_is_gone(harmed: Scene, node: RabbitMQNode):
    source = await a_source_with_events(harmed, 100)
    async with open_proxy(node.amqp_port) as proxy:
        url = through(harmed, proxy.port)
        limits = {"drain": "2s"}
        async with harmed.bridge(
            [harmed.webhook("crm")], one_source(source), amqp_url=url, broker=QUICK, limits=limits
        ) as bridge:
            stream = Stream(harmed, node, bridge, source, 100)
            await stream.under_way(30)
            proxy.refusing = True
            proxy.cut()
            await until(lambda: all_down(bridge), 20, what=bridge.last_words)
            async with asyncio.timeout(20):
                await bridge.stop()
            proxy.refusing = False
            await bridge.start()
            await stream.complete()


async def test_a_stop_does_not_wait_for_a_broker_that_is_silent(harmed: Scene, node: RabbitMQNode):
    source = await a_source_with_events(harmed, 100)
    async with open_proxy(node.amqp_port) as proxy:
        url = through(harmed, proxy.port)
        async with harmed.bridge(
            [harmed.webhook("crm")], one_source(source), amqp_url=url, limits={"drain": "0s"}
        ) as bridge:
            stream = Stream(harmed, node, bridge, source, 100)
            await stream.under_way(30)
            proxy.silent = True
            async with asyncio.timeout(35):
                await bridge.stop()
            proxy.silent = False
            proxy.cut()
            await bridge.start()
            await stream.complete()
        assert len(stream.events) < len(EVENTS)
