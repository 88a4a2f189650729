"""Somebody deletes queues and exchanges under a running bridge."""

import aio_pika
import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, Gate, status
from tests.support.scene import Scene
from tests.support.waiting import until

EVENTS = [b"%d" % number for number in range(20)]


async def test_a_source_that_is_deleted_is_made_anew_and_consumed(scene: Scene):
    source = await scene.queue()
    async with scene.bridge([scene.webhook("crm")], source) as bridge:
        await scene.queues.publish(source, EVENTS[:10])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 10})
        await scene.queues.delete(source)
        await until(lambda: consumed(scene, source), what=bridge.last_words)
        await scene.queues.publish(source, EVENTS[10:])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 20}, what=bridge.last_words)
        assert await bridge.metric("consumers_lost_total", reason="cancelled") == 1


async def consumed(scene: Scene, queue: str) -> bool:
    return await scene.queues.depth(queue) is not None and await scene.queues.consumers(queue) == 1


async def test_a_source_that_is_deleted_while_attempts_are_under_way(scene: Scene):
    source = await scene.queue()
    gate = Gate()
    scene.endpoint.script("/crm", gate)
    async with scene.bridge([scene.webhook("crm")], source) as bridge:
        await scene.queues.publish(source, EVENTS[:10])
        await until(lambda: len(scene.endpoint.requests) == 10)
        await scene.queues.delete(source)
        await until(lambda: consumed(scene, source), what=bridge.last_words)
        gate.open.set()
        await scene.queues.publish(source, EVENTS[10:])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 20}, what=bridge.last_words)
        assert not bridge.said("connection.lost")


@pytest.mark.parametrize("harm", ["deleted", "unbound"])
async def test_a_lane_that_is_deleted_or_unbound_gets_back_what_is_on_the_ladder(scene: Scene, harm: str):
    source = await scene.queue()
    scene.endpoint.script("/crm", *[status(500)] * 10, OK)
    hook = scene.webhook("crm", retry={"schedule": ["5s"], "jitter": 0})
    await scene.queues.publish(source, EVENTS[:10])
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: depth_is(scene, f"{scene.prefix}.delay.5", 10), what=bridge.last_words)
        if harm == "deleted":
            await scene.queues.delete(scene.lane("crm"))
        else:
            await unbind(scene, "crm")
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 10}, 20, what=bridge.last_words)
        assert await depth_is(scene, f"{scene.prefix}.orphans", 0)
    assert len(scene.endpoint.bodies("/crm")) == 20


async def unbind(scene: Scene, hook: str) -> None:
    """Nothing reaches the hook's lane any more, neither straight nor from the ladder."""
    connection = await aio_pika.connect(scene.amqp_url)
    channel = await connection.channel()
    for exchange in ("lanes", "requeue"):
        lane = await channel.get_queue(scene.lane(hook), ensure=False)
        await lane.unbind(f"{scene.prefix}.{exchange}", hook)
    await connection.close()


async def depth_is(scene: Scene, queue: str, depth: int) -> bool:
    return await scene.queues.depth(queue) == depth


async def test_a_lane_that_nobody_consumed_when_it_was_deleted(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500))
    hook = scene.webhook("crm", retry={"schedule": ["5s"], "jitter": 0})
    await scene.queues.publish(source, EVENTS[:3])
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: depth_is(scene, f"{scene.prefix}.delay.5", 3), what=bridge.last_words)
        await bridge.stop()
        await scene.queues.delete(scene.lane("crm"))
        await until(lambda: depth_is(scene, f"{scene.prefix}.orphans", 3))
        scene.endpoint.script("/crm", OK)
        await bridge.start()
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 3}, 20, what=bridge.last_words)
        assert await depth_is(scene, f"{scene.prefix}.orphans", 0)


async def test_a_copy_of_a_hook_that_nobody_knows_stays_and_is_seen(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500))
    hook = scene.webhook("crm", retry={"schedule": ["5s"], "jitter": 0})
    await scene.queues.publish(source, EVENTS[:3])
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: depth_is(scene, f"{scene.prefix}.delay.5", 3), what=bridge.last_words)
        await bridge.reload([])
        await scene.queues.delete(scene.lane("crm"))
        await until(lambda: bridge.said("orphan.unknown"), what=bridge.last_words)
        await until(lambda: orphans_show(scene, bridge, 3), what=bridge.last_words)
        scene.endpoint.script("/crm", OK)
        await bridge.reload([hook])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 3}, 20, what=bridge.last_words)
    assert await depth_is(scene, f"{scene.prefix}.orphans", 0)


async def orphans_show(scene: Scene, bridge: BridgeProcess, count: int) -> bool:
    return await bridge.metric("queue_depth", queue=f"{scene.prefix}.orphans") == count


@pytest.mark.parametrize("gone", ["lanes", "delay.5"])
async def test_an_exchange_of_ours_that_is_deleted_is_made_anew(scene: Scene, gone: str):
    source = await scene.queue()
    if gone != "lanes":
        scene.endpoint.script("/crm", status(500), OK)
    hooks = [
        scene.webhook("crm", retry={"schedule": ["5s"], "jitter": 0}),
        scene.webhook("waits", paused=True),
    ]
    async with scene.bridge(hooks, source) as bridge:
        await delete_exchange(scene, f"{scene.prefix}.{gone}")
        await scene.queues.publish(source, [b"{}"])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1}, 20, what=bridge.last_words)
        await until(lambda: depth_is(scene, scene.lane("waits"), 1), what=bridge.last_words)
        assert not bridge.said("connection.lost")


async def delete_exchange(scene: Scene, name: str) -> None:
    connection = await aio_pika.connect(scene.amqp_url)
    channel = await connection.channel()
    await channel.exchange_delete(name)
    await connection.close()
