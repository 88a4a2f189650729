"""What the bridge tells of itself reaches the hooks that ask for it, and nobody else."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, Endpoint, status
from tests.support.scene import Scene
from tests.support.waiting import holds, until

TOKEN = "e2e-Geheimnis-8842"
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


@pytest.fixture
async def down() -> AsyncIterator[Endpoint]:
    """An endpoint that refuses connections until it is opened."""
    endpoint = Endpoint()
    yield endpoint
    await endpoint.close()


async def test_a_breaker_that_opens_and_closes_is_told_to_who_asked_for_it(scene: Scene, down: Endpoint):
    source = await scene.queue()
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
        await until(lambda: bridge.history.statuses("ops") == {"SUCCESS": 2})
        types = bridge.history.rows("SELECT type, format FROM events WHERE source = 'bridge' ORDER BY id")
        assert types == [("hook.breaker_open", "json"), ("hook.breaker_closed", "json")]
        assert await scene.queues.depth(f"{scene.prefix}.events") == 0


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


class Admin:
    """Whoever looks after the hooks."""

    def __init__(self, bridge: BridgeProcess) -> None:
        self._url = f"{bridge.url}/api/v1/hooks"

    async def ask(self, method: str, path: str, body: Any = None) -> None:
        """Have it done."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, f"{self._url}{path}", json=body) as answer,
        ):
            assert answer.status in {200, 201}, await answer.text()


async def test_a_hook_that_only_fails_is_warned_of_in_time_paused_at_last_and_may_recover(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500))
    crm = scene.webhook("crm", retry={"schedule": ["200ms"], "max_attempts": 1000})
    hooks = [crm, scene.webhook("ops", sources=["bridge"])]
    sections = {"delivery": {"auto_pause_after": "4s"}, "http": {"admin_token": TOKEN}}
    async with scene.bridge(hooks, source, **sections) as bridge:
        await scene.queues.publish(source, [b"1"])
        await until(lambda: "hook.paused" in kinds(scene.endpoint), 30, what=bridge.last_words)
        assert kinds(scene.endpoint) == ["hook.failing"] * 4 + ["hook.paused"]
        warnings = told(scene.endpoint, kind="hook.failing")
        assert [each["threshold_percent"] for each in warnings] == [50, 70, 90, 100]
        assert {each["since"] for each in warnings} == {warnings[0]["since"]}
        assert warnings[0]["consecutive_failures"] < warnings[3]["consecutive_failures"]
        assert await bridge.metric("hook_paused", hook="crm") == 1
        assert bridge.said("hook.paused")[0]["reason"] == "failing"
        await until(lambda: waits(scene, "crm"), what=bridge.last_words)
        await bridge.stop()
        await bridge.start()
        assert await bridge.metric("hook_paused", hook="crm") == 1
        scene.endpoint.script("/crm", OK)
        await Admin(bridge).ask("POST", "/crm/resume")
        await until(lambda: "hook.recovered" in kinds(scene.endpoint), 20, what=bridge.last_words)
        assert kinds(scene.endpoint)[5:] == ["hook.resumed", "hook.recovered"]
        assert bridge.history.statuses("crm") == {"SUCCESS": 1}
        assert told(scene.endpoint)[-1]["threshold_percent"] == 100


async def waits(scene: Scene, hook: str) -> bool:
    return await scene.queues.depth(scene.lane(hook)) == 1


async def test_a_hook_that_is_resumed_has_all_the_time_again(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500))
    crm = scene.webhook("crm", retry={"schedule": ["200ms"], "max_attempts": 1000})
    hooks = [crm, scene.webhook("ops", sources=["bridge"])]
    sections = {"delivery": {"auto_pause_after": "2s"}, "http": {"admin_token": TOKEN}}
    async with scene.bridge(hooks, source, **sections) as bridge:
        await scene.queues.publish(source, [b"1"])
        await until(lambda: kinds(scene.endpoint).count("hook.paused") == 1, 30, what=bridge.last_words)
        await Admin(bridge).ask("POST", "/crm/resume")
        await until(lambda: kinds(scene.endpoint).count("hook.paused") == 2, 30, what=bridge.last_words)
        failing = [each["threshold_percent"] for each in told(scene.endpoint, kind="hook.failing")]
        assert failing == [50, 70, 90, 100] * 2


async def test_no_hook_is_paused_for_failing_where_that_is_switched_off(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500))
    crm = scene.webhook("crm", retry={"schedule": ["100ms"], "max_attempts": 20})
    sections = {"delivery": {"auto_pause_after": 0}}
    async with scene.bridge([crm, scene.webhook("ops", sources=["bridge"])], source, **sections) as bridge:
        await scene.queues.publish(source, [b"1"])
        await until(lambda: bridge.history.statuses("crm") == {"FAILED": 1}, 30, what=bridge.last_words)
        assert told(scene.endpoint) == []


async def test_what_people_do_to_hooks_is_told_with_who_did_it(scene: Scene):
    source = await scene.queue()
    hooks = [scene.webhook("crm"), scene.webhook("ops", sources=["bridge"])]
    async with scene.bridge(hooks, source, http={"admin_token": TOKEN}) as bridge:
        admin = Admin(bridge)
        await admin.ask("POST", "/crm/pause", {"reason": "maintenance"})
        await admin.ask("POST", "/crm/resume")
        await admin.ask("POST", "/crm/disable")
        await admin.ask("POST", "/ops/enable")
        new = {"name": "new", "target": {"type": "queue", "queue": source}, "sources": []}
        await admin.ask("POST", "", new)
        await admin.ask("PATCH", "/new", {"enabled": False, "description": "not yet"})
        await until(lambda: len(told(scene.endpoint)) == 5, what=bridge.last_words)
        found = [(each["type"], each["name"], each["by"]) for each in told(scene.endpoint)]
        assert found == [
            ("hook.paused", "crm", "admin"),
            ("hook.resumed", "crm", "admin"),
            ("hook.disabled", "crm", "admin"),
            ("hook.enabled", "ops", "admin"),
            ("hook.disabled", "new", "admin"),
        ]
        assert told(scene.endpoint)[0]["reason"] == "maintenance"
