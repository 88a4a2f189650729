"""What the bridge tells of itself reaches the hooks that ask for it, and nobody else."""

import json
from typing import Any

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, Endpoint, status
from tests.support.scene import Scene
from tests.support.waiting import holds, until

QUICK = {"failures": 3, "first_probe": "200ms", "longest_probe": "500ms"}


def told(endpoint: Endpoint, path: str = "/ops", kind: str = "") -> list[dict[str, Any]]:
    """The meta events that came in, in order."""
    events = [json.loads(body) for body in endpoint.bodies(path)]
    return [event for event in events if not kind or event["type"] == kind]


def kinds(endpoint: Endpoint) -> list[str]:
    return [event["type"] for event in told(endpoint)]


async def own_events(scene: Scene, bridge: BridgeProcess) -> int:
    """How many were ever published: those recorded and those still in the queue."""
    [(recorded,)] = bridge.history.rows("SELECT count(*) FROM events WHERE source = 'bridge'")
    return int(recorded) + (await scene.queues.depth(f"{scene.prefix}.events") or 0)


async def test_a_breaker_that_opens_and_closes_is_told_to_who_asked_for_it(scene: Scene):
    source = await scene.queue()
    down = Endpoint()
    crm = {"name": "crm", "target": {"type": "webhook", "profile": "none", "url": down.url("/crm")}}
    hooks = [crm, scene.webhook("all"), scene.webhook("ops", sources=["bridge"], events=["hook.*"])]
    async with scene.bridge(hooks, source, breaker=QUICK) as bridge:
        await scene.queues.publish(source, [b"%d" % number for number in range(5)])
        await until(lambda: kinds(scene.endpoint) == ["hook.breaker_open"], what=bridge.last_words)
        await down.open()
        await until(lambda: "hook.breaker_closed" in kinds(scene.endpoint), what=bridge.last_words)
        opened, closed = told(scene.endpoint)
        assert (opened["hook"], opened["reason"], opened["target"]) == ("crm", "refused", "webhook")
        assert closed["open_for_seconds"] > 0
        assert opened["time"] < closed["time"]
        assert len(scene.endpoint.received("/all")) == 5
        types = bridge.history.rows("SELECT type, format FROM events WHERE source = 'bridge' ORDER BY id")
        assert types == [("hook.breaker_open", "json"), ("hook.breaker_closed", "json")]
        assert await scene.queues.depth(f"{scene.prefix}.events") == 0
    await down.close()


async def test_a_hook_that_the_bridge_pauses_is_told_of_and_stands_in_the_audit_log(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(410))
    async with scene.bridge(
        [scene.webhook("crm"), scene.webhook("ops", sources=["bridge"])], source
    ) as bridge:
        await scene.queues.publish(source, [b"1"])
        await until(lambda: told(scene.endpoint), what=bridge.last_words)
        [paused] = told(scene.endpoint)
        assert (paused["type"], paused["hook"], paused["reason"], paused["by"]) == (
            "hook.paused",
            "crm",
            "gone",
            "bridge",
        )
        deeds = "SELECT actor, action, object_type, object_id, detail FROM audit"
        await until(lambda: bridge.history.rows(deeds))
        assert bridge.history.rows(deeds) == [("bridge", "hooks.pause", "hook", "crm", '{"reason":"gone"}')]


async def test_what_meta_events_do_to_a_hook_is_not_told(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(410))
    dead = Endpoint()
    deaf = {"type": "webhook", "profile": "none", "url": dead.url("/deaf")}
    hooks = [
        scene.webhook("crm"),
        scene.webhook("ops", sources=["bridge"]),
        {
            "name": "deaf",
            "sources": ["bridge"],
            "target": deaf,
            "retry": {"schedule": ["100ms"], "max_attempts": 9},
        },
    ]
    async with scene.bridge(hooks, source, breaker=QUICK) as bridge:
        await scene.queues.publish(source, [b"1"])
        await until(lambda: bridge.said("breaker.opened"), what=bridge.last_words)
        assert bridge.said("breaker.opened")[0]["hook"] == "deaf"
        await holds(lambda: kinds(scene.endpoint) == ["hook.paused"], 1.0, what="the deaf hook was told of")
        assert await own_events(scene, bridge) == 1


async def test_nothing_is_published_while_nobody_listens(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(410))
    async with scene.bridge([scene.webhook("crm"), scene.webhook("all")], source) as bridge:
        await scene.queues.publish(source, [b"1"])
        await until(lambda: bridge.said("hook.paused"), what=bridge.last_words)
        await until(lambda: bridge.history.rows("SELECT 1 FROM audit"))
        assert await own_events(scene, bridge) == 0
        assert scene.endpoint.bodies("/all") == [b"1"]


async def test_a_growing_quarantine_is_told_once_with_how_many(scene: Scene):
    source = await scene.queue()
    sources = [{"name": "shop", "queue": source, "schema": "splynx"}]
    async with scene.bridge([scene.webhook("ops", sources=["bridge"])], sources) as bridge:
        await scene.queues.publish(source, [b"{}", b"[]", b"nothing"])
        await until(lambda: told(scene.endpoint), what=bridge.last_words)
        await scene.queues.publish(source, [b"{}"])
        await holds(lambda: len(told(scene.endpoint)) == 1, 6.0, what="it was told again")
        [growing] = told(scene.endpoint)
        assert (growing["type"], growing["source"], growing["messages"]) == ("quarantine.growing", "shop", 3)


async def test_a_meta_event_is_retried_like_any_other(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(410))
    scene.endpoint.script("/ops", status(500), OK)
    hooks = [
        scene.webhook("crm"),
        scene.webhook("ops", sources=["bridge"], retry={"schedule": ["100ms"], "max_attempts": 3}),
    ]
    async with scene.bridge(hooks, source) as bridge:
        await scene.queues.publish(source, [b"1"])
        await until(lambda: bridge.history.statuses("ops") == {"SUCCESS": 1}, what=bridge.last_words)
        assert len(bridge.history.attempts("ops")) == 2
