"""Publishers and consumers in other languages: the examples, run on the broker."""

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest

from devtools.project import PROGRAMS
from tests.support.languages import LANGUAGES, languages
from tests.support.scene import Scene
from tests.support.waiting import until

BODIES = [
    b"",
    '{"name":"Ľubomír ☃ 𝄞 \u202e","id":18446744073709551616123,"x":0.1000000000000000055511151231257827}'.encode(),
    b'  {"a" :  1, "a": 1.0, "path": "a\\/b", "s": "\\u017e\\ud83d"}\r\n\n',
    bytes(range(256)) * 400,
]

each_language = pytest.mark.parametrize("name", LANGUAGES)


@each_language
async def test_a_publisher_sends_every_byte_of_its_input(name: str, scene: Scene):
    (language,) = languages(name)
    queue = await scene.queue("my queue", declare=False)
    for body in BODIES:
        ended = await language.publish(scene.amqp_url, queue, body)
        assert (ended.code, ended.out) == (0, b""), ended.err
    taken = await scene.queues.take_all(queue)
    assert [message.body for message in taken] == BODIES
    for message in taken:
        assert message.header.properties.delivery_mode == 2
        assert message.header.properties.content_type == "application/json"


@pytest.mark.parametrize("name", ["php", "node", "python"])
async def test_a_publisher_tells_the_events_type_and_an_id_of_its_own(name: str, scene: Scene):
    (language,) = languages(name)
    queue = await scene.queue("typed", declare=False)
    for _ in range(2):
        ended = await language.publish(scene.amqp_url, queue, b"{}", "--type", "customer.created")
        assert ended.code == 0, ended.err
    taken = [message.header.properties for message in await scene.queues.take_all(queue)]
    assert [properties.message_type for properties in taken] == ["customer.created"] * 2
    assert len({properties.message_id for properties in taken}) == 2


async def test_the_shell_publishes_with_amqp_bridge_where_there_are_no_amqp_tools(
    scene: Scene, tmp_path: Path
):
    (tmp_path / "dirname").symlink_to(shutil.which("dirname") or "")
    path = f"{PROGRAMS}{os.pathsep}{tmp_path}"
    queue = await scene.queue("my queue", declare=False)
    for body in BODIES:
        ended = await LANGUAGES["shell"].publish(scene.amqp_url, queue, body, PATH=path)
        assert (ended.code, ended.out) == (0, b""), ended.err
        assert "1 message confirmed" in ended.err
    assert [message.body for message in await scene.queues.take_all(queue)] == BODIES


@each_language
async def test_broker_and_queue_may_come_from_the_environment(name: str, scene: Scene):
    (language,) = languages(name)
    queue = await scene.queue("from the environment", declare=False)
    environment = {"AMQP_URL": scene.amqp_url, "AMQP_QUEUE": queue}
    ended = await language.run(b"{}", **environment)
    assert ended.code == 0, ended.err
    assert await scene.queues.depth(queue) == 1


@each_language
async def test_a_misspelt_option_reaches_no_queue(name: str):
    (language,) = languages(name)
    ended = await language.run(b"{}", "--queeu", "other", AMQP_URL="amqp://127.0.0.1:1/")
    assert ended.code in {1, 2}
    assert "usage:" in ended.err or "--queeu" in ended.err


@each_language
async def test_a_queue_that_was_declared_otherwise_is_an_error_that_says_406(name: str, scene: Scene):
    (language,) = languages(name)
    queue = await scene.queue("other", arguments={"x-max-length": 5})
    ended = await language.publish(scene.amqp_url, queue, b"{}")
    assert ended.code != 0
    assert "PRECONDITION" in ended.err
    assert await scene.queues.depth(queue) == 0


@each_language
async def test_a_consumer_works_through_its_queue_and_ends_in_order(name: str, scene: Scene):
    (language,) = languages(name)
    queue = await scene.queue("work", declare=False)
    bodies = [b'{"n":%d,"text":"\xe2\x98\x83"}' % number for number in range(25)]
    for number in (signal.SIGTERM, signal.SIGINT):
        async with language.consumer_of(scene.amqp_url, queue) as consumer:
            await scene.queues.publish(queue, bodies)
            await until(lambda: len(consumer.bodies) == len(bodies), what=lambda: consumer.err)
            assert consumer.bodies == bodies
            assert await consumer.stop(number) == 0, consumer.err
        # What it had not acknowledged would be ready again.
        assert await scene.queues.depth(queue) == 0


@each_language
async def test_what_was_not_worked_through_goes_back_to_the_queue(name: str, scene: Scene):
    (language,) = languages(name)
    queue = await scene.queue("crash", declare=False)
    # Nobody reads what it prints, so the work on the first message never ends.
    async with language.consumer_of(scene.amqp_url, queue, read=False) as consumer:
        await scene.queues.publish(queue, [b"x" * 300_000] * 15)
        await until(lambda: _held(scene, queue, 10), what=lambda: consumer.err)
        await consumer.kill()
    await until(lambda: _held(scene, queue, 0))


@each_language
async def test_what_nobody_reads_any_more_is_not_acknowledged(name: str, scene: Scene):
    """As with `consume | head -1`: one is read, and none of the others is lost."""
    (language,) = languages(name)
    queue = await scene.queue("head")
    read, write = os.pipe()
    async with language.consumer_of(scene.amqp_url, queue, out=write) as consumer:
        os.close(write)
        await scene.queues.publish(queue, [b"message 0"])
        with os.fdopen(read) as reader:
            assert await asyncio.to_thread(reader.readline) == "message 0\n"
        await until(lambda: _is_left(scene, queue, 0), what=lambda: consumer.err)
        await scene.queues.publish(queue, [b"message %d" % number for number in range(1, 6)])
        assert await consumer.ended() == 1
        assert "error: the work failed" in consumer.err
        assert "Traceback" not in consumer.err
    await until(lambda: _is_left(scene, queue, 5))


@each_language
async def test_all_that_the_work_prints_stands_in_a_file_that_it_is_directed_to(
    name: str, scene: Scene, tmp_path: Path
):
    (language,) = languages(name)
    queue = await scene.queue("file")
    await scene.queues.publish(queue, [b"message %d" % number for number in range(5)])
    out = os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT)  # as `>` does it, which appends nothing
    async with language.consumer_of(scene.amqp_url, queue, out=out) as consumer:
        os.close(out)
        printed = (tmp_path / "out").read_text
        await until(lambda: "message 4" in printed(), what=lambda: consumer.err)
        assert await consumer.stop() == 0, consumer.err
    assert printed().split() == [word for number in range(5) for word in ("message", str(number))]


@each_language
async def test_work_that_fails_ends_the_consumer_and_goes_back_to_the_queue(name: str, scene: Scene):
    (language,) = languages(name)
    queue = await scene.queue("fails")
    await scene.queues.publish(queue, [b"good", b"good", b"bad", b"good"])
    work = ("sh", "-c", "read -r body; echo done; [ $body = good ]")
    async with language.consumer_of(scene.amqp_url, queue, *work) as consumer:
        assert await consumer.ended() == 1
        assert "error: the work failed with exit code 1" in consumer.err
        assert consumer.bodies == [b"done"] * 3
    await until(lambda: _is_left(scene, queue, 2))


@pytest.mark.parametrize("name", ["php", "node", "python"])  # amqp-consume ends at once
async def test_a_signal_lets_the_work_under_way_succeed(name: str, scene: Scene, tmp_path: Path):
    (language,) = languages(name)
    queue = await scene.queue("signal")
    work = ("sh", "-c", f"echo begun; until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo done")
    async with language.consumer_of(scene.amqp_url, queue, *work) as consumer:
        await scene.queues.publish(queue, [b"%d" % number for number in range(9)])
        await until(lambda: consumer.bodies == [b"begun"], what=lambda: consumer.err)
        consumer.signal(signal.SIGTERM)
        (tmp_path / "go").touch()
        assert await consumer.ended() == 0, consumer.err
    finished = consumer.bodies.count(b"done")
    assert consumer.bodies == [b"begun", b"done"] * finished
    assert 0 < finished < 9
    await until(lambda: _is_left(scene, queue, 9 - finished))


async def _is_left(scene: Scene, queue: str, number: int) -> bool:
    return await scene.queues.depth(queue) == number


async def _held(scene: Scene, queue: str, number: int) -> bool:
    return await scene.queues.depth(queue) == 15 - number
