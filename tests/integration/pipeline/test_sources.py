"""What comes out of a source queue, whatever its publishers did."""

import json

from tests.support.bridge_process import BridgeProcess
from tests.support.scene import Scene
from tests.support.waiting import until


async def done(bridge: BridgeProcess, count: int) -> bool:
    return bridge.history.statuses("crm") == {"SUCCESS": count}


async def test_a_queue_that_publishers_declared_otherwise_is_told_of_and_consumed(scene: Scene):
    kept, broken = await scene.queue("kept"), await scene.queue("broken", arguments={"x-max-length": 1000})
    sources = [{"name": "kept", "queue": kept}, {"name": "broken", "queue": broken}]
    async with scene.bridge([scene.webhook("crm")], sources) as bridge:
        await scene.queues.publish(broken, [b"{}"])
        await until(lambda: done(bridge, 1), what=bridge.last_words)
        metrics = await bridge.metrics()
        assert metrics("source_contract_mismatch", source="broken") == 1
        assert metrics("source_contract_mismatch", source="kept") == 0
        assert bridge.said("source.contract_mismatch")


async def test_a_queue_that_does_not_exist_is_made_as_publishers_would(scene: Scene):
    source = await scene.queue(declare=False)
    async with scene.bridge([scene.webhook("crm")], source) as bridge:
        await scene.queues.declare(source)  # 406 if it had any argument
        await scene.queues.publish(source, [b"{}"])
        await until(lambda: done(bridge, 1), what=bridge.last_words)


async def test_without_the_right_to_make_it_a_queue_is_waited_for(scene: Scene):
    source = await scene.queue("main")
    late = await scene.queue("late", declare=False)
    sources = [{"name": "main", "queue": source}, {"name": "late", "queue": late}]
    async with scene.bridge([scene.webhook("crm")], source) as bridge:
        await bridge.stop()  # has made the bridge's own objects
        bridge.write(sources=sources, broker=bridge.settings["broker"] | {"topology": "verify"})
        await bridge.launch()
        await until(lambda: bridge.said("source.missing"), what=bridge.last_words)
        await scene.queues.publish(source, [b"main"])
        await until(lambda: done(bridge, 1), what=bridge.last_words)
        await scene.queues.declare(late)
        await scene.queues.publish(late, [b"late"])
        await until(lambda: done(bridge, 2), what=bridge.last_words)


async def test_an_event_that_nobody_asked_for_is_recorded(scene: Scene):
    source = await scene.queue()
    await scene.queues.publish(source, [b'{"a":1}', b"", b"\xff"], message_type="tickets.close")
    async with scene.bridge([scene.webhook("crm", events=["customers.*"])], source) as bridge:
        await until(lambda: len(bridge.history.rows("SELECT id FROM events")) == 3)
        assert await bridge.metric("events_unmatched_total", source="main") == 3
    assert await scene.queues.depth(source) == 0
    assert {kind for (kind,) in bridge.history.rows("SELECT type FROM events")} == {"tickets.close"}
    assert not bridge.history.rows("SELECT id FROM deliveries")


async def test_what_cannot_be_handled_is_quarantined_whole_and_holds_up_nothing(scene: Scene):
    source = await scene.queue()
    large = {"x-large": "v" * 110_000}
    await scene.queues.publish(source, [b"before"])
    await scene.queues.publish(source, [b"large headers"], headers=large)
    await scene.queues.publish(source, [b"x" * 5000])
    await scene.queues.publish(source, [b"after"])
    async with scene.bridge([scene.webhook("crm")], source, limits={"body": "4kB"}) as bridge:
        await until(lambda: done(bridge, 2), what=bridge.last_words)
        await until(lambda: len(bridge.history.rows("SELECT id FROM quarantine")) == 2)
        assert await bridge.metric("events_quarantined_total", source="main") == 2
        assert len(bridge.said("message.quarantined")) == 2
    assert await scene.queues.depth(source) == 0
    found = bridge.history.rows("SELECT body, headers, reason, source FROM quarantine ORDER BY length(body)")
    (headers_body, headers, first_reason, _), (long_body, _, second_reason, name) = found
    assert bytes(headers_body) == b"large headers"
    assert json.loads(headers)["x-large"] == "v" * 110_000
    assert bytes(long_body) == b"x" * 5000
    assert first_reason != second_reason
    assert name == "main"


async def test_hostile_headers_do_no_harm(scene: Scene):
    source = await scene.queue()
    sink = await scene.queue("sink")
    hostile = {
        "CC": ["nowhere"],
        "x-death": [{"count": 5, "reason": "expired", "queue": "q", "exchange": ""}],
        "x-bridge-delivery": "forged",
        "x-bridge-hook": "forged",
        "x-bridge-not-before": 2**62,
        "x-bridge-hops": "many",
        "kept": "ščř",
        "number": 2**40,
        "nested": {"list": [1, "two", None, True]},
    }
    hooks = [scene.webhook("crm"), {"name": "onward", "target": {"type": "queue", "queue": sink}}]
    await scene.queues.publish(
        source, [b"{}"], headers=hostile, expiration="3600000", priority=5, reply_to="q", user_id="guest"
    )
    hooks[1]["paused"] = True  # through the lane first: its copy must hold all of this
    async with scene.bridge(hooks, source) as bridge:
        await until(lambda: done(bridge, 1), what=bridge.last_words)
        await until(lambda: lane_holds_one(scene), what=bridge.last_words)
        await bridge.reload([hooks[0], hooks[1] | {"paused": False}])
        await until(lambda: bridge.history.statuses("onward") == {"SUCCESS": 1}, what=bridge.last_words)
    (message,) = await scene.queues.take_all(sink)
    properties = message.header.properties
    assert properties.headers == {
        "kept": "ščř",
        "number": 2**40,
        "nested": {"list": [1, "two", None, True]},
        "x-bridge-hops": 1,
    }
    assert (properties.expiration, properties.priority, properties.reply_to) == (None, 5, "q")
    assert properties.user_id is None
    assert properties.user_id is None


async def lane_holds_one(scene: Scene) -> bool:
    return await scene.queues.depth(scene.lane("onward")) == 1


async def test_several_sources_reach_the_hooks_that_listen_to_them(scene: Scene):
    names = ["one", "two", "three"]
    queues = {name: await scene.queue(name) for name in names}
    sources = [{"name": name, "queue": queue, "prefetch": 1} for name, queue in queues.items()]
    hooks = [scene.webhook("crm"), scene.webhook("only-two", sources=["two"])]
    for name, queue in queues.items():
        await scene.queues.publish(queue, [b"%s %d" % (name.encode(), number) for number in range(20)])
    async with scene.bridge(hooks, sources) as bridge:
        await until(lambda: done(bridge, 60), what=bridge.last_words)
        await until(lambda: bridge.history.statuses("only-two") == {"SUCCESS": 20})
        for name in names:
            assert await bridge.metric("events_received_total", source=name) == 20
    assert {body.split()[0] for body in scene.endpoint.bodies("/only-two")} == {b"two"}
