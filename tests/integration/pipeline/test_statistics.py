"""Statistics of a running bridge: what happens counts once, wherever it is tried."""

import json
from typing import Any

from tests.support.endpoint import OK, status
from tests.support.operating import HTTP, operating
from tests.support.scene import Scene
from tests.support.waiting import until


def playback(user: str, seconds: int, *, completed: bool = True, kind: str = "playback.ended") -> bytes:
    payload = {
        "user_id": user,
        "media_item_id": "m1",
        "media_type": "movie",
        "duration_seconds": seconds,
        "completed": completed,
    }
    return json.dumps(
        {"event_type": kind, "payload": payload, "occurred_at": "2026-11-20T21:00:00+02:00"}
    ).encode()


async def test_deliveries_and_attempts_count_for_each_hook_and_playbacks_once_for_all(scene: Scene):
    """Three hooks, one of which has its events only through its lane, and one that fails."""
    source = await scene.queue()
    scene.endpoint.script("/bad", *[status(500)] * 8)
    hooks = [
        scene.webhook("good"),
        scene.webhook("slow", target_timeout=40),
        scene.webhook("bad", retry={"schedule": ["0s"]}),
    ]
    bodies = [
        playback("u1", 100),
        playback("u1", 50, completed=False),
        playback("u2", 500),
        playback("u2", 1, kind="x.y"),
    ]
    sources = [{"name": "phlix", "queue": source, "format": "phlix"}]
    await scene.queues.publish(source, bodies)
    async with scene.bridge(hooks, sources, http=HTTP) as bridge, operating(bridge) as operator:
        await until(lambda: _all_ended(bridge))

        of_bad = await operator.get("/hooks/bad/stats")
        overall = await operator.get("/stats?from=-1h&by=minute")
        users = await operator.get("/admin/stats/top-users")
        days = await operator.get("/admin/stats/playback")

    assert (of_bad["total_deliveries"], of_bad["failed"], of_bad["attempts_failed"]) == (4, 4, 8)
    assert (of_bad["success_rate"], of_bad["consecutive_failures"]) == (0, 8)
    assert of_bad["p95_ms"] > 0
    counted = {each["hook"]: each["succeeded"] for each in overall["hooks"]}
    assert counted == {"good": 4, "slow": 4, "bad": 0}
    assert (overall["totals"]["succeeded"], overall["totals"]["failed"]) == (8, 4)
    assert sum(step["attempts"] for step in overall["series"]) == 16
    assert users["data"] == [
        {"user_id": "u2", "total_watch_time": 500, "play_count": 1},
        {"user_id": "u1", "total_watch_time": 150, "play_count": 2},
    ]
    assert days["data"] == [
        {"date": "2026-11-20", "play_count": 3, "total_duration": 650, "completed_count": 2}
    ]


def _all_ended(bridge: Any) -> bool:
    good, slow, bad = (bridge.history.statuses(hook) for hook in ("good", "slow", "bad"))
    return bool(good["SUCCESS"] == slow["SUCCESS"] == bad["FAILED"] == 4)


async def test_a_delivery_that_is_mended_and_retried_counts_as_succeeded(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500), OK)
    hook = scene.webhook("crm", retry={"preset": "none"})
    await scene.queues.publish(source, [b"{}"])
    async with scene.bridge([hook], source, http=HTTP) as bridge, operating(bridge) as operator:
        failed = await operator.only_delivery("crm", "FAILED")
        before = await operator.get("/hooks/crm/stats")
        await operator.post(f"/deliveries/{failed['id']}/retry", status=202)
        await operator.only_delivery("crm", "SUCCESS")
        after = await operator.get("/hooks/crm/stats")

    assert (before["succeeded"], before["failed"], before["consecutive_failed_deliveries"]) == (0, 1, 1)
    assert (after["total_deliveries"], after["succeeded"], after["failed"], after["attempts"]) == (1, 1, 0, 2)
    assert (after["success_rate"], after["consecutive_failures"], after["failing_since"]) == (100, 0, None)


async def test_without_successes_in_the_history_statistics_have_them(scene: Scene):
    source = await scene.queue()
    await scene.queues.publish(source, [b"{}"] * 5)
    sections: dict[str, Any] = {"storage": {"keep": "failures"}, "http": HTTP}
    async with (
        scene.bridge([scene.webhook("crm")], source, **sections) as bridge,
        operating(bridge) as operator,
    ):
        await until(lambda: len(scene.endpoint.received("/crm")) == 5)

        async def five() -> bool:
            return bool((await operator.get("/stats"))["totals"]["succeeded"] == 5)

        await until(five)
        assert bridge.history.rows("SELECT count(*) FROM deliveries") == [(0,)]
