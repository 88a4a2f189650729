"""Alerts for what stops a bridge: broker, database, memory, login, and its end. Each cause is provoked and its alert seen."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devtools.nodes.ports import free_ports
from devtools.rabbitmq import RabbitMQNode
from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import Gate, status
from tests.support.operating import HTTP, operating
from tests.support.prometheus import JOB, Prometheus, hastened, prometheus
from tests.support.scene import Scene, open_scene
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)

USER = "rotating"
LARGE = b"x" * 5 * 2**20
SETTINGS = {
    "limits": {"memory": 8 * 2**20},
    "storage": {"outage_after": "1s"},
    "broker": {"outage_after": "1s"},
    "http": HTTP,
}


@pytest.fixture
def metrics_port() -> int:
    """Where the broker serves its own metrics."""
    return free_ports(1)[0]


@pytest.fixture
def node(metrics_port: int) -> Iterator[RabbitMQNode]:
    """A broker of the test's own, with a user whose password can be changed."""
    config = [f"prometheus.tcp.port = {metrics_port}", "prometheus.tcp.ip = 127.0.0.1"]
    with RabbitMQNode.start(plugins=["rabbitmq_prometheus"], config=config) as started:
        started.rabbitmqctl("add_user", USER, "first")
        started.rabbitmqctl("set_permissions", USER, ".*", ".*", ".*")
        yield started


@pytest.fixture
async def scene(node: RabbitMQNode, tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_scene(node.url, tmp_path) as opened:
        yield opened


async def ctl(node: RabbitMQNode, *arguments: str) -> None:
    await asyncio.to_thread(node.rabbitmqctl, *arguments)


@contextmanager
def slow_disk(bridge: BridgeProcess) -> Iterator[None]:
    """Another process keeps the database's lock for most of the time."""
    over = threading.Event()

    def stutter() -> None:
        while not over.wait(0.02):
            with bridge.history.locked():
                over.wait(0.6)

    thread = threading.Thread(target=stutter)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


async def fires(watch: Prometheus, *names: str, seconds: float = 30) -> None:
    async def look() -> bool:
        return set(names) <= await watch.has_fired()

    await until(look, seconds, what=f"{names} fire", every=0.5)


async def test_each_outage_raises_its_alert(
    scene: Scene, node: RabbitMQNode, metrics_port: int, tmp_path: Path
):
    gate, source = Gate(), await scene.queue()
    scene.endpoint.script("/large", gate)
    for path in ("again", "stuck"):
        scene.endpoint.script(f"/{path}", status(500))
    hooks = [
        scene.webhook("again", events=["again"], retry={"schedule": ["1s"], "max_attempts": 1000}),
        scene.webhook("large", events=["large"], target_timeout="120s"),
        scene.webhook("stuck", events=["stuck"], retry={"schedule": ["30s"], "jitter": 0}),
    ]
    login = node.url.replace("guest:guest", f"{USER}:first")
    async with scene.prepared(hooks, source, amqp_url=login, **SETTINGS) as bridge:
        await bridge.start()
        broker = f"http://127.0.0.1:{metrics_port}/metrics/detailed?family=queue_coarse_metrics"
        jobs = {JOB: bridge.url, "rabbitmq": broker}
        async with prometheus(tmp_path, jobs, rules=hastened(tmp_path / "rules")) as watch:
            await watch.scraped()
            await _fill_the_lane(scene, node, bridge, source)
            await scene.queues.publish(source, [b"{}"], message_type="again")

            await scene.queues.publish(source, [LARGE], message_type="large")
            await fires(watch, "BridgeMemoryFull")
            gate.open.set()

            with slow_disk(bridge):
                await fires(watch, "BridgeHistoryCommitSlow")
            with bridge.history.locked():
                await fires(watch, "BridgeDatabaseDown")

            await fires(watch, "BridgeLadderOverdue", seconds=60)
            await ctl(node, "set_vm_memory_high_watermark", "0.0000001")
            await fires(watch, "BridgePublishingBlocked")
            await ctl(node, "set_vm_memory_high_watermark", "0.4")

            await ctl(node, "change_password", USER, "second")
            await ctl(node, "close_all_user_connections", USER, "rotation")
            await fires(watch, "BridgeLoginRefused", "BridgeConsumerSilent")

            await bridge.kill()
            await fires(watch, "BridgeNoData", "BridgeReplicaDown")


async def _fill_the_lane(scene: Scene, node: RabbitMQNode, bridge: BridgeProcess, source: str) -> None:
    """The lane of a paused hook is over its limit, by a policy, when retries come back to it."""
    await scene.queues.publish(source, [b"%d" % number for number in range(10)], message_type="stuck")
    await until(lambda: bridge.history.statuses("stuck") == {"RETRYING": 10}, what=bridge.last_words)
    async with operating(bridge) as operator:
        await operator.post("/hooks/stuck/pause")
    await scene.queues.publish(source, [b"parked"] * 20, message_type="stuck")
    await until(lambda: _holds_twenty(scene), what=bridge.last_words)
    await ctl(node, "set_policy", "--apply-to", "queues", "full", r"lane\.stuck$", '{"max-length": 1}')


async def _holds_twenty(scene: Scene) -> bool:
    return await scene.queues.depth(scene.lane("stuck")) == 20
