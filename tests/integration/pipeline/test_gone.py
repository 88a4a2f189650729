"""410 Gone: the receiver wants no more, so the hook is paused until a person has looked at it."""

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, slow, status
from tests.support.scene import Scene
from tests.support.waiting import holds, until

EVENTS = [b"%d" % number for number in range(20)]


async def lane_holds(scene: Scene, count: int) -> bool:
    return await scene.queues.depth(scene.lane("crm")) == count


async def paused(bridge: BridgeProcess) -> bool:
    return await bridge.metric("hook_paused", hook="crm") == 1


async def test_what_is_left_waits_in_the_lane_through_a_restart_and_until_the_hook_is_mended(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.2, status(410)))
    hook = scene.webhook("crm", concurrency=1)
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: lane_holds(scene, len(EVENTS) - 1), what=bridge.last_words)
        assert bridge.history.reasons("crm")["FAILED", "gone"] == 1
        assert await paused(bridge)
        assert len(bridge.said("hook.paused")) == 1
        assert len(scene.endpoint.requests) == 1
        await bridge.stop()

        await bridge.start()
        assert await paused(bridge)
        await scene.queues.publish(source, [b"later"])
        await until(lambda: lane_holds(scene, len(EVENTS)), what=bridge.last_words)
        await bridge.reload([hook])
        await holds(lambda: len(scene.endpoint.requests) == 1, 0.5, what="an unchanged hook was resumed")

        scene.endpoint.script("/mended", OK)
        mended = hook | {"target": hook["target"] | {"url": scene.endpoint.url("/mended")}}
        await bridge.reload([mended])
        await until(lambda: len(scene.endpoint.received("/mended")) == len(EVENTS), what=bridge.last_words)
        await until(lambda: not bridge.history.unfinished())
        assert not await paused(bridge)
        await bridge.stop()

        await bridge.start()
        assert not await paused(bridge)
        await scene.queues.publish(source, [b"last"])
        await until(lambda: b"last" in scene.endpoint.bodies("/mended"), what=bridge.last_words)


async def test_attempts_that_are_under_way_are_the_only_ones_to_meet_it(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", OK, slow(0.2, status(410)))
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([scene.webhook("crm", concurrency=4)], source) as bridge:
        await until(lambda: lane_holds(scene, len(EVENTS) - 5), what=bridge.last_words)
        assert len(scene.endpoint.requests) == 5
        assert await scene.queues.depth(source) == 0


async def test_an_endpoint_that_has_gone_is_called_once_whatever_comes_at_once(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.2, status(410)))
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([scene.webhook("crm", concurrency=16)], source) as bridge:
        await until(lambda: lane_holds(scene, len(EVENTS) - 1), what=bridge.last_words)
        assert len(scene.endpoint.requests) == 1


async def test_other_hooks_go_on(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(410))
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([scene.webhook("crm"), scene.webhook("other")], source) as bridge:
        await until(lambda: bridge.history.statuses("other") == {"SUCCESS": len(EVENTS)})
