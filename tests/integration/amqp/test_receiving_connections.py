"""Receiving from a real broker: connections that are cut, busy, silent, or secret."""

import asyncio
import random
import ssl
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pamqp import frame
from pamqp.heartbeat import Heartbeat
from yarl import URL

from bridge.amqp import reader as receiving
from bridge.amqp.topology import Names, Topology
from bridge.core.errors import BrokerUnavailable
from devtools.rabbitmq import RabbitMQNode
from tests.support.consuming import consuming, depth, publish, supervised
from tests.support.links import Heard, raw_channel, running_link, unique
from tests.support.proxy import open_proxy
from tests.support.waiting import until

TLS = Path(__file__).parents[2] / "data" / "tls"


@pytest.mark.parametrize("seed", range(3))
async def test_a_connection_that_is_cut_in_the_middle_loses_nothing(amqp_url, link, queue, seed):
    url = URL(amqp_url)
    heard, expected = Heard(), {b"%d" % number * 5_000 for number in range(200)}
    await publish(link, queue, *sorted(expected))
    lengths = [random.Random(seed + turn).randrange(100_000, 700_000) for turn in range(3)]
    async with (
        open_cutter(url.port, lengths) as port,
        running_link(str(url.with_port(port)), heard) as cut,
        consuming(cut, queue, prefetch=20) as consumer,
    ):
        await until(lambda: set(consumer.bodies) == expected, 40)

    assert heard.losses
    assert all("closed" in loss or "reset" in loss for loss in heard.losses), heard.losses
    assert await depth(link, queue) == 0


async def test_messages_come_over_tls_too(amqp_url, link, queue):
    url, bodies = URL(amqp_url), [b"1" * 300_000, b"", b"3"]
    await publish(link, queue, *bodies)
    trusting = ssl.create_default_context(cafile=str(TLS / "ca.pem"))
    async with (
        open_cutter(url.port, lengths=(), tls=server_context()) as port,
        supervised(str(url.with_scheme("amqps").with_port(port)), Heard(), tls=lambda: trusting) as secure,
        consuming(secure, queue) as consumer,
    ):
        await until(lambda: consumer.bodies == bodies)


async def test_a_certificate_that_nobody_vouches_for_is_refused(amqp_url):
    url, heard = URL(amqp_url), Heard()
    async with (
        open_cutter(url.port, lengths=(), tls=server_context()) as port,
        supervised(str(url.with_scheme("amqps").with_port(port)), heard),
    ):
        await until(lambda: heard.losses)

    assert "certificate" in heard.losses[0]
    assert not heard.connects


def server_context():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    return context


@asynccontextmanager
async def open_cutter(port, lengths, tls=None):
    """A proxy whose first connections end, in order or not, after so many bytes from the broker."""
    lengths = list(lengths)

    async def pump(reader, writer, length):
        try:
            while data := await reader.read(65_536):
                writer.write(data[:length])
                length -= len(data)
                if length <= 0:
                    break
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def accept(reader, writer):
        length = lengths.pop() if lengths else 10**9
        from_broker, to_broker = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, to_broker, 10**9), pump(from_broker, writer, length))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_a_connection_busy_with_messages_alone_is_not_taken_for_dead(amqp_url, link, queue):
    """The broker sends no heartbeats while messages flow, and the library counts none but its own frames."""
    heard, stop = Heard(), time.monotonic() + 8.5  # the library gives up after (1 + 1) * 3 seconds
    async with (
        supervised(amqp_url, heard, heartbeat=1) as busy,
        consuming(busy, queue) as consumer,
        raw_channel(link) as channel,
    ):
        while time.monotonic() < stop:
            await channel.basic_publish(b"x", routing_key=queue)
            await asyncio.sleep(0.05)
        assert not heard.losses
        assert len(consumer.got) > 100


@pytest.fixture(scope="module")
def own_node():
    """A broker that may be harmed."""
    with RabbitMQNode.start() as node:
        yield node


async def test_a_broker_that_restarts_is_consumed_again(own_node):
    heard = Heard()
    async with running_link(own_node.url, heard) as link:
        queue = unique("restarted")
        await Topology(link, Names()).declare_source(queue)
        async with consuming(link, queue) as consumer:
            await publish(link, queue, b"before", delivery_mode=2)
            await until(lambda: consumer.bodies == [b"before"])
            await asyncio.to_thread(own_node.restart)
            await until(lambda: heard.connects == 2 and consumer.channel.up(queue), 40)
            await publish(link, queue, b"after")
            await until(lambda: consumer.bodies[-1] == b"after")
        assert await depth(link, queue) == 0


async def test_a_broker_that_falls_silent_is_noticed(own_node):
    heard = Heard()
    async with supervised(own_node.url, heard, heartbeat=1) as link:
        queue = unique("silent")
        await Topology(link, Names()).declare_source(queue)
        async with consuming(link, queue) as consumer:
            own_node.freeze()
            try:
                await until(lambda: heard.losses, 20)
            finally:
                own_node.thaw()
            await until(lambda: heard.connects == 2 and consumer.channel.up(queue), 30)
            await publish(link, queue, b"after")
            await until(lambda: consumer.bodies == [b"after"])


async def test_who_waits_for_a_channel_is_told_when_the_broker_blocks_the_connection_and_it_is_lost(own_node):
    """The library's wait for the broker to go on never ends."""
    url, heard = URL(own_node.url), Heard()
    async with (
        open_proxy(url.port or 5672) as proxy,
        running_link(str(url.with_port(proxy.port)), heard) as link,
    ):
        topology, queue = Topology(link, Names()), unique("blocked")
        await topology.declare_source(queue)
        await asyncio.to_thread(own_node.rabbitmqctl, "set_vm_memory_high_watermark", "0.0000001")
        try:
            publishing = asyncio.create_task(publish(link, queue, b"taken later"))
            await until(link.blocked)
            waiting = asyncio.create_task(topology.depth(queue))
            await asyncio.sleep(0)
            proxy.cut()
            with pytest.raises(BrokerUnavailable):
                await asyncio.wait_for(waiting, 10)
        finally:
            await asyncio.to_thread(own_node.rabbitmqctl, "set_vm_memory_high_watermark", "0.4")
            await asyncio.gather(publishing, return_exceptions=True)


def test_the_sign_of_life_is_the_librarys_heartbeat():
    assert frame.marshal(Heartbeat(), 0) == receiving._HEARTBEAT
