from collections import Counter

import pytest

from tests.support.endpoint import status
from tests.support.scene import Scene
from tests.support.waiting import holds, until

pytestmark = pytest.mark.timeout(120)


async def test_a_hook_paused_by_410_stays_so_until_it_is_changed_and_read_anew(scene: Scene) -> None:
    source = await scene.queue()
    scene.endpoint.script("/shop", status(410), status(200))
    hook = scene.webhook("shop")
    async with scene.bridge([hook], source) as bridge:
        await scene.queues.publish(source, [b"gone"])
        await until(lambda: bridge.said("hook.paused"))
        await scene.queues.publish(source, [b"waits"])
        await until(lambda: scene.queues.depth(scene.lane("shop")))
        assert await bridge.metric("hook_paused", hook="shop") == 1

        await bridge.reload([hook])
        await bridge.stop()
        await bridge.start()
        assert await bridge.metric("hook_paused", hook="shop") == 1
        await holds(lambda: scene.endpoint.bodies("/shop") == [b"gone"], 1, what="it is paused")

        await bridge.reload([scene.webhook("shop", concurrency=4)])
        await until(lambda: scene.endpoint.bodies("/shop") == [b"gone", b"waits"])
        await until(lambda: bridge.history.statuses("shop") == Counter(FAILED=1, SUCCESS=1))
        assert bridge.history.reasons("shop")["FAILED", "gone"] == 1
        assert await bridge.metric("hook_paused", hook="shop") == 0


async def test_a_hook_with_a_problem_stays_as_it_was_while_it_runs(scene: Scene) -> None:
    source = await scene.queue()
    async with scene.bridge([scene.webhook("shop")], source) as bridge:
        bridge.write(hooks=[{**scene.webhook("shop"), "event": ["*"]}])
        bridge.hang_up()
        (broken,) = await until(lambda: bridge.said("hook.broken"))
        assert "did you mean events?" in broken["reason"]
        await scene.queues.publish(source, [b"as before"])
        await until(lambda: scene.endpoint.bodies("/shop") == [b"as before"])
