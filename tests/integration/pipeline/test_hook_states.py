"""Hooks that do not deliver now: disabled, paused, not served by this process."""

from tests.support.bridge_process import BridgeProcess
from tests.support.scene import Scene
from tests.support.waiting import until

EVENTS = [b'{"n":%d}' % number for number in range(30)]


async def lane_holds(scene: Scene, hook: str, count: int) -> bool:
    return await scene.queues.depth(scene.lane(hook)) == count


async def test_a_disabled_hook_records_what_it_would_have_got(scene: Scene):
    source = await scene.queue()
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([scene.webhook("crm", enabled=False)], source) as bridge:
        await until(lambda: bridge.history.statuses("crm").total() == len(EVENTS))
        assert bridge.history.reasons("crm") == {("SKIPPED", "hook_disabled"): len(EVENTS)}
        assert await bridge.metric("deliveries_total", hook="crm", status="SKIPPED") == len(EVENTS)
    assert await scene.queues.depth(source) == 0
    assert not scene.endpoint.requests


async def test_a_paused_hook_keeps_what_comes_in_its_lane(scene: Scene):
    source = await scene.queue()
    hook = scene.webhook("crm", paused=True)
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([hook, scene.webhook("other")], source) as bridge:
        await until(lambda: lane_holds(scene, "crm", len(EVENTS)), what=bridge.last_words)
        await until(lambda: bridge.history.statuses("crm") == {"PENDING": len(EVENTS)})
        await until(lambda: bridge.history.statuses("other") == {"SUCCESS": len(EVENTS)})
        assert await bridge.metric("parked_total", hook="crm", reason="paused") == len(EVENTS)
        assert await bridge.metric("hook_paused", hook="crm") == 1
        assert await scene.queues.depth(source) == 0
        await bridge.reload([hook | {"paused": False}, scene.webhook("other")])
        await until(
            lambda: bridge.history.statuses("crm") == {"SUCCESS": len(EVENTS)}, what=bridge.last_words
        )
        assert await bridge.metric("hook_paused", hook="crm") == 0
    assert sorted(scene.endpoint.bodies("/crm")) == sorted(EVENTS)


async def test_what_another_process_serves_waits_in_its_lane(scene: Scene):
    source = await scene.queue()
    sink = await scene.queue("sink")
    hooks = [scene.webhook("crm"), {"name": "onward", "target": {"type": "queue", "queue": sink}}]
    await scene.queues.publish(source, EVENTS)
    async with scene.prepared(hooks, source) as bridge:
        await bridge.start("--targets", "webhook")
        await until(lambda: lane_holds(scene, "onward", len(EVENTS)), what=bridge.last_words)
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": len(EVENTS)})
        await bridge.stop()
        await bridge.start("--targets", "queue")
        await until(lambda: bridge.history.statuses("onward") == {"SUCCESS": len(EVENTS)})
        await bridge.stop()
    assert sorted(message.body for message in await scene.queues.take_all(sink)) == sorted(EVENTS)


async def test_a_hook_with_a_long_timeout_is_served_through_its_lane(scene: Scene):
    source = await scene.queue()
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([scene.webhook("crm", target_timeout="31s")], source) as bridge:
        await until(
            lambda: bridge.history.statuses("crm") == {"SUCCESS": len(EVENTS)}, what=bridge.last_words
        )
        assert await bridge.metric("parked_total", hook="crm", reason="long_timeout") == len(EVENTS)


async def test_a_lane_that_is_deep_is_emptied_before_the_hook_is_served_directly_again(scene: Scene):
    source = await scene.queue()
    hook = scene.webhook("crm", paused=True)
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([hook], source, delivery={"lane_depth_direct": 10}) as bridge:
        await until(lambda: lane_holds(scene, "crm", len(EVENTS)), what=bridge.last_words)
        await bridge.reload([hook | {"paused": False}])
        await until(
            lambda: bridge.history.statuses("crm") == {"SUCCESS": len(EVENTS)}, what=bridge.last_words
        )
        await until(lambda: direct_again(scene, bridge, source), what=bridge.last_words)


async def direct_again(scene: Scene, bridge: BridgeProcess, source: str) -> bool:
    before = await bridge.metric("parked_total", hook="crm")
    done = bridge.history.statuses("crm")["SUCCESS"]
    await scene.queues.publish(source, [b"more"])
    await until(lambda: bridge.history.statuses("crm")["SUCCESS"] == done + 1)
    return await bridge.metric("parked_total", hook="crm") == before


async def test_only_what_a_hook_asked_for_is_delivered(scene: Scene):
    source = await scene.queue()
    bodies = {"customers.create": b'{"n":1}', "tickets.close": b'{"n":2}', "tickets.open": b'{"n":3}'}
    hooks = [
        scene.webhook("all"),
        scene.webhook("by-pattern", events=["customers.*"]),
        scene.webhook("by-filter", filter="event.data.n == 2"),
        scene.webhook("by-both", events=["tickets.#"], filter="event.data.n > 2"),
        scene.webhook("by-source", sources=[]),
    ]
    for kind, body in bodies.items():
        await scene.queues.publish(source, [body], message_type=kind)
    async with scene.bridge(hooks, source) as bridge:
        await until(lambda: settled(bridge, len(bodies)), what=bridge.last_words)
    expected = {
        "all": [b'{"n":1}', b'{"n":2}', b'{"n":3}'],
        "by-pattern": [b'{"n":1}'],
        "by-filter": [b'{"n":2}'],
        "by-both": [b'{"n":3}'],
        "by-source": [],
    }
    assert {name: sorted(scene.endpoint.bodies(f"/{name}")) for name in expected} == expected


async def settled(bridge: BridgeProcess, count: int) -> bool:
    return await bridge.metric("events_settled_total", result="acked") == count
