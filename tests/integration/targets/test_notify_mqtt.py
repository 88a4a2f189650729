"""MQTT against a real broker: what is delivered was acknowledged, and the connection is kept and comes back."""

import asyncio
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bridge.core.delivery import Fault
from tests.support.mosquitto import mosquitto
from tests.support.notifying import event, notify
from tests.support.waiting import until

Received = queue.Queue[tuple[str, str, int, bool]]


@contextmanager
def subscriber(port: int, topic: str) -> Iterator[Received]:
    received: Received = queue.Queue()
    ready = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _c, _u, m: received.put((m.topic, m.payload.decode(), m.qos, m.retain))
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", port)
    client.subscribe(topic, qos=2)
    client.loop_start()
    assert ready.wait(10)
    try:
        yield received
    finally:
        client.disconnect()
        client.loop_stop()


async def get(received: Received) -> tuple[str, str, int, bool]:
    return await asyncio.to_thread(received.get, True, 10)


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_publish_arrives_with_its_quality_of_service(tmp_path: Path, qos: int) -> None:
    body = '{"type": "{{ event.type }}", "text": "{{ event.data.text }}"}'
    async with mosquitto(tmp_path) as port:
        with subscriber(port, "bridge/#") as received:
            target = notify(f"mqtt://127.0.0.1:{port}/bridge/events?qos={qos}", body=body)
            answer = await target.attempt(event('a < "b" _c_ *d* 😀'))
            assert (answer.fault, answer.error) == (None, "")
            assert await get(received) == (
                "bridge/events",
                '{"type": "customers.create", "text": "a < \\"b\\" _c_ *d* 😀"}',
                qos,
                False,
            )
            await target.close()
    await until(lambda: not _loops())


async def test_many_at_once_share_one_connection(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as port:
        with subscriber(port, "t") as received:
            target = notify(f"mqtt://127.0.0.1:{port}/t?qos=1", body="{{ event.data.text }}")
            answers = await asyncio.gather(*(target.attempt(event(str(number))) for number in range(20)))
            assert {answer.fault for answer in answers} == {None}
            assert sorted([int((await get(received))[1]) for _ in range(20)]) == list(range(20))
            assert len(_loops()) == 2  # the subscriber's and ours
            await target.close()


async def test_after_a_broken_connection_the_next_attempt_connects_again(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as port:
        target = notify(f"mqtt://127.0.0.1:{port}/t?qos=1", timeout=5)
        assert (await target.attempt(event())).fault is None
    await until(lambda: not _loops())
    assert (await target.attempt(event())).fault is Fault.REFUSED
    with socket.create_server(("127.0.0.1", 0)) as silent:
        elsewhere = notify(f"mqtt://127.0.0.1:{silent.getsockname()[1]}/t", timeout=0.5)
        assert (await elsewhere.attempt(event())).fault is Fault.TIMEOUT
    (tmp_path / "again").mkdir()
    async with mosquitto(tmp_path / "again") as port:
        target = notify(f"mqtt://127.0.0.1:{port}/t?qos=1", timeout=5)
        assert (await target.attempt(event())).fault is None
        await target.close()
    await until(lambda: not _loops())


async def test_a_broker_that_says_no_is_told_with_its_reason(tmp_path: Path) -> None:
    async with mosquitto(tmp_path, password="secret") as port:
        target = notify(f"mqtt://joe:guess@127.0.0.1:{port}/t?qos=1", timeout=5)
        for _ in range(2):
            answer = await target.attempt(event())
            assert answer.fault is Fault.STATUS
            assert "Not authorized" in answer.error
            assert "guess" not in answer.error
        right = notify(f"mqtt://joe:secret@127.0.0.1:{port}/t?qos=1", timeout=5)
        assert (await right.attempt(event())).fault is None
        await right.close()
    await until(lambda: not _loops())


def _loops() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("paho-mqtt-client")]
