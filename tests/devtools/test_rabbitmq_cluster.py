"""Nodes of one cluster; what becomes of the bridge when they are harmed stands in tests/fault."""

import asyncio
from pathlib import Path

import aio_pika
import psutil
import pytest
from pamqp.common import FieldTable

from devtools.nodes import processes
from devtools.nodes.handshake import shake_hands
from devtools.nodes.rabbitmq_install import find_rabbitmq
from devtools.rabbitmq_cluster import RabbitMQCluster

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(find_rabbitmq() is None, reason="no rabbitmq-server on this machine"),
]

QUORUM: FieldTable = {"x-queue-type": "quorum"}


def members(folder: Path) -> list[psutil.Process]:
    recorded = [int(file.read_text().split()[0]) for file in (folder / "processes").iterdir()]
    return [process for pid in recorded for process in processes.tree(pid)]


async def publish(url: str, queue: str, *bodies: bytes) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.declare_queue(queue, durable=True, arguments=QUORUM)
        for body in bodies:
            await channel.default_exchange.publish(aio_pika.Message(body), queue, mandatory=True)


async def take(url: str, queue: str) -> bytes:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        return (await (await channel.get_queue(queue)).get(no_ack=True)).body


def test_nodes_of_a_cluster_share_their_queues_and_leave_nothing_at_the_end() -> None:
    with RabbitMQCluster.start(2) as cluster:
        first, second = cluster.nodes
        asyncio.run(publish(first.url, "shared", b"1"))
        assert asyncio.run(take(second.url, "shared")) == b"1"
        second.freeze()
        cluster.restart()
        assert shake_hands(second.url)
        folders = [node.folder for node in cluster.nodes]
        running = [process for folder in folders for process in members(folder)]
        assert len(running) >= 3  # two nodes and their one port mapper
    assert not any(map(processes.is_alive, running))
    assert not any(folder.exists() for folder in folders)
