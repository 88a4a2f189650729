"""Receiving from a real broker: consumers that end, messages given back, channels that the broker closes."""

import asyncio

from aiormq.abc import ChannelFrame
from pamqp import commands, frame
from pamqp.heartbeat import Heartbeat

from tests.support.consuming import consuming, depth, publish, publish_fast
from tests.support.waiting import until


async def test_a_consumer_that_is_left_gets_nothing_more_and_settles_what_it_has(link, queue):
    await publish(link, queue, b"1", b"2")
    async with consuming(link, queue, keep=True) as consumer:
        await until(lambda: len(consumer.got) == 2)
        await consumer.channel.unsubscribe(queue)
        await publish(link, queue, b"3")
        for ticket in consumer.tickets:
            ticket.finish()
        await consumer.channel.flush()

    await until(lambda: depth(link, queue))
    assert await depth(link, queue) == 1
    assert consumer.bodies == [b"1", b"2"]


async def test_a_queue_that_is_deleted_is_made_anew_and_consumed_again(link, queue):
    async with consuming(link, queue) as consumer:
        async with link.channel() as channel:
            await channel.queue_delete(queue)
        await until(lambda: not consumer.channel.up(queue))
        await until(lambda: consumer.channel.up(queue))
        await publish(link, queue, b"again")
        await until(lambda: consumer.bodies == [b"again"])


async def test_messages_given_back_come_again_and_are_never_acked_by_their_neighbours(link, queue):
    await publish(link, queue, *[b"%d" % number for number in range(200)])
    async with consuming(link, queue, prefetch=200, keep=True) as consumer:
        await until(lambda: len(consumer.got) == 200)
        await consumer.channel.unsubscribe(queue)
        for number, ticket in enumerate(consumer.tickets):
            if number % 3 == 0:
                ticket.requeue()
            else:
                ticket.finish()
            if number % 50 == 0:
                await consumer.channel.flush()

    assert await depth(link, queue) == 67


async def test_a_consumer_that_may_hold_more_is_kept_beside_another_one_and_all_end_together(link, queue):
    await publish(link, queue, *[b"%d" % number for number in range(9)])
    async with consuming(link, queue, prefetch=2, keep=True) as consumer:
        await until(lambda: len(consumer.got) == 2)
        consumer.channel.resize(queue, 5)
        await until(lambda: len(consumer.got) == 5)
        assert await consumers(link, queue) == 2
        consumer.channel.resize(queue, 4)
        await until(lambda: len(consumer.got) == 9)
        assert await consumers(link, queue) == 1
        consumer.channel.resize(queue, 6)
        await until(lambda: has_consumers(link, queue, 2))
        async with link.channel() as channel:
            await channel.queue_delete(queue)
        await until(lambda: has_consumers(link, queue, 1))  # in a queue that was made anew
        await until(lambda: consumer.channel.up(queue))
        await consumer.channel.unsubscribe(queue)
        assert await consumers(link, queue) == 0
        assert not consumer.channel.up(queue)


async def consumers(link, queue) -> int:
    async with link.channel() as channel:
        return (await channel.get_queue(queue)).declaration_result.consumer_count or 0


async def has_consumers(link, queue, count: int) -> bool:
    return await depth(link, queue) is not None and await consumers(link, queue) == count


async def test_flushes_that_overlap_ack_no_tag_twice(link, queue):
    """RabbitMQ answers 406 to a single ack behind a multiple ack that covered it."""
    connection = await link.connection()
    await publish(link, queue, *[b"x"] * 500)
    async with consuming(link, queue, prefetch=500, keep=True) as consumer:
        await until(lambda: len(consumer.got) == 500)
        for ticket in consumer.tickets[1:250]:
            ticket.finish()
        first = asyncio.create_task(consumer.channel.flush())
        fill(connection.underlay.write_queue)  # so that the first flush has to wait
        await asyncio.sleep(0)
        for ticket in (consumer.tickets[0], *consumer.tickets[250:]):
            ticket.finish()
        await asyncio.gather(first, consumer.channel.flush(), consumer.channel.flush())
        await publish(link, queue, b"still on the same channel")
        await until(lambda: len(consumer.got) == 501)

    assert consumer.got[-1].redelivered is False
    assert await depth(link, queue) == 1


def fill(write_queue):
    """The library's queue of outgoing frames takes ten."""
    while not write_queue.full():
        write_queue.put_nowait(ChannelFrame(frame.marshal(Heartbeat(), 0), should_close=False))


async def test_a_channel_that_the_broker_closes_comes_back_and_the_connection_stays(link, queue):
    """RabbitMQ ends the whole connection over an ack behind the CloseOk."""
    connection = await link.connection()
    bodies = {b"%d" % number for number in range(2_000)}
    await publish_fast(link, queue, bodies)
    async with consuming(link, queue, prefetch=len(bodies), keep=True) as consumer:
        await until(lambda: len(consumer.got) == len(bodies))
        tickets = iter(consumer.tickets[:])
        # 406 PRECONDITION_FAILED: a delivery tag that does not exist. Acks go on all the while.
        unknown = frame.marshal(commands.Basic.Ack(99_999), max(connection.underlay.channels))
        await connection.underlay.write_queue.put(ChannelFrame(unknown, should_close=False))
        for ticket in tickets:
            if not ticket.valid:
                break
            ticket.finish()
            await consumer.channel.flush()
            await asyncio.sleep(0)
        consumer.keep = False
        for ticket in tickets:
            ticket.finish()
        await publish(link, queue, b"behind those that come again")
        await until(lambda: consumer.bodies[-1] == b"behind those that come again")

    assert await link.connection() is connection
    assert consumer.got[-2].redelivered
    assert await depth(link, queue) == 0
