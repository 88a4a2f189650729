"""What kind a queue is, as the broker tells those who may not use its management API."""

import pytest

from bridge.amqp.kinds import kind_of, taken_by
from bridge.core.survey import QueueKind
from tests.support.links import raw_channel, unique

EVERYTHING = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 300,
    "x-max-length": 100,
    "x-overflow": "reject-publish",
    "x-dead-letter-exchange": "somewhere else",
    "x-dead-letter-routing-key": "it's here",
    "x-message-ttl": 60_000,
    "x-expires": 100_000_000,
    "x-single-active-consumer": True,
}


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({}, "classic"),
        ({"x-max-length": 10}, "classic"),
        ({"x-queue-type": "classic", "x-max-priority": 5}, "classic"),
        (EVERYTHING, "quorum"),
        ({"x-queue-type": "stream", "x-max-age": "7D"}, "stream"),
    ],
)
@pytest.mark.parametrize("name", ["plain", "with spaces, and 'quotes'"])
async def test_type_and_arguments_of_a_queue_are_found_out_and_no_message_is_touched(
    link, arguments, kind, name
):
    queue = unique(name)
    async with raw_channel(link, confirms=True) as channel:
        await channel.queue_declare(queue, durable=True, arguments=arguments or None)
        await channel.basic_publish(b"here", routing_key=queue)
    found, bare = await kind_of(link, queue, may_declare=True)
    told = {
        name: said for name, said in arguments.items() if said != "classic"
    }  # which is as good as no type
    if found.arguments.get("x-max-age") == "604800s":
        told["x-max-age"] = "604800s"  # 7D, in the words of RabbitMQ 4.3
    assert found == QueueKind(kind, told, whole=True)
    assert bare is not bool(told)
    seen, bare = await kind_of(link, queue, may_declare=False)
    assert (seen.type, seen.whole, bare) == (kind, False, None)
    async with raw_channel(link) as channel:
        if kind == "classic":
            message = await channel.basic_get(queue)
            assert message.body == b"here"
            assert not message.redelivered
        await channel.queue_delete(queue)


async def test_a_queue_that_another_consumer_has_for_itself_is_told_of(link):
    queue = unique("taken")
    async with raw_channel(link) as channel:
        await channel.queue_declare(queue, durable=True)
        assert await taken_by(link, queue) == ""
        await channel.basic_consume(queue, never, exclusive=True)
        assert "exclusive use" in await taken_by(link, queue)
        await channel.queue_delete(queue)


async def test_a_queue_that_goes_with_its_consumer_or_the_broker_is_told_of(link):
    passing, short_lived = unique("passing"), unique("short")
    async with raw_channel(link) as channel:
        await channel.queue_declare(passing, durable=True, auto_delete=True)
        await channel.queue_declare(short_lived, durable=False)
        assert (await kind_of(link, passing, may_declare=True))[0].arguments == {"auto_delete": True}
        assert (await kind_of(link, short_lived, may_declare=True))[0].arguments == {"durable": False}


async def never(_message: object) -> None:
    raise AssertionError("nothing is published here")
