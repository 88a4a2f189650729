"""Hooks that are paused and resumed while they work: what they know and what is under way stays."""

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, slow, status
from tests.support.scene import Scene
from tests.support.two_replicas import TOKEN, Asked
from tests.support.waiting import holds, until

WELL = {"http": {"admin_token": TOKEN}}
EVENTS = [b"%d" % number for number in range(60)]


async def has_all(bridge: BridgeProcess, hook: str, count: int) -> bool:
    return bridge.history.statuses(hook) == {"SUCCESS": count}


async def test_a_pause_puts_what_waits_into_the_lane_and_keeps_connections(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.3))
    hook = scene.webhook("crm", concurrency=2)
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([hook], source, **WELL) as bridge:
        asked = Asked(bridge)
        await until(lambda: len(scene.endpoint.requests) > 4)
        assert (await asked.ask("POST", "/hooks/crm/pause"))[0] == 200
        await until(lambda: not scene.endpoint.under_way["/crm"])
        done = len(scene.endpoint.requests)
        await until(lambda: all_wait(scene, len(EVENTS) - done), what=bridge.last_words)
        await holds(lambda: len(scene.endpoint.requests) == done, 0.5, what="attempted while it is paused")
        opened = await bridge.metric("http_connections_total", reused="false")
        scene.endpoint.script("/crm", status(200))
        assert (await asked.ask("POST", "/hooks/crm/resume"))[0] == 200
        await until(lambda: has_all(bridge, "crm", len(EVENTS)), what=bridge.last_words)
        assert await bridge.metric("http_connections_total", reused="false") == opened
    assert sorted(scene.endpoint.bodies("/crm")) == sorted(EVENTS)


async def all_wait(scene: Scene, count: int) -> bool:
    return await scene.queues.depth(scene.lane("crm")) == count


async def test_what_waited_for_a_resumed_hook_comes_in_order_and_no_faster_than_its_rate(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", *[status(500)] * 3, OK)
    hook = scene.webhook("crm", concurrency=1, rate="20/s", retry={"schedule": ["500ms"], "jitter": 0})
    async with scene.bridge([hook], source, **WELL) as bridge:
        asked = Asked(bridge)
        await scene.queues.publish(source, EVENTS[:3])
        await until(lambda: bridge.history.statuses("crm") == {"RETRYING": 3}, what=bridge.last_words)
        assert (await asked.ask("POST", "/hooks/crm/pause"))[0] == 200
        before = len(scene.endpoint.requests)
        await scene.queues.publish(source, EVENTS[3:43])
        await until(lambda: all_wait(scene, 43), what=bridge.last_words)
        # The retries are due by then, and wait as well.
        await holds(lambda: len(scene.endpoint.requests) == before, 0.6, what="attempted while it is paused")
        assert (await asked.ask("POST", "/hooks/crm/resume"))[0] == 200
        await until(lambda: has_all(bridge, "crm", 43), what=bridge.last_words)
    resumed = scene.endpoint.requests[before:]
    came = [int(request.body) for request in resumed]
    assert [number for number in came if number >= 3] == list(range(3, 43))
    assert len(scene.endpoint.requests) == 3 + 43
    for number, request in enumerate(resumed):
        assert number + 1 <= 20 + 20 * (request.at - resumed[0].at) + 1


async def test_a_breaker_remembers_over_a_pause(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(503))
    await scene.queues.publish(source, EVENTS[:10])
    probes = {"failures": 3, "first_probe": "10m", "longest_probe": "10m"}
    async with scene.bridge([scene.webhook("crm")], source, breaker=probes, **WELL) as bridge:
        asked = Asked(bridge)
        await until(lambda: bridge.said("breaker.opened"), what=bridge.last_words)
        await until(lambda: not scene.endpoint.under_way["/crm"])
        for word in ("pause", "resume", "disable", "enable"):
            assert (await asked.ask("POST", f"/hooks/crm/{word}"))[0] == 200
        assert (await asked.get("/hooks/crm"))["state"]["breaker"] == "open"


async def test_a_disabled_hook_leaves_what_waits_in_its_lane(scene: Scene):
    source = await scene.queue()
    async with scene.bridge([scene.webhook("crm", paused=True)], source, **WELL) as bridge:
        asked = Asked(bridge)
        await scene.queues.publish(source, EVENTS)
        await until(lambda: all_wait(scene, len(EVENTS)), what=bridge.last_words)
        for word in ("disable", "resume"):
            assert (await asked.ask("POST", f"/hooks/crm/{word}"))[0] == 200
        await scene.queues.publish(source, [b"skipped"])
        await until(lambda: bridge.history.reasons("crm")["SKIPPED", "hook_disabled"] == 1)
        await holds(lambda: not scene.endpoint.requests, 0.5, what="attempted while it is disabled")
        assert await all_wait(scene, len(EVENTS))
        assert (await asked.ask("POST", "/hooks/crm/enable"))[0] == 200
        await until(lambda: bridge.history.statuses("crm")["SUCCESS"] == len(EVENTS), what=bridge.last_words)


async def test_what_was_said_of_a_hook_of_the_file_outlives_a_restart_and_a_reload(scene: Scene):
    source = await scene.queue()
    hook = scene.webhook("crm")
    async with scene.prepared([hook], source, **WELL) as bridge:
        await bridge.start()
        assert (await Asked(bridge).ask("POST", "/hooks/crm/pause"))[0] == 200
        await bridge.reload([hook | {"concurrency": 3}])
        assert (await Asked(bridge).get("/hooks/crm"))["state"]["paused"]
        await bridge.stop()
        await bridge.start()
        assert (await Asked(bridge).get("/hooks/crm"))["state"]["paused"]
        await bridge.stop()


async def test_a_hook_of_the_file_takes_the_place_of_one_with_its_name(scene: Scene):
    source = await scene.queue()
    async with scene.bridge([], source, **WELL) as bridge:
        hook = await Asked(bridge).make(scene.webhook("crm", target_url=scene.endpoint.url("/api")))
        await bridge.reload([scene.webhook("crm", target_url=scene.endpoint.url("/file"))])
        assert [line["hook"] for line in bridge.said("hook.broken")] == [hook]
        await scene.queues.publish(source, [b"first"])
        await until(lambda: scene.endpoint.bodies("/file") == [b"first"])
        await bridge.reload([])
        await scene.queues.publish(source, [b"second"])
        await until(lambda: scene.endpoint.bodies("/api") == [b"second"])
    assert scene.endpoint.bodies("/file") == [b"first"]
