"""A user of the broker who may not do everything."""

from collections.abc import Iterator

import aio_pika
import pytest

from devtools.rabbitmq import RabbitMQNode
from tests.support.scene import Scene
from tests.support.waiting import until

EVENTS = [b"%d" % number for number in range(50)]


@pytest.fixture(scope="module")
def limited(node: RabbitMQNode) -> Iterator[str]:
    """The URL of a user who may declare nothing but what begins with `test-`, and not write to `closed ...`."""
    node.rabbitmqctl("add_user", "limited", "secret")
    node.rabbitmqctl("set_permissions", "limited", "^test-", "^(?!closed)", ".*")
    yield node.url.replace("guest:guest", "limited:secret")
    node.rabbitmqctl("delete_user", "limited")


async def test_a_source_that_may_not_be_declared_is_consumed_and_its_contract_unknown(
    harmed: Scene, limited: str
):
    source = await harmed.queue()
    await harmed.queues.publish(source, EVENTS)
    async with harmed.bridge([harmed.webhook("crm")], source, amqp_url=limited) as bridge:
        await until(
            lambda: bridge.history.statuses("crm") == {"SUCCESS": len(EVENTS)}, what=bridge.last_words
        )
        assert await bridge.metric("source_contract_mismatch", source="main") == -1


async def test_an_exchange_that_may_not_be_written_to_disturbs_no_other_hook(harmed: Scene, limited: str):
    source, sink = await harmed.queue(), await harmed.queue("sink")
    exchange = f"closed {harmed.token}"
    connection = await aio_pika.connect(harmed.amqp_url)
    channel = await connection.channel()
    await channel.declare_exchange(exchange, "fanout", auto_delete=True)
    retry = {"schedule": ["50ms"], "max_attempts": 1000}
    hooks = [
        {"name": "closed", "retry": retry, "target": {"type": "queue", "exchange": exchange}},
        {"name": "onward", "retry": retry, "target": {"type": "queue", "queue": sink}},
    ]
    async with harmed.bridge(hooks, source, amqp_url=limited) as bridge:
        await harmed.queues.publish(source, EVENTS[:1])
        await until(lambda: len(bridge.history.attempts("closed")) > 3, what=bridge.last_words)
        await harmed.queues.publish(source, EVENTS[1:])
        await until(
            lambda: bridge.history.statuses("onward") == {"SUCCESS": len(EVENTS)}, what=bridge.last_words
        )
        # Only what was under way together with the first attempt could be disturbed.
        assert len(bridge.history.attempts("onward")) <= len(EVENTS) + 1
        assert {attempt[2] for attempt in bridge.history.attempts("closed")} == {"not_confirmed"}
    await channel.exchange_delete(exchange)
    await connection.close()
    assert {message.body for message in await harmed.queues.take_all(sink)} == set(EVENTS)


async def test_without_the_right_to_our_own_objects_the_start_says_so(harmed: Scene, limited: str):
    source = await harmed.queue()
    broker = {"prefix": "other", "url": limited}
    async with harmed.prepared([harmed.webhook("crm")], source, broker=broker) as bridge:
        await bridge.launch()
        assert await bridge.ended(30) == 1
        (said,) = [line for line in bridge.log_text.splitlines() if line.startswith("error: ")]
        assert "grant configure" in said
