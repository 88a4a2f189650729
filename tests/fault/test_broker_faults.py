"""The broker goes away, or stops taking anything: nothing is lost, and it goes on by itself."""

import asyncio
from collections import Counter

import pytest

from devtools.rabbitmq import RabbitMQNode
from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, slow, status
from tests.support.scene import Scene
from tests.support.stream import EVENTS, PREFETCH, QUICK, Stream, a_source_with_events, one_source
from tests.support.waiting import until


async def in_thread(work, *arguments: object) -> None:
    await asyncio.to_thread(work, *arguments)


async def links_are(bridge: BridgeProcess, word: str) -> bool:
    return set((await bridge.health())[1]["broker"].values()) == {word}


@pytest.mark.parametrize("kind", ["kill", "stop_app"])
async def test_it_goes_on_after_the_broker_was_away(harmed: Scene, node: RabbitMQNode, kind: str):
    source = await a_source_with_events(harmed, 1)
    hook = harmed.webhook("crm", retry={"schedule": ["500ms"], "max_attempts": 1000})
    if kind == "kill":
        await a_lane_that_is_not_new(harmed, node, source, hook)
    await harmed.queues.publish(source, EVENTS[1:])
    async with harmed.bridge([hook], one_source(source), broker=QUICK) as bridge:
        stream = Stream(harmed, node, bridge, source)
        await stream.under_way(60)
        harmed.endpoint.script("/crm", *[status(500)] * 20, slow(0.05))  # retries are on their way, too
        match kind:
            case "kill":
                await in_thread(node.kill)
                await until(lambda: links_are(bridge, "down"), what=bridge.last_words)
                assert (await bridge.health())[0] == 200
                await in_thread(node.restart)
            case "stop_app":
                await in_thread(node.stop_app)
                await until(lambda: links_are(bridge, "down"), what=bridge.last_words)
                await in_thread(node.start_app)
        await stream.complete()
        # The source's prefetch, and what failed. A broker that is killed forgets acks of a classic queue, too.
        repeated = stream.repeated
        assert repeated <= PREFETCH + 20 or kind == "kill"


async def a_lane_that_is_not_new(
    scene: Scene, node: RabbitMQNode, source: str, hook: dict[str, object]
) -> None:
    """A quorum queue that was made a moment before its broker is killed finds no leader again (3.10.8).

    Seconds pass until what a node knows of its new queues is on its disk; an orderly stop writes it.
    """
    async with scene.bridge([hook | {"paused": True}], one_source(source)) as bridge:
        await until(lambda: lane_holds(scene, "crm", 1), what=bridge.last_words)
    await in_thread(node.stop_app)
    await in_thread(node.start_app)


async def test_it_goes_on_when_the_broker_comes_back_empty(harmed: Scene, node: RabbitMQNode):
    source = await a_source_with_events(harmed, 100)
    hooks = [harmed.webhook("crm"), harmed.webhook("waits", paused=True)]
    async with harmed.bridge(hooks, one_source(source), broker=QUICK) as bridge:
        stream = Stream(harmed, node, bridge, source, 100)
        await stream.under_way(100)
        for command in ("stop_app", "reset", "start_app"):
            await in_thread(node.rabbitmqctl, command)
        await until(lambda: links_are(bridge, "up"), 30, what=bridge.last_words)
        await until(lambda: harmed_exists(harmed, source), what=bridge.last_words)
        harmed.endpoint.requests.clear()
        harmed.endpoint.script("/crm", status(500), OK)
        await harmed.queues.publish(source, [b"new"])
        await until(lambda: harmed.endpoint.bodies("/crm") == [b"new", b"new"], 20, what=bridge.last_words)
        await until(lambda: lane_holds(harmed, "waits", 1), what=bridge.last_words)


async def harmed_exists(scene: Scene, queue: str) -> bool:
    return await scene.queues.depth(queue) is not None


async def lane_holds(scene: Scene, hook: str, count: int) -> bool:
    return await scene.queues.depth(scene.lane(hook)) == count


async def test_a_frozen_broker_is_noticed_and_taken_up_again(harmed: Scene, node: RabbitMQNode):
    source = await a_source_with_events(harmed)
    async with harmed.bridge([harmed.webhook("crm")], one_source(source), broker=QUICK) as bridge:
        stream = Stream(harmed, node, bridge, source)
        await stream.under_way(60)
        node.freeze()
        try:
            await until(lambda: links_are(bridge, "down"), 20, what=bridge.last_words)
        finally:
            node.thaw()
        await stream.complete()
        assert stream.repeated <= PREFETCH


async def test_a_short_freeze_costs_nothing_but_time(harmed: Scene, node: RabbitMQNode):
    source = await a_source_with_events(harmed)
    async with harmed.bridge([harmed.webhook("crm")], one_source(source)) as bridge:
        stream = Stream(harmed, node, bridge, source)
        await stream.under_way(60)
        node.freeze()
        try:
            await until(lambda: harmed.endpoint.under_way["/crm"] == 0)
        finally:
            node.thaw()
        await stream.complete()
        assert stream.repeated == 0
        assert await_no_reconnect(bridge)


def await_no_reconnect(bridge: BridgeProcess) -> bool:
    return not bridge.said("connection.lost")


async def test_while_publishing_is_blocked_direct_deliveries_go_on(harmed: Scene, node: RabbitMQNode):
    source = await a_source_with_events(harmed, 40)
    hooks = [harmed.webhook("crm"), harmed.webhook("waits", paused=True)]
    broker = QUICK | {"publish_timeout": "1s"}
    async with harmed.prepared(hooks, one_source(source), broker=broker) as bridge:
        await bridge.start()
        await until(lambda: lane_holds(harmed, "waits", 40), what=bridge.last_words)
        await bridge.stop()
        await harmed.queues.publish(source, EVENTS[40:80])
        try:
            await in_thread(node.rabbitmqctl, "set_vm_memory_high_watermark", "0.0000001")
            await bridge.start()
            await until(lambda: len(set(harmed.endpoint.bodies("/crm"))) == 80, what=bridge.last_words)
            await until(lambda: blocked(bridge), what=bridge.last_words)
            await until(lambda: copies_failed(bridge, 60), what=bridge.last_words)
            assert 10 <= len(bridge.said("copy.failed")) <= 20  # ten in ten seconds, the others are counted
            assert bridge.history.statuses("crm") == {"SUCCESS": 80}
            assert await bridge.metric("events_settled_total", result="acked") == 0
        finally:
            await in_thread(node.rabbitmqctl, "set_vm_memory_high_watermark", "0.4")
        await until(lambda: acked(bridge, 40), 20, what=bridge.last_words)
        await bridge.reload([hooks[0], hooks[1] | {"paused": False}])
        await until(lambda: bridge.history.statuses("waits") == {"SUCCESS": 80}, what=bridge.last_words)
        await until(lambda: lane_holds(harmed, "waits", 0), what=bridge.last_words)
        await bridge.stop()
        assert await harmed.queues.depth(source) == 0
    # Copies whose confirm came too late were published again, and found out.
    assert Counter(harmed.endpoint.bodies("/waits")) == Counter(EVENTS[:80])
    assert Counter(harmed.endpoint.bodies("/crm")) == Counter(EVENTS[:80])


async def blocked(bridge: BridgeProcess) -> bool:
    return await bridge.metric("connection_blocked", role="publish") == 1


async def copies_failed(bridge: BridgeProcess, count: int) -> bool:
    return await bridge.metric("publish_total", outcome="timeout") >= count


async def acked(bridge: BridgeProcess, count: int) -> bool:
    return await bridge.metric("events_settled_total", result="acked") == count


async def test_publishing_blocked_for_long_by_a_full_disk_ends_consuming_until_it_is_over(
    harmed: Scene, node: RabbitMQNode
):
    source = await a_source_with_events(harmed, 10)
    harmed.endpoint.script("/crm", status(500))
    hook = harmed.webhook("crm", retry={"schedule": ["200ms"], "max_attempts": 1000})
    broker = QUICK | {"outage_after": "1s"}
    async with harmed.bridge([hook], one_source(source), broker=broker) as bridge:
        stream = Stream(harmed, node, bridge, source, 10)
        await stream.under_way(10)
        try:
            await in_thread(node.rabbitmqctl, "set_disk_free_limit", "1000GB")  # as good as a full disk
            await until(lambda: bridge.said("dependency.unavailable"), 25, what=bridge.last_words)
            status_code, health = await bridge.health()
            assert status_code == 200
            assert health["status"] == "degraded"
            assert health["consumers"] == {"main": "left"}
        finally:
            await in_thread(node.rabbitmqctl, "set_disk_free_limit", "50MB")
        await until(lambda: bridge.said("dependency.restored"), what=bridge.last_words)
        harmed.endpoint.script("/crm", OK)
        await stream.complete()
