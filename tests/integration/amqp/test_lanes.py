"""Copies on a real broker: parked, delayed by the ladder, complete and clean when they come back."""

import asyncio
import time
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bridge.amqp.consumer import send_acks
from bridge.amqp.lanes import BrokerCopies, ChannelLanes
from bridge.amqp.publisher import ConfirmedPublisher
from bridge.amqp.topology import Names, Topology
from bridge.core.delivery import Delivery
from bridge.core.event import Event, Message
from bridge.core.ports import AckHandle
from bridge.formats.parse import parse
from bridge.formats.registry import content_of
from bridge.wire.copies import MessageKeys, read_copy
from tests.support.links import running_link, unique

HEADERS = {
    "text": "žluťoučký kůň",
    "octets": b"\xff\xfe\x00",
    "number": -(2**62),
    "yes": True,
    "nothing": None,
    "half": 0.5,
    "price": Decimal("12.50"),
    "at": datetime(2025, 3, 14, 9, 26, 53, tzinfo=UTC),
    "list": [1, "two", {"three": [3]}],
    "table": {"a": {"b": "c"}},
    # Within the copy's own table: at the top level the broker would take a retry for a cycle, and drop it.
    "x-death": [
        {"count": 1, "reason": "expired", "queue": "bridge.delay.5", "time": datetime(2025, 1, 1, tzinfo=UTC)}
    ],
    "x-first-death-queue": "q",
}
KEYS = MessageKeys.derived_from([b"k" * 32])
NOT_COPIED = {
    "CC": ["elsewhere"],
    "BCC": ["elsewhere"],
    "x-delivery-count": 3,
    "x-bridge-delivery": "forged",
    "x-bridge-hook": "forged",
}


class Lanes:
    """Topology, copies and consumers under a prefix of their own."""

    def __init__(self, link, consuming, prefix):
        self.consuming = consuming
        self.topology = Topology(link, Names(prefix))
        self.publisher = ConfirmedPublisher(link, timeout=5)
        self.steps: list[int] = []
        self.copies = BrokerCopies(self.publisher, self.topology, KEYS.copies, self.steps.append)
        self.consumers = ChannelLanes(consuming, self.topology, lambda _queue, _up: None)
        self.arrived: asyncio.Queue[tuple[Message, AckHandle]] = asyncio.Queue()

    async def consume(self, hook, prefetch=10):
        await self.consumers.consume(hook, prefetch, lambda *pair: self.arrived.put_nowait(pair))

    async def next(self, seconds=20):
        async with asyncio.timeout(seconds):
            return await self.arrived.get()


@pytest.fixture
async def lanes(amqp_url):
    async with running_link(amqp_url) as link, running_link(amqp_url) as consuming:
        lanes = Lanes(link, consuming, unique("t"))
        await lanes.topology.ensure_base()
        yield lanes
        await lanes.consumers.close()
        await lanes.publisher.close()


def delivery(hook, body=b'{"a": 1}', **changes):
    message = Message(
        body,
        exchange="ex",
        routing_key="rk",
        headers={**HEADERS, **NOT_COPIED},
        content_type="application/json",
        correlation_id="c",
        message_id="publishers-own",
        app_id="app",
        type="amqp-type",
        timestamp=datetime(2025, 1, 1, tzinfo=UTC),
    )
    event = Event(
        "event-id", "source", "a.b", "json", 1_700_000_000.5, message, parse(body), "2025-01-01T00:00:00Z",
        "publishers-own", "somebody", "webhook-id",
    )  # fmt: skip
    return Delivery("delivery-id", event, hook, **changes)


@pytest.mark.parametrize("body", [b"", b"\xef\xbb\xbf{}", b"\xff\xfe", b"[" * 2000, b"x" * 300_000])
async def test_a_parked_copy_comes_back_whole(lanes, body):
    sent = delivery(
        "crm", body, generation=3, attempt=4, retries=2, not_before=1_700_000_123.456, error="timeout"
    )
    await lanes.copies.park(sent)
    await lanes.consume("crm")

    message, ticket = await lanes.next()
    got = read_copy(message, content_of)
    ticket.finish()

    assert KEYS.copies.is_genuine(message)
    assert isinstance(got, Delivery)
    assert got.event.message.body == body
    assert dict(got.event.message.headers) == HEADERS
    assert (got.id, got.hook, got.generation, got.attempt, got.retries) == ("delivery-id", "crm", 3, 4, 2)
    assert (got.not_before, got.error) == (1_700_000_123.456, "timeout")
    for field in (
        "id",
        "source",
        "type",
        "format",
        "received_at",
        "data",
        "time",
        "publisher_id",
        "identity",
        "webhook_id",
    ):
        assert getattr(got.event, field) == getattr(sent.event, field), field
    for field in ("exchange", "routing_key", "content_type", "correlation_id", "app_id", "type", "timestamp"):
        assert getattr(got.event.message, field) == getattr(sent.event.message, field), field


async def test_the_ladder_brings_a_copy_back_to_its_lane_never_early(lanes):
    started = time.monotonic()
    await lanes.copies.delay(delivery("crm"), 5.0)
    await lanes.consume("crm")

    message, ticket = await lanes.next()
    waited = time.monotonic() - started
    ticket.finish()

    assert 5.0 <= waited < 7.0
    assert lanes.steps == [5]
    got = read_copy(message, content_of)
    assert isinstance(got, Delivery)
    assert dict(got.event.message.headers) == HEADERS


async def test_a_short_wait_goes_straight_to_the_lane(lanes):
    await lanes.copies.delay(delivery("crm"), 3.0)

    assert lanes.steps == []
    assert await lanes.topology.depth(lanes.topology.names.lane("crm")) == 1


async def test_a_lane_that_was_deleted_is_made_anew(lanes):
    await lanes.copies.park(delivery("crm"))
    async with lanes.topology._link.channel() as channel:
        await channel.queue_delete(lanes.topology.names.lane("crm"))

    await lanes.copies.park(delivery("crm"))

    assert await lanes.topology.depth(lanes.topology.names.lane("crm")) == 1


async def test_what_was_given_back_comes_again_and_what_was_finished_does_not(lanes):
    await lanes.copies.park(delivery("crm"))
    await lanes.copies.park(delivery("crm", b"second"))
    await lanes.consume("crm")
    (first, keep), (second, back) = await lanes.next(), await lanes.next()
    keep.finish()
    await send_acks(lanes.consumers.channels)
    back.requeue()

    again, ticket = await lanes.next()
    ticket.finish()

    assert first.body != second.body == again.body
    await lanes.consumers.leave("crm")
    await lanes.consumers.close()
    assert await lanes.topology.depth(lanes.topology.names.lane("crm")) == 0


async def test_a_consumer_survives_the_loss_of_its_connection(lanes):
    await lanes.consume("crm")
    await lanes.copies.park(delivery("crm"))
    _, ticket = await lanes.next()
    await lanes.consuming._connection.close()

    again, new_ticket = await lanes.next()
    assert again.redelivered
    assert not ticket.valid
    ticket.finish()  # of a lost channel: settles nothing
    new_ticket.finish()
