"""What stands in a source's queue once an inlet has answered."""

import asyncio
import gzip
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from aiormq.abc import DeliveredMessage

from bridge.amqp.fail_fast import PromptPublisher
from bridge.amqp.kinds import SourceQueues
from bridge.amqp.topology import Names, Topology
from bridge.core.event import Message
from bridge.core.inlet import Inlet
from bridge.wire.headers import SignedInletMarkReader
from tests.support.inlet_server import Kept, prompt, serving
from tests.support.inlets import BODY, SECRETS, TIKI, signed_by_each, three_bad
from tests.support.queues import Queues

OPEN = {"name": "open", "open": True}


def properties_of(message: DeliveredMessage) -> Any:
    return message.header.properties


ODD_METHODS = ("PUT", "PATCH", "DELETE", "MKCOL")


async def test_published_messages_hold_no_secret_and_prove_who_sent_them(
    link, queue: str, queues: Queues, amqp_url: str
):
    async with prompt(link) as publisher, serving([TIKI], publisher, queue) as served:
        for headers in signed_by_each().values():
            answer = await served.sender.send("/tiki-webhooks.php?secret=in-a-query", headers)
            assert answer.status == 200
        for headers in three_bad():
            assert (await served.sender.send("/tiki-webhooks.php", headers)).status == 403
    messages = await queues.take_all(queue)
    arrivals = SignedInletMarkReader("main", [Inlet.model_validate(TIKI)])
    identities = []
    for message in messages:
        properties = properties_of(message)
        on_the_wire = message.body + properties.marshal()
        assert not [secret for secret in (*SECRETS.values(), "in-a-query") if secret.encode() in on_the_wire]
        assert (properties.delivery_mode, properties.message_type) == (2, "tiki.webhook.received")
        arrival = arrivals.read(Message(message.body, headers=properties.headers))
        assert arrival is not None
        identities.append(arrival.identity)
    assert identities == list(signed_by_each())


async def test_every_method_that_tells_something_any_content_and_no_body_at_all_are_taken(
    link, queue: str, queues: Queues
):
    bodies = [b"", b"\xff\xfe not UTF-8", b'\xef\xbb\xbf{"a":1}', b"<e>\xc3\xa9</e>", b"x" * 200_000]
    async with prompt(link) as publisher, serving([OPEN], publisher, queue) as served:
        for body in bodies:
            assert (await served.sender.send("/in/open", body=body)).status == 200
        for method in ODD_METHODS:
            answer = await served.sender.send("/in/open", body=b"", method=method)
            assert (answer.status, answer.text) == (200, "ok"), method
    messages = await queues.take_all(queue)
    assert [message.body for message in messages] == bodies + [b""] * len(ODD_METHODS)
    tables = [properties_of(message).headers["x-bridge-inlet"] for message in messages]
    assert [table["method"] for table in tables] == ["POST"] * len(bodies) + list(ODD_METHODS)


async def test_the_senders_bytes_properties_and_id_travel_untouched(link, queue: str, queues: Queues):
    packed = gzip.compress(BODY)
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Content-Encoding": "gzip",
        "X-GitHub-Delivery": "5f0c2e2e",
        "X-GitHub-Event": "push",
        "ce-type": "a.b",
    }
    async with prompt(link) as publisher, serving([OPEN], publisher, queue) as served:
        for _ in range(2):
            assert (await served.sender.send("/in/open", headers, packed)).status == 200
        assert (await served.sender.send("/in/open")).status == 200
    first, again, bare = await queues.take_all(queue)
    assert first.body == again.body == packed
    properties = properties_of(first)
    assert (properties.content_type, properties.content_encoding) == (headers["Content-Type"], "gzip")
    assert properties.message_id == properties_of(again).message_id == "5f0c2e2e"
    assert {"X-GitHub-Event", "ce-type"} <= properties.headers.keys()
    assert datetime.now(UTC) - properties.timestamp < timedelta(seconds=60)
    assert properties_of(bare).message_id not in {None, "", "5f0c2e2e"}
    assert properties_of(bare).content_type is None


async def test_a_queue_that_is_missing_is_made(link, queue: str, queues: Queues):
    await queues.delete(queue)
    async with prompt(link) as publisher, serving([OPEN], publisher, queue) as served:
        assert (await served.sender.send("/in/open")).status == 200
    assert await queues.depth(queue) == 1


async def test_a_queue_that_takes_nothing_is_told_as_503(link, queue: str, queues: Queues):
    await queues.delete(queue)
    await queues.declare(queue, {"x-max-length": 1, "x-overflow": "reject-publish"})
    async with prompt(link) as publisher, serving([OPEN], publisher, queue) as served:
        answers = [await served.sender.send("/in/open") for _ in range(3)]
        assert served.counted("open", "unavailable") == 2
    assert [answer.status for answer in answers] == [200, 503, 503]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert await queues.depth(queue) == 1


async def test_a_connection_lost_while_a_channel_opens_is_503_and_no_broken_off_answer(link, queue: str):
    lost = Kept()
    lost.fault = asyncio.CancelledError()  # what aiormq 7.2 raises then
    publisher = PromptPublisher(
        link, Kept(), lost, prepare=SourceQueues(link, Topology(link, Names())).prepare
    )
    async with serving([OPEN], publisher, queue) as served:
        assert (await served.sender.send("/in/open")).status == 503
        assert served.counted("open", "unavailable") == 1


async def test_many_requests_with_one_id_at_once_all_arrive(link, queue: str, queues: Queues):
    """The client library tells returned messages apart by their id alone."""
    async with prompt(link) as publisher, serving([OPEN], publisher, queue) as served:
        sent = [served.sender.send("/in/open", {"webhook-id": f"msg_{number % 2}"}) for number in range(40)]
        assert {answer.status for answer in await asyncio.gather(*sent)} == {200}
    messages = await queues.take_all(queue)
    assert Counter(properties_of(message).message_id for message in messages) == {"msg_0": 20, "msg_1": 20}
