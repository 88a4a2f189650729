"""The virtual host's default queue type is switched to quorum after the source was made: publishers get 406, the bridge goes on."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiormq.exceptions import ChannelPreconditionFailed

from devtools.rabbitmq import RabbitMQNode
from tests.support.bridge_process import BridgeProcess
from tests.support.scene import Scene, open_scene
from tests.support.waiting import until


@pytest.fixture
async def switched(node: RabbitMQNode, tmp_path: Path) -> AsyncIterator[Scene]:
    """A scene in a virtual host of its own."""
    url = await asyncio.to_thread(node.add_virtual_host, "switched")
    async with open_scene(url, tmp_path) as scene:
        yield scene
    await asyncio.to_thread(node.rabbitmqctl, "delete_vhost", "switched")


async def test_a_source_that_can_no_longer_be_declared_is_consumed_and_told_of(
    switched: Scene, node: RabbitMQNode
):
    source = await switched.queue()
    async with switched.bridge([switched.webhook("crm")], source) as bridge:
        assert await bridge.metric("source_contract_mismatch", source="main") == 0
        await asyncio.to_thread(node.default_to_quorum, "switched")
        with pytest.raises(ChannelPreconditionFailed):
            await switched.queues.declare(source)  # what its publishers do
        await asyncio.to_thread(node.rabbitmqctl, "close_all_connections", "--vhost", "switched", "test")
        await until(lambda: mismatch(bridge), what=bridge.last_words)
        await switched.queues.publish(source, [b"{}"])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1}, what=bridge.last_words)
        assert bridge.said("source.contract_mismatch")
        # Nor is it made anew as a quorum queue.
        assert await kind_of(node, source) == "classic"


async def mismatch(bridge: BridgeProcess) -> bool:
    return bool(await bridge.metric("source_contract_mismatch", source="main") == 1)


async def kind_of(node: RabbitMQNode, queue: str) -> str:
    listed = await asyncio.to_thread(
        node.rabbitmqctl, "list_queues", "--vhost", "switched", "name", "type", "--no-table-headers"
    )
    return dict(line.split("\t") for line in listed.splitlines())[queue]
