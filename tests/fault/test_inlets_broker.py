"""The broker is away, frozen or full: senders are told at once, and nothing is taken behind their backs."""

import asyncio
import time

import pytest

from devtools.rabbitmq import RabbitMQNode
from tests.support.bridge_process import BridgeProcess
from tests.support.inlets import TIKI, Sender, sender_to, signed_by_each
from tests.support.scene import Scene
from tests.support.waiting import until

SIGNED = signed_by_each()["crm-bot"]


async def accepted(sender: Sender) -> bool:
    return (await sender.send("/tiki-webhooks.php", SIGNED)).status == 200


async def refused_quickly(sender: Sender, times: int = 5) -> None:
    """Cockpit gives up after a second."""
    for _ in range(times):
        started = time.monotonic()
        answer = await sender.send("/tiki-webhooks.php", SIGNED)
        assert time.monotonic() - started < 1
        assert (answer.status, answer.problem["title"]) == (503, "Service Unavailable")
        assert int(answer.headers["Retry-After"]) > 0


def events(bridge: BridgeProcess) -> int:
    """How many messages there were: a broker that is killed may hand one out once more."""
    ((count,),) = bridge.history.rows("SELECT count(DISTINCT publisher_id) FROM events")
    return int(count)


@pytest.mark.parametrize("kind", ["stop_app", "kill", "freeze", "alarm"])
async def test_a_sender_gets_503_and_nothing_appears_later(harmed: Scene, node: RabbitMQNode, kind: str):
    source = await harmed.queue()
    broker = {"heartbeat": "3s", "connect_timeout": "2s"}
    async with harmed.prepared([harmed.webhook("crm")], source, broker=broker) as bridge:
        bridge.write(inlets=[TIKI])
        await bridge.start()
        async with sender_to(bridge.url) as sender:
            assert await accepted(sender)
            await until(lambda: events(bridge) == 1, what=bridge.last_words)
            await asyncio.to_thread(harm, node, kind)
            try:
                await refused_quickly(sender)
                assert (await bridge.health())[0] == 200
            finally:
                await asyncio.to_thread(mend, node, kind)
            await until(lambda: accepted(sender), 30, what=bridge.last_words)
            await until(lambda: events(bridge) >= 2, what=bridge.last_words)
            assert await bridge.metric("inlet_requests_total", inlet="tiki", answer="accepted") == 2
        assert len(bridge.said("inlet.unavailable")) == 1
        assert len(bridge.said("inlet.available")) == 1
        await bridge.stop()
        assert events(bridge) == 2
        assert set(bridge.history.statuses("crm")) == {"SUCCESS"}
        assert await harmed.queues.depth(source) == 0


def harm(node: RabbitMQNode, kind: str) -> None:
    match kind:
        case "stop_app":
            node.stop_app()
        case "kill":
            node.kill()
        case "freeze":
            node.freeze()
        case "alarm":
            node.rabbitmqctl("set_vm_memory_high_watermark", "0.0000001")


def mend(node: RabbitMQNode, kind: str) -> None:
    match kind:
        case "stop_app":
            node.start_app()
        case "kill":
            node.restart()
        case "freeze":
            node.thaw()
        case "alarm":
            node.rabbitmqctl("set_vm_memory_high_watermark", "0.4")
