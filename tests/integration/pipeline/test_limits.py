"""Concurrency, rate and the bound on what one process holds."""

from itertools import pairwise

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import slow
from tests.support.scene import Scene
from tests.support.waiting import until

EVENTS = [b"%d" % number for number in range(60)]


async def test_no_more_attempts_at_once_than_the_hook_allows(scene: Scene):
    source = await scene.queue()
    hooks = [scene.webhook(name, concurrency=count) for name, count in (("one", 1), ("three", 3))]
    for hook in hooks:
        scene.endpoint.script(f"/{hook['name']}", slow(0.02))
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge(hooks, source) as bridge:
        await until(
            lambda: bridge.history.statuses("one") == {"SUCCESS": len(EVENTS)}, what=bridge.last_words
        )
        await until(lambda: bridge.history.statuses("three") == {"SUCCESS": len(EVENTS)})
    assert scene.endpoint.most_at_once["/one"] == 1
    assert scene.endpoint.most_at_once["/three"] == 3
    # One at a time means: in the order of the queue.
    assert scene.endpoint.bodies("/one") == EVENTS


async def test_no_more_attempts_per_second_than_the_hook_allows(scene: Scene):
    source = await scene.queue()
    await scene.queues.publish(source, EVENTS)
    hooks = [scene.webhook("limited", rate="20/s"), scene.webhook("free")]
    async with scene.bridge(hooks, source) as bridge:
        await until(lambda: bridge.history.statuses("free") == {"SUCCESS": len(EVENTS)}, 3)
        # It must not hold the source while it waits.
        await until(lambda: all_settled(bridge), 3, what=bridge.last_words)
        await until(lambda: bridge.history.statuses("limited") == {"SUCCESS": len(EVENTS)}, 20)
    times = [request.at for request in scene.endpoint.received("/limited")]
    assert len(times) == len(EVENTS)
    for index, start in enumerate(times):
        within = sum(1 for at in times[index:] if at < start + 1)
        assert within <= 41, "a full bucket and a second's worth"
    assert 1.9 <= times[-1] - times[0] <= 8


async def all_settled(bridge: BridgeProcess) -> bool:
    return await bridge.metric("events_settled_total", result="acked") == len(EVENTS)


async def test_a_rate_under_one_a_second(scene: Scene):
    source = await scene.queue()
    await scene.queues.publish(source, EVENTS[:3])
    async with scene.bridge([scene.webhook("crm", rate="40/m")], source) as bridge:
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 3}, 12, what=bridge.last_words)
    times = [request.at for request in scene.endpoint.received("/crm")]
    assert all(later - earlier > 1.3 for earlier, later in pairwise(times))


async def test_more_messages_than_may_be_held_are_all_delivered(scene: Scene):
    source = await scene.queue()
    hooks = [scene.webhook(f"hook-{number}") for number in range(5)]
    for hook in hooks:
        scene.endpoint.script(f"/{hook['name']}", slow(0.01))
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge(hooks, source, limits={"open_deliveries": 10}) as bridge:
        for hook in hooks:
            await until(lambda: bridge.history.statuses(hook["name"]) == {"SUCCESS": len(EVENTS)}, 30)  # noqa: B023
    assert await scene.queues.depth(source) == 0
