"""Nodes of one cluster: each is harmed by itself, and all of them leave nothing behind."""

import asyncio
import time
from pathlib import Path

import aio_pika
import psutil
import pytest
from aio_pika.exceptions import AMQPError
from pamqp.common import FieldTable

from devtools.nodes import processes
from devtools.nodes.handshake import HandshakeError, shake_hands
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


def take_from_the_new_leader(url: str) -> bytes:
    """Until there is one, a get ends the whole connection with 541 (3.10.8)."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return asyncio.run(take(url, "shared"))
        except AMQPError:
            if time.monotonic() > deadline:
                raise


def test_a_node_is_killed_the_others_go_on_and_nothing_is_left_at_the_end() -> None:
    with RabbitMQCluster.start(3) as cluster:
        first, second, third = cluster.nodes
        asyncio.run(publish(first.url, "shared", b"1", b"2", b"3"))
        first.kill()
        with pytest.raises(HandshakeError):
            shake_hands(first.url)
        taken = {take_from_the_new_leader(node.url) for node in (second, third)}
        cluster.restart()
        assert taken | {asyncio.run(take(first.url, "shared"))} == {b"1", b"2", b"3"}
        folders = [node.folder for node in cluster.nodes]
        running = [process for folder in folders for process in members(folder)]
        assert len(running) >= 4  # three nodes and their one port mapper
    assert not any(map(processes.is_alive, running))
    assert not any(folder.exists() for folder in folders)
