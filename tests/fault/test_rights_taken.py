"""What the bridge may do on the broker is taken away while it runs, and given back: it says so, waits and goes on."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from devtools.rabbitmq import RabbitMQNode
from tests.support.bridge_process import BridgeProcess
from tests.support.measured import measured
from tests.support.scene import Scene
from tests.support.stream import QUICK
from tests.support.waiting import until

USER, PASSWORD = "taken", "secret-of-taken"


@pytest.fixture
async def someone(node: RabbitMQNode) -> AsyncIterator[str]:
    """The URL of a user who may do everything at first."""
    await ctl(node, "add_user", USER, PASSWORD)
    await grant(node)
    yield node.url.replace("guest:guest", f"{USER}:{PASSWORD}")
    await ctl(node, "delete_user", USER)


async def ctl(node: RabbitMQNode, *arguments: str) -> None:
    await asyncio.to_thread(node.rabbitmqctl, *arguments)


async def grant(node: RabbitMQNode, configure: str = ".*", write: str = ".*", read: str = ".*") -> None:
    await ctl(node, "set_permissions", USER, configure, write, read)


async def cut(node: RabbitMQNode) -> None:
    """The broker keeps in mind what a connection may do, and whose it is."""
    await ctl(node, "close_all_connections", "test")


class Sent:
    """Events that are sent one by one and must all arrive."""

    def __init__(self, scene: Scene, bridge: BridgeProcess, source: str) -> None:
        self._scene, self._bridge, self._source = scene, bridge, source
        self.bodies: list[bytes] = []

    async def one(self) -> None:
        self.bodies.append(b"%d" % len(self.bodies))
        await self._scene.queues.publish(self._source, self.bodies[-1:])

    async def arrive(self) -> None:
        """Each is delivered to the one hook and waits for the other, and nothing of the source is held any more."""
        await until(self._all, 20, what=self._bridge.last_words)

    async def _all(self) -> bool:
        waiting = await self._scene.queues.depth(self._scene.lane("waits"))
        delivered = self._bridge.history.delivered_bodies("crm") == set(self.bodies)
        acked = await self._bridge.metric("events_settled_total", result="acked")
        return delivered and waiting == acked == len(self.bodies)


async def said(bridge: BridgeProcess, event: str, words: str) -> None:
    await until(
        lambda: any(words in line["error"] for line in bridge.said(event)), 20, what=bridge.last_words
    )


async def test_a_limit_of_the_virtual_host_and_rights_are_waited_for(
    harmed: Scene, node: RabbitMQNode, someone: str
):
    source = await harmed.queue()
    hooks = [harmed.webhook("crm"), harmed.webhook("waits", paused=True)]
    async with harmed.bridge(hooks, source, amqp_url=someone, broker=QUICK) as bridge:
        sent = Sent(harmed, bridge, source)
        await ctl(node, "set_vhost_limits", json.dumps({"max-queues": 1}))
        await sent.one()
        await said(bridge, "copy.failed", "set_vhost_limits")
        await ctl(node, "clear_vhost_limits")
        await sent.arrive()

        await grant(node, write="^$")
        await cut(node)
        await sent.one()
        await said(bridge, "copy.failed", "grant configure, write and read")
        await grant(node, read="^$")
        await cut(node)  # from now on it may publish, and consume nothing
        await sent.one()
        await until(lambda: not_consuming(bridge), what=bridge.last_words)
        await grant(node)
        await sent.arrive()
    measured(repeated=len(harmed.endpoint.bodies("/crm")) - len(sent.bodies))
    assert (
        max(Counter(harmed.endpoint.bodies("/crm")).values()) <= 2
    )  # the event whose copy could not be published


async def not_consuming(bridge: BridgeProcess) -> bool:
    _, health = await bridge.health()
    return health["status"] == "degraded" and set(health["consumers"].values()) == {"connecting"}


async def test_a_password_that_is_changed_and_a_user_who_is_deleted_are_waited_for(
    harmed: Scene, node: RabbitMQNode, someone: str
):
    source = await harmed.queue()
    hooks = [harmed.webhook("crm"), harmed.webhook("waits", paused=True)]
    async with harmed.bridge(hooks, source, amqp_url=someone, broker=QUICK) as bridge:
        sent = Sent(harmed, bridge, source)
        await sent.one()
        await sent.arrive()
        await ctl(node, "change_password", USER, "another")
        await cut(node)
        await sent.one()
        await said(bridge, "connection.lost", "refused the login")
        await ctl(node, "change_password", USER, PASSWORD)
        await sent.arrive()

        await ctl(node, "delete_user", USER)  # which ends the connections of that user
        await sent.one()
        await until(lambda: not_consuming(bridge), 20, what=bridge.last_words)
        await ctl(node, "add_user", USER, PASSWORD)
        await grant(node)
        await sent.arrive()
        assert PASSWORD not in bridge.log_text
    measured(repeated=len(harmed.endpoint.bodies("/crm")) - len(sent.bodies))
    assert Counter(harmed.endpoint.bodies("/crm")) == Counter(sent.bodies)
