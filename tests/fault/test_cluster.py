"""Three nodes and quorum queues: a node goes, most of them go, each goes in turn; and a classic queue whose node is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from devtools.rabbitmq_cluster import RabbitMQCluster
from tests.support.bridge_process import BridgeProcess
from tests.support.consuming import consuming
from tests.support.endpoint import OK, hang, slow, status
from tests.support.links import running_link
from tests.support.measured import measured
from tests.support.queues import open_queues
from tests.support.scene import Scene, open_scene
from tests.support.stream import PREFETCH, QUICK, Stream, numbered, one_source
from tests.support.waiting import until

# Three nodes boot before the first test and are mended after each.
pytestmark = pytest.mark.timeout(180)
QUORUM = {"x-queue-type": "quorum"}
FAILING = 20
SLOW = slow(0.03)
RETRY = {"schedule": ["500ms"], "max_attempts": 1000}


@pytest.fixture
async def three(cluster: RabbitMQCluster, tmp_path: Path) -> AsyncIterator[Scene]:
    """A scene on the cluster, by way of its first node, which tests leave alone."""
    async with open_scene(cluster.urls[0], tmp_path) as scene:
        yield scene
        await in_thread(cluster.restart)


async def in_thread(work, *arguments: object) -> None:
    await asyncio.to_thread(work, *arguments)


def broker_of(cluster: RabbitMQCluster) -> dict[str, object]:
    """The bridge knows all nodes, and begins with the last."""
    return QUICK | {"url": list(reversed(cluster.urls))}


async def a_stream(scene: Scene, cluster: RabbitMQCluster, bridge: BridgeProcess, events: int) -> Stream:
    """Events for a bridge on a source that is a quorum queue; the first attempts fail."""
    source = bridge.settings["sources"][0]["queue"]
    scene.endpoint.script("/crm", *[status(500)] * FAILING, SLOW)
    await scene.queues.publish(source, numbered(events))
    return Stream(scene, cluster.nodes[0], bridge, source, events)


async def test_the_node_that_leads_is_killed_under_load_and_then_each_is_restarted(
    three: Scene, cluster: RabbitMQCluster
):
    source, home = await three.queue(declare=False), await three.queue("home", declare=False)
    await declare_at(cluster.urls[2], source, QUORUM)
    await declare_at(cluster.urls[1], home)  # a classic queue: there as long as its node is
    sources = [*one_source(source), {"name": "home", "queue": home}]
    hooks = [three.webhook("crm", retry=RETRY, sources=["main"]), three.webhook("home", sources=["home"])]
    async with three.bridge(hooks, sources, broker=broker_of(cluster)) as bridge:
        stream = await a_stream(three, cluster, bridge, 1500)
        await stream.under_way(100)
        await in_thread(cluster.nodes[2].kill)
        recovery = await until_next_delivery(three)
        await stream.under_way(400)
        await in_thread(cluster.restart)
        three.endpoint.script("/home", hang)
        await three.queues.publish(home, [b"at home"])
        await until(lambda: three.endpoint.bodies("/home"), what=bridge.last_words)
        for node in reversed(cluster.nodes):  # one after the other, as an upgrade does
            await in_thread(node.stop_app)
            if node is cluster.nodes[1]:
                await until(lambda: bridge.said("source.not_available"), what=bridge.last_words)
                three.endpoint.script("/home", OK)
            await in_thread(node.start_app)
        await until(lambda: bridge.history.statuses("home") == {"SUCCESS": 1}, 20, what=bridge.last_words)
        await stream.complete(60)
        measured(recovery=recovery, repeated=stream.repeated - FAILING)
        assert stream.repeated - FAILING <= 4 * PREFETCH
    assert set(three.endpoint.bodies("/home")) == {b"at home"}  # made anew it would have been empty


async def declare_at(url: str, queue: str, arguments: dict[str, str] | None = None) -> None:
    """The node at this address is where it lives, or where it is led at first."""
    async with open_queues(url) as queues:
        await queues.declare(queue, arguments)


async def until_next_delivery(scene: Scene) -> float:
    """Seconds until the endpoint gets something again."""
    before, started = len(scene.endpoint.requests), time.monotonic()
    await until(lambda: len(scene.endpoint.requests) > before, 30)
    return time.monotonic() - started


async def test_without_most_of_the_nodes_everything_waits_and_goes_on_when_one_is_back(
    three: Scene, cluster: RabbitMQCluster
):
    source = await three.queue(arguments=QUORUM)
    hooks = [three.webhook("crm", retry=RETRY)]
    async with three.bridge(hooks, one_source(source), broker=broker_of(cluster)) as bridge:
        stream = await a_stream(three, cluster, bridge, 400)
        await stream.under_way(60)
        await asyncio.gather(*(in_thread(node.kill) for node in cluster.nodes[1:]))
        await until(lambda: health_is(bridge, "degraded"), 20, what=bridge.last_words)
        assert (await bridge.health())[0] == 200
        started = time.monotonic()
        await in_thread(cluster.nodes[1].restart)
        back = time.monotonic()
        await stream.complete(60)
        measured(boot=back - started, recovery=time.monotonic() - back, repeated=stream.repeated - FAILING)
        assert stream.repeated - FAILING <= 3 * PREFETCH


async def test_what_is_held_when_more_may_be_is_handed_out_again_although_its_node_stays_away(
    three: Scene, cluster: RabbitMQCluster
):
    source = await three.queue(arguments=QUORUM)
    await three.queues.publish(source, numbered(9))
    async with (
        running_link(cluster.urls[2]) as link,
        consuming(link, source, prefetch=4, keep=True) as consumer,
    ):
        await until(lambda: len(consumer.got) == 4)
        consumer.channel.resize(source, 8)
        await until(lambda: len(consumer.got) == 8)
        await in_thread(cluster.nodes[2].kill)
        await until(lambda: holds_all(three, source, 9), 20)


async def holds_all(scene: Scene, queue: str, messages: int) -> bool:
    """None of them is with a consumer."""
    return await scene.queues.depth(queue) == messages


async def health_is(bridge: BridgeProcess, word: str) -> bool:
    return bool((await bridge.health())[1]["status"] == word)
