"""SIGHUP: hooks of the file as they stand there now."""

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, slow, status
from tests.support.scene import Scene
from tests.support.waiting import holds, until

EVENTS = [b"%d" % number for number in range(60)]


async def has_all(bridge: BridgeProcess, hook: str, count: int) -> bool:
    return bridge.history.statuses(hook) == {"SUCCESS": count}


async def test_hooks_are_added_changed_and_removed(scene: Scene):
    source = await scene.queue()
    hooks = [scene.webhook(name) for name in ("kept", "changed", "removed")]
    async with scene.bridge(hooks, source) as bridge:
        await scene.queues.publish(source, [b"before"])
        for name in ("kept", "changed", "removed"):
            await until(lambda: bridge.history.statuses(name)["SUCCESS"] == 1)  # noqa: B023
        changed = scene.webhook("changed", target_url=scene.endpoint.url("/elsewhere"))
        scene.made.append(scene.lane("added"))
        await bridge.reload([hooks[0], changed, scene.webhook("added")])
        (said,) = bridge.said("config.reloaded")
        assert (said["added"], said["removed"], said["changed"]) == (1, 1, 1)
        await scene.queues.publish(source, [b"after"])
        for name, count in (("kept", 2), ("changed", 2), ("added", 1), ("removed", 1)):
            await until(lambda: bridge.history.statuses(name)["SUCCESS"] == count)  # noqa: B023
    assert scene.endpoint.bodies("/kept") == [b"before", b"after"]
    assert scene.endpoint.bodies("/changed") == [b"before"]
    assert scene.endpoint.bodies("/elsewhere") == [b"after"]
    assert scene.endpoint.bodies("/removed") == [b"before"]
    assert scene.endpoint.bodies("/added") == [b"after"]


async def test_a_file_that_cannot_be_read_or_has_a_hook_without_a_name_of_its_own_changes_nothing(
    scene: Scene,
):
    source = await scene.queue()
    hook = scene.webhook("crm")
    async with scene.bridge([hook], source) as bridge:
        for bad in ([hook, hook], [scene.webhook("other"), hook | {"name": "CRM"}]):
            before = len(bridge.said("config.refused"))
            bridge.write(hooks=bad)
            bridge.hang_up()
            await until(lambda: len(bridge.said("config.refused")) > before, what=bridge.last_words)  # noqa: B023
        bridge.file.write_text("hooks: [")
        bridge.hang_up()
        await until(lambda: len(bridge.said("config.refused")) == 3, what=bridge.last_words)
        bridge.file.unlink()
        bridge.hang_up()
        await until(lambda: len(bridge.said("config.refused")) == 4, what=bridge.last_words)
        await scene.queues.publish(source, EVENTS)
        await until(lambda: has_all(bridge, "crm", len(EVENTS)))
        assert not bridge.said("config.reloaded")
    assert not scene.endpoint.received("/other")


async def test_in_mid_stream_no_event_is_lost_or_repeated(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.02))
    events = [b"%d" % number for number in range(400)]
    hook = scene.webhook("crm", concurrency=4)
    await scene.queues.publish(source, events)
    async with scene.bridge([hook], source) as bridge:
        for concurrency in (3, 5, 4, 6):
            sofar = len(scene.endpoint.requests)
            await until(lambda: len(scene.endpoint.requests) > sofar + 20, what=bridge.last_words)  # noqa: B023
            await bridge.reload([hook | {"concurrency": concurrency}])
        await until(lambda: has_all(bridge, "crm", len(events)), what=bridge.last_words)
    assert sorted(scene.endpoint.bodies("/crm")) == sorted(events)
    assert await scene.queues.depth(source) == 0


async def test_what_waits_for_its_rate_is_taken_over(scene: Scene):
    source = await scene.queue()
    hook = scene.webhook("crm", rate="5/s")
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: len(scene.endpoint.requests) >= 5)
        await bridge.reload([hook | {"rate": "500/s"}])
        await until(lambda: has_all(bridge, "crm", len(EVENTS)), 10, what=bridge.last_words)
    assert sorted(scene.endpoint.bodies("/crm")) == sorted(EVENTS)
    assert await scene.queues.depth(source) == 0


async def test_an_attempt_that_fails_after_the_change_is_retried_by_the_new_hook(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(1.0, status(500)))
    hook = scene.webhook("crm", retry={"schedule": ["100ms"]})
    await scene.queues.publish(source, [b"{}"])
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: scene.endpoint.received("/crm"))
        mended = scene.webhook("crm", retry={"schedule": ["100ms"]}, target_url=scene.endpoint.url("/mended"))
        await bridge.reload([mended])
        await until(lambda: has_all(bridge, "crm", 1), 10, what=bridge.last_words)
    assert scene.endpoint.bodies("/mended") == [b"{}"]


async def test_a_hook_that_is_changed_while_it_parks_is_served_directly_again(scene: Scene):
    source = await scene.queue()
    hook = scene.webhook("crm", target_timeout="31s")
    events = [b"%d" % number for number in range(500)]
    await scene.queues.publish(source, events)
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: parked(bridge), what=bridge.last_words)
        await bridge.reload([hook | {"target": hook["target"] | {"timeout": "5s"}, "rate": "100000/s"}])
        await until(lambda: has_all(bridge, "crm", len(events)), 20, what=bridge.last_words)
        await until(lambda: direct(scene, bridge, source), what=bridge.last_words)


async def parked(bridge: BridgeProcess) -> bool:
    return await bridge.metric("parked_total", hook="crm") > 0


async def direct(scene: Scene, bridge: BridgeProcess, source: str) -> bool:
    before, done = await bridge.metric("parked_total"), bridge.history.statuses("crm")["SUCCESS"]
    await scene.queues.publish(source, [b"more"])
    await until(lambda: bridge.history.statuses("crm")["SUCCESS"] == done + 1)
    return await bridge.metric("parked_total") == before


async def test_a_hook_that_vanishes_keeps_its_lane_until_it_comes_back(scene: Scene):
    source = await scene.queue()
    hook = scene.webhook("crm", paused=True)
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: lane_holds(scene, len(EVENTS)), what=bridge.last_words)
        await bridge.reload([])
        await scene.queues.publish(source, [b"nobody asked"])
        await until(lambda: nobody_asked(bridge), what=bridge.last_words)
        assert await lane_holds(scene, len(EVENTS))
        await bridge.reload([hook | {"paused": False}])
        await until(lambda: has_all(bridge, "crm", len(EVENTS)), what=bridge.last_words)
    assert sorted(scene.endpoint.bodies("/crm")) == sorted(EVENTS)


async def lane_holds(scene: Scene, count: int) -> bool:
    return await scene.queues.depth(scene.lane("crm")) == count


async def nobody_asked(bridge: BridgeProcess) -> bool:
    return await bridge.metric("events_unmatched_total", source="main") == 1


async def test_deliveries_of_a_removed_hook_that_wait_for_a_slot_go_to_its_lane(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.5))
    hook = scene.webhook("crm", concurrency=2)
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([hook, scene.webhook("other")], source) as bridge:
        await until(lambda: len(scene.endpoint.received("/crm")) >= 2)
        await bridge.reload([scene.webhook("other")])
        await until(lambda: source_is_settled(bridge), what=bridge.last_words)
        made = len(scene.endpoint.received("/crm"))
        await holds(lambda: len(scene.endpoint.received("/crm")) == made, 0.7, what="still delivered")
        assert await lane_holds(scene, len(EVENTS) - made)
        scene.endpoint.script("/crm", OK)
        await bridge.reload([hook, scene.webhook("other")])
        await until(lambda: has_all(bridge, "crm", len(EVENTS)), what=bridge.last_words)
    assert sorted(scene.endpoint.bodies("/crm")) == sorted(EVENTS)


async def source_is_settled(bridge: BridgeProcess) -> bool:
    return await bridge.metric("events_settled_total", result="acked") == len(EVENTS)
