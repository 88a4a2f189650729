"""Receiving from a real broker: messages of every shape."""

import random
import struct
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from aiormq.abc import ChannelFrame
from pamqp import commands, frame
from pamqp.body import ContentBody

from bridge.amqp.kinds import last_offset
from bridge.core.event import Message
from tests.support.consuming import consuming, depth, publish, publish_fast
from tests.support.links import raw_channel, unique
from tests.support.waiting import holds, until


async def publish_octets(link, queue, flags, properties, body=b"{}"):
    """A message with properties that the AMQP library would not write."""
    async with raw_channel(link) as channel:
        header = struct.pack(">HHQH", 60, 0, len(body), flags) + properties
        octets = b"".join(
            (
                frame.marshal(commands.Basic.Publish(routing_key=queue), channel.number),
                struct.pack(">BHI", 2, channel.number, len(header)) + header + b"\xce",
                frame.marshal(ContentBody(body), channel.number),
            )
        )
        await channel.connection.write_queue.put(ChannelFrame(octets, should_close=False))
        await channel.basic_qos()  # answered once the publish was worked through


async def test_all_properties_that_we_use_arrive_as_they_were_published(link, queue):
    at = datetime(2025, 3, 14, 9, 26, 53, tzinfo=UTC)
    await publish(
        link,
        queue,
        b"{}",
        content_type="application/json",
        content_encoding="utf-8",
        headers={"one": 1},
        delivery_mode=2,
        priority=3,
        correlation_id="c",
        reply_to="nowhere",
        message_id="ünïque",
        timestamp=at,
        message_type="customers.create",
        app_id="splynx",
    )
    async with consuming(link, queue) as consumer:
        await until(lambda: consumer.got)

    assert consumer.got == [
        Message(
            body=b"{}",
            exchange="",
            routing_key=queue,
            headers={"one": 1},
            content_type="application/json",
            content_encoding="utf-8",
            correlation_id="c",
            message_id="ünïque",
            app_id="splynx",
            type="customers.create",
            timestamp=at,
            reply_to="nowhere",
            priority=3,
            redelivered=False,
        )
    ]


async def test_rich_header_tables_arrive_as_they_were_published(link, queue):
    headers = {
        "text": "žluťoučký kůň",
        "number": -(2**62),
        "yes": True,
        "nothing": None,
        "half": 0.5,
        "price": Decimal("-12.50"),
        "at": datetime(2025, 3, 14, 9, 26, 53, tzinfo=UTC),
        "bytes": bytearray(b"\x00\xff"),
        "list": [1, "two", {"three": [3]}],
        "table": {"a": {"b": "c"}, "": {}},
    }
    await publish(link, queue, b"{}", headers=headers)
    async with consuming(link, queue) as consumer:
        await until(lambda: consumer.got)

    assert consumer.got[0].headers == headers


def table(*fields):
    octets = b"".join(fields)
    return struct.pack(">I", len(octets)) + octets


def nested(depth):
    octets = table()
    for _ in range(depth):
        octets = table(b"\x01nF" + octets)
    return octets


@pytest.mark.parametrize(
    ("flags", "properties", "told"),
    [
        (1 << 15, b"\x04caf\xe9", lambda message: message.content_type == r"caf\xe9"),
        (1 << 13, table(b"\x04caf\xe9V"), lambda message: message.headers == {r"caf\xe9": None}),
        (
            1 << 13,
            table(b"\x01oS", struct.pack(">I", 2), b"\xff\xfe"),
            lambda message: message.headers == {"o": b"\xff\xfe"},
        ),
        (
            1 << 13,
            table(b"\x01b" + b"l" + b"\x7f" + b"\xff" * 7),
            lambda message: message.headers == {"b": 2**63 - 1},
        ),
        (
            1 << 13,
            table(b"\x01tT" + b"\xff" * 8),
            lambda message: message.headers["t"].year < 10_000,
        ),
        (
            1 << 6,
            struct.pack(">Q", 1_742_000_000_000_000),
            lambda message: message.timestamp == datetime(2025, 3, 15, 0, 53, 20, tzinfo=UTC),
        ),
        (1 << 13, nested(1_000), lambda message: "n" in message.headers),
    ],
    ids=["property", "name", "octets", "64 bits", "time header", "microseconds", "deep nesting"],
)
async def test_what_the_library_cannot_read_arrives_and_ends_nothing(link, queue, flags, properties, told):
    """Each of these closed the connection, or could have: the broker would have sent it again, for ever."""
    await publish_octets(link, queue, flags, properties)
    await publish(link, queue, b"the next one")
    connection = await link.connection()
    async with consuming(link, queue) as consumer:
        await until(lambda: len(consumer.got) == 2)

    assert told(consumer.got[0])
    assert await link.connection() is connection


async def test_the_end_of_a_stream_is_found_whatever_its_last_message_is(link):
    """The library closes the connection over it."""
    stream = unique("stream")
    async with link.channel() as channel:
        await channel.declare_queue(stream, durable=True, arguments={"x-queue-type": "stream"})
    await publish(link, stream, b"{}")
    await publish_octets(link, stream, 1 << 13, table(b"\x01tT" + b"\xff" * 8))
    try:
        assert await last_offset(link, stream, 1) == 1
    finally:
        async with link.channel() as channel:
            await channel.queue_delete(stream)


async def test_bodies_of_any_size_arrive_whole_and_in_order(link, queue):
    sizes = (0, 1, 131_064, 131_065, 300_000, 0, 16_000_000, 5)
    bodies = [random.Random(size).randbytes(size) for size in sizes]
    await publish(link, queue, *bodies)
    async with consuming(link, queue) as consumer:
        await until(lambda: len(consumer.got) == len(sizes), 30)

    assert consumer.bodies == bodies


async def test_unicode_exchanges_and_routing_keys_arrive(link, queue):
    exchange, key = unique("výměna"), "zákazníci.vytvoření." + "š" * 100
    async with raw_channel(link, confirms=True) as channel:
        await channel.exchange_declare(exchange, exchange_type="topic", auto_delete=True)
        await channel.queue_bind(queue, exchange, routing_key="#")
        await channel.basic_publish(b"{}", exchange=exchange, routing_key=key, mandatory=True)
    async with consuming(link, queue) as consumer:
        await until(lambda: consumer.got)

    assert (consumer.got[0].exchange, consumer.got[0].routing_key) == (exchange, key)


async def test_thousands_that_wait_all_come_once_and_are_gone(link, queue):
    bodies = [b"%d" % number for number in range(3_000)]
    await publish_fast(link, queue, bodies)
    async with consuming(link, queue, prefetch=50) as consumer:
        await until(lambda: len(consumer.got) == len(bodies), 30)

    assert consumer.bodies == bodies
    assert await depth(link, queue) == 0


async def test_no_more_than_the_prefetch_is_held(link, queue):
    await publish(link, queue, *[b"x"] * 30)
    async with consuming(link, queue, prefetch=10, keep=True) as consumer:
        await until(lambda: len(consumer.got) == 10)
        await holds(lambda: len(consumer.got) == 10, 0.3, what="more came than was asked for")

    await until(lambda: depth(link, queue), what="they come back")
    assert await depth(link, queue) == 30
