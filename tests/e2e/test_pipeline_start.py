"""What cannot be had at the start is said in one clear line, with exit code 1."""

import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from devtools.nodes.ports import free_ports
from tests.support.bridge_process import BridgeProcess, owned
from tests.support.scene import Scene
from tests.support.waiting import until


async def refused(bridge: BridgeProcess, *, code: int = 1) -> str:
    """Starts what must not start, and gives the error's line."""
    await bridge.launch()
    ended = await bridge.ended()
    said = [line for line in bridge.log_text.splitlines() if line.startswith("error: ")]
    assert ended == code, bridge.log_text
    assert len(said) == 1, bridge.log_text
    assert "Traceback" not in bridge.log_text
    assert "bug in amqp-bridge" not in bridge.log_text
    return said[0]


@pytest.fixture
async def source(scene: Scene) -> str:
    return await scene.queue()


async def test_an_unreachable_broker(scene: Scene, source: str):
    url = f"amqp://guest:hunter2@127.0.0.1:{free_ports(1)[0]}/"
    async with scene.prepared([scene.webhook("crm")], source, amqp_url=url) as bridge:
        said = await refused(bridge)
    assert "127.0.0.1" in said
    assert "hunter2" not in bridge.log_text


async def test_a_wrong_password(scene: Scene, source: str):
    url = scene.amqp_url.replace("guest:guest", "guest:hunter2")
    async with scene.prepared([scene.webhook("crm")], source, amqp_url=url) as bridge:
        said = await refused(bridge)
    assert "check user and password in broker.url" in said
    assert "hunter2" not in bridge.log_text


async def test_a_virtual_host_that_does_not_exist(scene: Scene, source: str):
    url = scene.amqp_url + "nowhere"
    async with scene.prepared([scene.webhook("crm")], source, amqp_url=url) as bridge:
        assert "vhost" in await refused(bridge)


async def test_something_that_speaks_no_amqp(scene: Scene, source: str):
    url = f"amqp://guest:guest@127.0.0.1:{scene.endpoint.port}/"
    async with scene.prepared([scene.webhook("crm")], source, amqp_url=url) as bridge:
        assert str(scene.endpoint.port) in await refused(bridge)


async def test_the_second_of_several_brokers_is_tried(scene: Scene, source: str):
    urls = [f"amqp://guest:guest@127.0.0.1:{free_ports(1)[0]}/", scene.amqp_url]
    await scene.queues.publish(source, [b"{}"])
    async with scene.bridge([scene.webhook("crm")], source, broker={"url": urls}):
        await until(lambda: scene.endpoint.bodies("/crm") == [b"{}"])


async def test_a_second_process_on_the_same_prefix_with_sqlite(scene: Scene, source: str):
    hooks = [scene.webhook("crm")]
    async with scene.bridge(hooks, source) as first:
        (scene.folder / "second").mkdir()
        storage = {"url": f"sqlite:///{scene.folder / 'second' / 'bridge.db'}"}
        second = BridgeProcess(scene.folder / "second", scene.settings(hooks, source, storage=storage))
        async with owned(second):
            said = await refused(second)
        assert scene.prefix in said
        assert "PostgreSQL" in said
        assert (await first.health())[1]["status"] == "ok"
        await scene.queues.publish(source, [b"{}"])
        await until(lambda: scene.endpoint.bodies("/crm") == [b"{}"])


def another(scene: Scene, name: str, settings: dict[str, Any]) -> BridgeProcess:
    """A bridge with a folder of its own."""
    folder = scene.folder / name
    folder.mkdir()
    return BridgeProcess(folder, settings)


async def test_a_bridge_with_another_prefix_on_the_same_file(scene: Scene, source: str):
    hooks, broker = [scene.webhook("crm")], {"prefix": f"{scene.prefix}-b"}
    async with (
        scene.bridge(hooks, source) as first,
        owned(another(scene, "b", scene.settings(hooks, source, broker=broker))) as second,
    ):
        assert f"`{scene.prefix} on " in await refused(second, code=2)
        await first.stop()
        # And so it is while nobody has the file.
        said = await refused(second, code=2)
    assert f"this bridge is `{scene.prefix}-b`" in said
    owner = said.partition("TAKE_OVER='")[2].rstrip("'")
    storage = {"take_over": owner}
    async with scene.bridge(hooks, source, broker=broker, storage=storage) as third:
        await scene.queues.publish(source, [b"{}"])
        await until(lambda: third.history.statuses("crm") == {"SUCCESS": 1}, what=third.last_words)
    await scene.queues.remove_bridge(broker["prefix"])


async def test_two_processes_with_one_file(scene: Scene, source: str):
    settings = scene.settings([scene.webhook("crm")], source)
    async with scene.bridge([scene.webhook("crm")], source), owned(another(scene, "b", settings)) as second:
        assert "is in use by another process" in await refused(second)


async def test_a_bridge_with_another_prefix_on_the_same_server(scene: Scene, source: str, postgres_url: str):
    hooks, ours, storage = [scene.webhook("crm")], {"prefix": f"{scene.prefix}-b"}, {"url": postgres_url}
    async with scene.bridge(hooks, source, storage=storage) as first:
        settings = scene.settings(hooks, source, broker=ours, storage=storage)
        async with owned(another(scene, "b", settings)) as second:
            said = await refused(second, code=2)
        assert f"`{scene.prefix} on " in said
        assert f"`{scene.prefix}-b on " in said
        assert (await first.health())[1]["status"] == "ok"


@pytest.mark.parametrize("keys", ["shared", "own"])
async def test_a_bridge_with_the_same_prefix_and_another_history(
    scene: Scene, source: str, postgres_url: str, keys: str
):
    """With keys in common it proves to be no liar, and the newcomer ends; else anybody may say so, and both tell."""
    hooks, said = [scene.webhook("crm")], f"another bridge serves the prefix {scene.prefix!r} on this broker"
    shared = {"encryption_keys": ["a key that both of them have"]} if keys == "shared" else {}
    async with scene.bridge(hooks, source, storage={"url": postgres_url, **shared}) as first:
        settings = scene.settings(hooks, source, storage=shared)
        async with owned(another(scene, "b", settings)) as second:
            if keys == "shared":
                assert said in await refused(second)
                assert (await first.health())[1]["status"] == "ok"
                return
            await second.start()
            await until(lambda: second.said("prefix_lock.shared"), what=second.last_words)
            status, body = await second.health()
            assert (status, body["status"]) == (200, "degraded")
            assert said in body["problems"][0]
            await second.stop()


async def test_a_port_that_is_taken(scene: Scene, source: str):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        http = {"listen": f"127.0.0.1:{port}"}
        async with scene.prepared([scene.webhook("crm")], source, http=http) as bridge:
            said = await refused(bridge)
    assert "http.listen" in said
    assert str(port) in said


async def test_a_database_folder_that_does_not_exist(scene: Scene, source: str):
    storage = {"url": "sqlite:////nowhere/at/all/bridge.db"}
    async with scene.prepared([scene.webhook("crm")], source, storage=storage) as bridge:
        assert "/nowhere/at/all" in await refused(bridge, code=2)


async def test_an_object_of_ours_with_other_arguments(scene: Scene, source: str):
    await scene.queues.declare(f"{scene.prefix}.delay.5")
    async with scene.prepared([scene.webhook("crm")], source) as bridge:
        assert "broker.prefix" in await refused(bridge)


async def test_a_stop_while_it_waits_to_start(scene: Scene, source: str):
    hooks = [scene.webhook("crm")]
    async with scene.bridge(hooks, source):
        (scene.folder / "second").mkdir()
        storage = {"url": f"sqlite:///{scene.folder / 'second' / 'bridge.db'}"}
        second = BridgeProcess(scene.folder / "second", scene.settings(hooks, source, storage=storage))
        async with owned(second):
            await second.launch()
            await until(lambda: second.said("connection.open"), what=second.last_words)
            await second.stop()


def _takes(pid: int, number: signal.Signals) -> bool:
    """Whether the process ignores or handles the signal by now, by which it would be ended otherwise."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = [
        int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigIgn", "SigCgt"))
    ]
    return any(mask >> (number - 1) & 1 for mask in masks)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_it_can_be_stopped_before_its_file_is_read_also_as_the_first_process_of_a_container(
    scene: Scene, source: str, number: signal.Signals, code: int
):
    async with scene.prepared([scene.webhook("crm")], source) as bridge:
        bridge.from_nothing = True
        bridge.file.unlink()
        os.mkfifo(bridge.file)  # which nobody writes to, so that it gets no further
        await bridge.launch()
        await until(lambda: _takes(bridge.pid, signal.SIGTERM), what=bridge.last_words)
        bridge.signal(number)
        assert await bridge.ended() == code
        assert bridge.log_text == ""


async def test_hang_ups_at_any_moment_of_the_start_end_nothing_and_the_newest_file_counts(
    scene: Scene, source: str
):
    async with scene.prepared([scene.webhook("old")], source) as bridge:
        bridge.from_nothing = True
        await bridge.launch()
        await until(lambda: _takes(bridge.pid, signal.SIGHUP), what=bridge.last_words)

        def hung_up() -> bool:
            if not bridge.said("bridge.started"):
                bridge.write(hooks=[scene.webhook("new")])
            bridge.hang_up()
            return bool(bridge.said("bridge.started"))

        await until(hung_up, 30, what=bridge.last_words)
        await bridge.serving()
        await scene.queues.publish(source, [b"1"])
        await until(lambda: scene.endpoint.bodies("/new") == [b"1"], what=bridge.last_words)
        await bridge.stop()


@pytest.mark.parametrize("moment", ["connection.open", "http.listening", "bridge.started"])
async def test_a_stop_at_any_moment_of_the_start_is_in_order(scene: Scene, source: str, moment: str):
    async with scene.prepared([scene.webhook("crm")], source) as bridge:
        await bridge.launch()
        await until(lambda: bridge.said(moment), 30, what=bridge.last_words)
        await bridge.stop()
        await scene.queues.publish(source, [b"1"])
        await bridge.start()
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1}, what=bridge.last_words)
        await bridge.stop()
