"""The first cluster is lost for good: a second one, to which the events were federated, goes on with the same history."""

import asyncio
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import aiormq
import pytest
from pamqp.commands import Basic

from devtools.rabbitmq import RabbitMQNode
from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, open_endpoint, status
from tests.support.queues import open_queues
from tests.support.scene import Scene
from tests.support.two_replicas import Asked, Replicas, open_replicas
from tests.support.waiting import until

EXCHANGE, QUEUE = "shop", "orders"


@pytest.fixture
def clusters() -> Iterator[tuple[RabbitMQNode, RabbitMQNode]]:
    """Two brokers that know nothing of each other."""
    with RabbitMQNode.start() as first, RabbitMQNode.start(plugins=["rabbitmq_federation"]) as second:
        yield first, second


async def declare(url: str) -> None:
    """Make exchange and source queue, as the publishers do on each cluster."""
    connection = await aiormq.connect(url)
    channel = await connection.channel()
    await channel.exchange_declare(EXCHANGE, exchange_type="fanout", durable=True)
    await channel.queue_declare(QUEUE, durable=True)
    await channel.queue_bind(QUEUE, EXCHANGE)
    await connection.close()


async def publish(url: str, numbers: range) -> None:
    """Publish these events with ids of the publisher's own."""
    connection = await aiormq.connect(url)
    channel = await connection.channel(publisher_confirms=True)
    for number in numbers:
        properties = Basic.Properties(message_id=f"order-{number}", delivery_mode=2)
        await channel.basic_publish(b"%d" % number, exchange=EXCHANGE, properties=properties)
    await connection.close()


def federate(first: RabbitMQNode, second: RabbitMQNode) -> None:
    """Have the second cluster copy what is published to the exchange of the first."""
    # A path "/" would be the virtual host of the empty name.
    upstream = json.dumps({"uri": first.url.removesuffix("/"), "ack-mode": "on-confirm"})
    second.rabbitmqctl("set_parameter", "federation-upstream", "first", upstream)
    policy = json.dumps({"federation-upstream": "first"})
    second.rabbitmqctl("set_policy", "--apply-to", "exchanges", "shop", f"^{EXCHANGE}$", policy)


async def linked(first: RabbitMQNode) -> bool:
    """Whether the link's own queue on the first cluster is bound: only from then on events are copied."""
    bindings = await asyncio.to_thread(first.rabbitmqctl, "list_bindings", "source_name", "destination_name")
    return f"{EXCHANGE}\tfederation: {EXCHANGE}" in bindings


async def depth_is(scene: Scene, wanted: int) -> bool:
    return await scene.queues.depth(QUEUE) == wanted


async def ended_well(replicas: Replicas, hook: str, wanted: int) -> bool:
    return (await replicas.database.statuses(hook))["SUCCESS"] == wanted


async def fail_over(bridge: BridgeProcess, second: RabbitMQNode) -> None:
    """Start the bridge on the second cluster: refused as long as the history is another cluster's, then taken over."""
    bridge.write(broker={**bridge.settings["broker"], "url": second.url})
    await bridge.launch()
    assert await bridge.ended() != 0
    owner = re.search(r"BRIDGE_STORAGE__TAKE_OVER='([^']+)'", bridge.log_text)
    assert owner, bridge.log_text
    bridge.write(storage={**bridge.settings["storage"], "take_over": owner[1]})
    await bridge.start()


@pytest.mark.timeout(120)
async def test_a_second_cluster_goes_on_where_the_first_one_was_lost(
    clusters: tuple[RabbitMQNode, RabbitMQNode], tmp_path: Path, postgres_url: str
):
    first, second = clusters
    for node in clusters:
        await declare(node.url)
    await asyncio.to_thread(federate, first, second)
    await until(lambda: linked(first), 30, what=second.last_words)
    async with open_endpoint() as endpoint, open_queues(second.url) as queues:
        scene = Scene(first.url, tmp_path, endpoint, queues)
        endpoint.script("/erp", status(503))
        hooks = [
            scene.webhook("crm"),
            scene.webhook("erp", retry={"schedule": ["5s"] * 60}),
            scene.webhook("late", paused=True),
        ]
        source = {"name": "main", "queue": QUEUE, "dedupe": {"by": "publisher_id", "window": "1d"}}
        async with open_replicas(scene, postgres_url, hooks, [source], count=1) as replicas:
            bridge = replicas.bridges[0]
            await replicas.start()
            await publish(first.url, range(60))
            await until(lambda: ended_well(replicas, "crm", 60), 30, what=replicas.last_words)
            await until(lambda: depth_is(scene, 60), 30)
            first.kill()
            await bridge.kill()

            endpoint.script("/erp", OK)
            await fail_over(bridge, second)
            await publish(second.url, range(60, 80))
            await until(lambda: ended_well(replicas, "crm", 80), 30, what=replicas.last_words)
            await until(lambda: depth_is(scene, 0), 30, what=replicas.last_words)
            await go_on_with_what_waited(replicas.asked[0])
            for hook in ("erp", "late"):
                await until(partial(ended_well, replicas, hook, 80), 30, what=replicas.last_words)
    everything = [b"%d" % number for number in range(80)]
    assert sorted(endpoint.bodies("/crm"), key=int) == everything
    assert all(set(endpoint.bodies(path)) == set(everything) for path in ("/erp", "/late"))


async def go_on_with_what_waited(api: Asked) -> None:
    """Resume, and replay the deliveries whose copies were lost with the lanes of the first cluster."""
    assert (await api.ask("POST", "/hooks/late/resume"))[0] == 200
    code, replay = await api.ask("POST", "/replays", {"filter": {"status": ["PENDING", "RETRYING"]}})
    assert code in {201, 202}, replay
