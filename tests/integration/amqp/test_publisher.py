"""Publishing on a real broker: confirmed, or told why not."""

import asyncio
import itertools
from contextlib import suppress
from dataclasses import replace

import pytest
from yarl import URL

from bridge.amqp.publisher import ConfirmedPublisher
from bridge.amqp.topology import Names, Topology
from bridge.core.errors import PublishFailed, PublishTooLarge, Unroutable
from bridge.core.event import Message
from bridge.core.ports import Outgoing
from tests.support.links import Heard, running_link, unique
from tests.support.loop_time import MOST, loop_held
from tests.support.proxy import open_proxy


def outgoing(queue, message_id="m", body=b"{}", headers=None, exchange=""):
    return Outgoing(exchange, queue, message_id, body, headers or {}, Message(body))


@pytest.fixture(params=[False, True], ids=["through aio-pika", "underneath"])
async def publisher(link, request):
    publisher = ConfirmedPublisher(link, timeout=5, underneath=request.param)
    yield publisher
    await publisher.close()


async def test_a_confirmed_message_is_in_its_queue(link, publisher):
    topology, queue = Topology(link, Names()), unique("with spaces / and ünïcode")
    await topology.declare_source(queue)

    await asyncio.gather(*(publisher.publish(outgoing(queue, f"m{n}")) for n in range(50)))

    assert await topology.depth(queue) == 50


async def test_what_no_queue_takes_is_told_and_the_channel_lives_on(link, publisher):
    queue = unique("q")
    await Topology(link, Names()).declare_source(queue)

    results = await asyncio.gather(
        publisher.publish(outgoing(unique("missing"), "a")),
        publisher.publish(outgoing(queue, "b")),
        return_exceptions=True,
    )

    assert isinstance(results[0], Unroutable)
    assert results[1] is None


async def test_publishes_with_one_message_id_get_each_their_own_fate(link, publisher):
    """The library would tell the one that is in its queue as returned, and the other one as taken: a loss."""
    queue = unique("q")
    topology = Topology(link, Names())
    await topology.declare_source(queue)

    where = [unique("missing"), queue] * 20
    results = await asyncio.gather(
        *(publisher.publish(outgoing(each, "same")) for each in where), return_exceptions=True
    )

    assert [isinstance(result, Unroutable) for result in results] == [True, False] * 20
    assert results[1::2] == [None] * 20
    assert await topology.depth(queue) == 20


async def test_properties_that_the_broker_refuses_do_not_cost_the_others_their_channel(link, publisher):
    """RabbitMQ answers both of these by closing the channel (406)."""
    queue = unique("q")
    topology = Topology(link, Names())
    await topology.declare_source(queue)
    bad = [
        replace(outgoing(queue, "a"), reply_to="amq.rabbitmq.reply-to"),
        *(replace(outgoing(queue, f"b{each}"), expiration=each) for each in ("soon", "4294967296", "-1", "")),
    ]

    await asyncio.gather(*map(publisher.publish, [*bad, *(outgoing(queue, f"m{n}") for n in range(10))]))

    assert await topology.depth(queue) == 15


async def test_however_many_publish_at_once_to_an_exchange_it_is_not_looked_for_by_each(
    link, publisher, monkeypatch
):
    """One look after the other made the last of two hundred wait longer than for a confirm."""
    queue, looks, channel = unique("q"), itertools.count(), link.channel
    await Topology(link, Names()).declare_source(queue)
    async with link.channel() as binding:
        await (await binding.get_queue(queue)).bind("amq.direct", queue)
    monkeypatch.setattr(link, "channel", lambda **options: (next(looks), channel(**options))[1])

    await asyncio.gather(
        *(publisher.publish(outgoing(queue, f"m{n}", exchange="amq.direct")) for n in range(200))
    )

    assert next(looks) <= 2, "before the channel that it is published on was opened, and after it"


async def test_a_missing_exchange_fails_the_publish_and_the_next_one_works(link, publisher):
    queue = unique("q")
    await Topology(link, Names()).declare_source(queue)

    with pytest.raises(PublishFailed):
        await publisher.publish(outgoing("key", exchange=unique("no-such-exchange")))

    await publisher.publish(outgoing(queue))


async def test_headers_that_would_close_the_connection_are_refused_before(publisher):
    with pytest.raises(PublishTooLarge):
        await publisher.publish(outgoing("q", headers={"big": "x" * 131_000}))


async def test_headers_that_amqp_cannot_hold_are_refused(publisher):
    with pytest.raises(PublishTooLarge):
        await publisher.publish(outgoing("q", headers={"object": object()}))


async def test_without_a_connection_a_publish_ends_within_its_bound(amqp_url):
    async with running_link(amqp_url) as link:
        publisher = ConfirmedPublisher(link, timeout=0.2)
    with pytest.raises(PublishFailed):
        await publisher.publish(outgoing("q"))


async def test_a_large_body_arrives_whole_among_others_and_holds_the_event_loop_for_no_time(link, publisher):
    queue, bodies = unique("q"), [b"first", bytes(range(256)) * 60_000, b"last"]
    await Topology(link, Names()).declare_source(queue)

    with loop_held() as held:
        await asyncio.gather(*(publisher.publish(outgoing(queue, f"m{n}", b)) for n, b in enumerate(bodies)))

    assert held.longest < MOST / 4, "15 MB of the 128 that may come"
    async with link.channel() as channel:
        held_there = await channel.get_queue(queue, ensure=False)
        for body in bodies:
            assert (await held_there.get(no_ack=True)).body == body


async def test_a_large_publish_that_ran_out_of_time_costs_the_next_ones_nothing(link, amqp_url):
    """Its body goes on being sent: the broker would close the connection over a message that breaks off."""
    queue = unique("q")
    await Topology(link, Names()).declare_source(queue)
    url, heard = URL(amqp_url), Heard()
    async with (
        open_proxy(url.port or 5672) as proxy,
        running_link(str(url.with_port(proxy.port).with_host("127.0.0.1")), heard) as slow,
    ):
        publisher = ConfirmedPublisher(slow, timeout=0.5, body_limit=64 * 2**20)
        await publisher.publish(outgoing(queue, "before"))
        proxy.rate = 2**20
        with pytest.raises(PublishFailed):
            await publisher.publish(outgoing(queue, "large", bytes(12 * 2**20)))
        proxy.rate = None
        while True:
            with suppress(PublishFailed):
                await publisher.publish(outgoing(queue, "after"))
                break
        await publisher.close()
        assert not heard.losses
        assert (await Topology(link, Names()).depth(queue) or 0) >= 3
