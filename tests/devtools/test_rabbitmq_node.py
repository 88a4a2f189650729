import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import aio_pika
import psutil
import pytest

from devtools.nodes import processes
from devtools.nodes.handshake import HandshakeError, shake_hands
from devtools.nodes.rabbitmq_install import find_rabbitmq
from devtools.project import ROOT
from devtools.rabbitmq import NodeControl, NodeError, RabbitMQNode

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(find_rabbitmq() is None, reason="no rabbitmq-server on this machine"),
]


@pytest.fixture(scope="module")
def node() -> Iterator[RabbitMQNode]:
    with RabbitMQNode.start(plugins=["rabbitmq_management"], config=["consumer_timeout = 90000"]) as started:
        yield started


def members(folder: Path) -> list[psutil.Process]:
    recorded = [int(file.read_text().split()[0]) for file in (folder / "processes").iterdir()]
    return [process for pid in recorded for process in processes.tree(pid)]


def listening_addresses(process: psutil.Process) -> set[str]:
    with suppress(psutil.NoSuchProcess):
        return {
            connection.laddr.ip
            for connection in process.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        }
    return set()


async def publish(url: str, queue: str, body: bytes) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel(publisher_confirms=True)
        await channel.declare_queue(queue, durable=True)
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue, mandatory=True)


async def take(url: str, queue: str) -> bytes:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        declared = await channel.declare_queue(queue, passive=True)
        message = await declared.get(no_ack=True)
        return message.body


def test_a_started_node_lets_clients_in(node: RabbitMQNode) -> None:
    assert shake_hands(node.url).product == "RabbitMQ"


def test_a_wrong_password_is_told_apart_from_a_dead_broker(node: RabbitMQNode) -> None:
    with pytest.raises(HandshakeError, match="ACCESS_REFUSED"):
        shake_hands(node.url.replace("guest:guest", "guest:wrong"))


def test_an_unknown_virtual_host_is_refused(node: RabbitMQNode) -> None:
    with pytest.raises(HandshakeError, match="530"):
        shake_hands(node.url + "nowhere")


def test_all_its_processes_listen_on_the_loopback_only(node: RabbitMQNode) -> None:
    addresses = set().union(*map(listening_addresses, members(node.folder)))
    assert addresses
    assert addresses <= {"127.0.0.1", "::1"}


def test_configuration_lines_and_plugins_take_effect(node: RabbitMQNode) -> None:
    assert node.management_url is not None
    assert "90000" in node.rabbitmqctl("eval", "application:get_env(rabbit, consumer_timeout).")
    assert management_overview(node.management_url)["node"].startswith(node.folder.name)


def management_overview(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    request = urllib.request.Request(f"http://{parts.hostname}:{parts.port}/api/overview")
    request.add_header("Authorization", "Basic " + b64encode(b"guest:guest").decode())
    with urllib.request.urlopen(request, timeout=10) as reply:
        overview: dict[str, str] = json.load(reply)
    return overview


def test_another_process_controls_the_node_by_its_folder(node: RabbitMQNode) -> None:
    url = NodeControl.of(str(node.folder)).add_virtual_host("else/where")
    assert shake_hands(url).product == "RabbitMQ"


def test_a_failed_command_says_what_the_node_said(node: RabbitMQNode) -> None:
    with pytest.raises(NodeError, match=r"no_such_vhost|does not exist"):
        node.rabbitmqctl("delete_vhost", "never-made")


@pytest.mark.parametrize("end", [RabbitMQNode.halt, RabbitMQNode.kill])
def test_a_restart_keeps_port_and_durable_messages(node: RabbitMQNode, end) -> None:
    queue, url = f"kept-{end.__name__}", node.url
    asyncio.run(publish(url, queue, b"precious"))
    # 3.10 confirms a queue before its declaration is on the disk; later releases may not use mnesia at all.
    node.rabbitmqctl("eval", "catch mnesia:sync_log().")
    end(node)
    with pytest.raises(HandshakeError):
        shake_hands(url)
    node.restart()
    assert asyncio.run(take(url, queue)) == b"precious"


def test_a_stopped_application_refuses_until_it_is_started_again(node: RabbitMQNode) -> None:
    node.stop_app()
    with pytest.raises(HandshakeError):
        shake_hands(node.url)
    node.start_app()
    assert shake_hands(node.url)


def test_a_frozen_node_is_connected_but_silent_until_it_is_thawed(node: RabbitMQNode) -> None:
    node.freeze()
    with pytest.raises(HandshakeError, match="timed out"):
        shake_hands(node.url, timeout_seconds=0.5)
    node.thaw()
    assert shake_hands(node.url, timeout_seconds=10)


def test_stopping_leaves_no_process_and_no_folder() -> None:
    with RabbitMQNode.start() as node:
        running = members(node.folder)
        assert len(running) >= 2
    assert not any(map(processes.is_alive, running))
    assert not node.folder.exists()


def test_a_node_that_cannot_boot_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(NodeError, match="no_such_setting"):
        RabbitMQNode.start(config=["no_such_setting = 1"])
    assert list(tmp_path.iterdir()) == []


def test_a_node_goes_away_when_its_owner_is_killed() -> None:
    program = (
        "from devtools.rabbitmq import RabbitMQNode as N; n = N.start(); print(n.folder, flush=True); input()"
    )
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        running = members(folder)
        owner.kill()
    assert len(running) >= 2
    assert processes.await_end(running, 20)
    assert processes.poll(lambda: not folder.exists(), 20)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_broker_command_ends_its_node_when_it_is_interrupted(number: signal.Signals, code: int) -> None:
    argv = [sys.executable, "-m", "devtools", "broker"]
    environment = {
        name: value for name, value in os.environ.items() if not name.endswith(("AMQP_URL", "__URL"))
    }
    with subprocess.Popen(
        argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as command:
        assert command.stdout is not None
        url = command.stdout.readline().strip()
        assert shake_hands(url)
        command.send_signal(number)
        assert command.wait(30) == code
    with pytest.raises(HandshakeError):
        shake_hands(url)
