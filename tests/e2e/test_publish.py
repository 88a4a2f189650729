"""`amqp-bridge publish` against a real broker."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from tests.support.command import amqp_bridge


@pytest.fixture
async def channel(amqp_url: str) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(amqp_url)
    async with connection:
        yield await connection.channel()


@pytest.fixture
async def queue(channel: AbstractChannel) -> AsyncIterator[str]:
    """A queue as publishers declare it, with a space in its name."""
    name = f"my queue {uuid4()}"
    await channel.declare_queue(name, durable=True)
    yield name
    await channel.queue_delete(name)


async def received(channel: AbstractChannel, queue: str, number: int) -> list[AbstractIncomingMessage]:
    """Exactly this many messages, taken from the queue."""
    found = await channel.get_queue(queue)
    assert found.declaration_result.message_count == number
    return [message for _ in range(number) if (message := await found.get(no_ack=True))]


async def test_a_body_arrives_byte_for_byte_with_its_properties(
    channel: AbstractChannel, queue: str, amqp_url: str, tmp_path: Path
):
    body = b' {"a": 1,\n "a": 1.0}\n'
    (tmp_path / "event.json").write_bytes(body)
    arguments = ["--url", amqp_url, "--queue", queue, "--type", "t.x", "-H", "k=v=w", "event.json"]
    ended = amqp_bridge("publish", *arguments, cwd=tmp_path)
    assert (ended.code, ended.out, ended.err) == (0, f"1 message confirmed in queue {queue!r}\n", "")
    (message,) = await received(channel, queue, 1)
    assert message.body == body
    assert (message.type, message.headers, message.content_type) == ("t.x", {"k": "v=w"}, "application/json")
    assert message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert message.message_id


async def test_each_line_of_standard_input_is_a_message_with_an_id_of_its_own(
    channel: AbstractChannel, queue: str, amqp_url: str, tmp_path: Path
):
    lines = b"".join(b'{"n": %d}\n\n' % n for n in range(300))
    arguments = ["--url", amqp_url, "-q", queue, "--ndjson", "--count", "2", "--json"]
    ended = amqp_bridge("publish", *arguments, cwd=tmp_path, stdin=lines)
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == {"queue": queue, "published": 600}
    messages = await received(channel, queue, 600)
    assert sorted(json.loads(message.body)["n"] for message in messages) == sorted([*range(300)] * 2)
    assert len({message.message_id for message in messages}) == 600


async def test_the_queue_of_a_source_is_taken_from_the_configuration(
    channel: AbstractChannel, queue: str, amqp_url: str, tmp_path: Path
):
    settings = {"broker": {"url": amqp_url}, "sources": [{"name": "splynx", "queue": queue}]}
    (tmp_path / "bridge.yaml").write_text(json.dumps(settings))
    assert amqp_bridge("publish", "-s", "splynx", "-b", "[]", cwd=tmp_path).code == 0
    await received(channel, queue, 1)


async def test_a_line_that_is_no_json_is_named_and_what_was_confirmed_before_is_told(
    channel: AbstractChannel, queue: str, amqp_url: str, tmp_path: Path
):
    (tmp_path / "events.ndjson").write_bytes(b"1\n" * 500 + b"{\n")
    ended = amqp_bridge("publish", "--url", amqp_url, "-q", queue, "events.ndjson", cwd=tmp_path)
    assert ended.code == 2
    counted, error = ended.err.splitlines()
    assert counted == "500 confirmed before this:"
    assert error.startswith("error: events.ndjson:501: not JSON")
    await received(channel, queue, 500)


async def test_text_that_is_no_json_goes_as_the_content_type_given(
    channel: AbstractChannel, queue: str, amqp_url: str, tmp_path: Path
):
    arguments = ["--url", amqp_url, "-q", queue, "--content-type", "text/plain", "-b", "hello"]
    assert amqp_bridge("publish", *arguments, cwd=tmp_path).code == 0
    (message,) = await received(channel, queue, 1)
    assert (message.body, message.content_type) == (b"hello", "text/plain")


async def test_a_queue_that_does_not_exist_is_not_made_unless_asked_for(
    channel: AbstractChannel, amqp_url: str, tmp_path: Path
):
    name = f"new {uuid4()}"
    arguments = ["publish", "--url", amqp_url, "-q", name, "-b", "1"]
    ended = amqp_bridge(*arguments, cwd=tmp_path)
    assert ended.code == 1
    assert name in ended.err
    assert "--create" in ended.err
    assert amqp_bridge(*arguments, "--create", cwd=tmp_path).code == 0
    made = await channel.declare_queue(name, durable=True)  # 406 if it were made otherwise than publishers do
    assert made.declaration_result.message_count == 1
    await channel.queue_delete(name)
