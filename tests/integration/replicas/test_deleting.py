"""Hooks of the API are deleted: nothing is left waiting, on one replica and on two."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.support.endpoint import slow, status
from tests.support.scene import Scene
from tests.support.two_replicas import Replicas, open_replicas
from tests.support.waiting import holds, until

EVENTS = [b'{"n":%d}' % number for number in range(30)]
COUNT = len(EVENTS)
FOR_AN_HOUR: dict[str, Any] = {"retry": {"schedule": ["1h"], "jitter": 0}}


async def statuses(replicas: Replicas, hook: str, wanted: dict[str, int]) -> bool:
    return await replicas.database.statuses(hook) == Counter(wanted)


async def gone(replicas: Replicas, hook: str) -> bool:
    answers = [await asked.ask("GET", f"/hooks/{hook}") for asked in replicas.asked if asked.bridge.alive]
    return {code for code, _ in answers} == {404} and await replicas.lane(hook) is None


@pytest.fixture(params=[1, 2])
def count(request: pytest.FixtureRequest) -> int:
    """How many replicas there are."""
    number: int = request.param
    return number


async def test_a_drop_ends_what_waits_in_lane_and_ladder(scene: Scene, postgres_url: str, count: int):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500))
    breaker = {"failures": 1000, "window": 1000}
    async with open_replicas(scene, postgres_url, [], source, count=count, breaker=breaker) as replicas:
        await replicas.start()
        first, last = replicas.asked[0], replicas.asked[-1]
        hook = await first.make(scene.webhook("crm", **FOR_AN_HOUR))
        await scene.queues.publish(source, EVENTS)
        await until(lambda: statuses(replicas, hook, {"RETRYING": COUNT}), what=replicas.last_words)
        assert (await last.ask("POST", f"/hooks/{hook}/pause"))[0] == 200
        await scene.queues.publish(source, EVENTS)
        both = {"RETRYING": COUNT, "PENDING": COUNT}
        await until(lambda: statuses(replicas, hook, both), what=replicas.last_words)
        code, answer = await last.ask("DELETE", f"/hooks/{hook}?lane=drop")
        assert (code, answer["id"], answer["lane"], answer["deliveries"]) == (200, hook, "dropped", 2 * COUNT)
        assert await replicas.database.reasons(hook) == {("FAILED", "hook_deleted"): 2 * COUNT}
        await until(lambda: gone(replicas, hook))
        said = [line for bridge in replicas.bridges for line in bridge.said("hook.deleted")]
        assert [(line["hook"], line["lane"], line["deliveries"]) for line in said] == [
            (hook, "dropped", 2 * COUNT)
        ]
        # Its name is free again, and the new one is another hook.
        assert await first.make(scene.webhook("crm")) != hook


async def test_copies_that_come_from_the_ladder_too_late_end_there(
    scene: Scene, postgres_url: str, count: int
):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500))
    retry = {"retry": {"schedule": ["6s"], "jitter": 0}}
    async with open_replicas(scene, postgres_url, [], source, count=count) as replicas:
        await replicas.start()
        hook = await replicas.asked[0].make(scene.webhook("crm", **retry))
        await scene.queues.publish(source, EVENTS[:4])
        await until(lambda: statuses(replicas, hook, {"RETRYING": 4}), what=replicas.last_words)
        code, answer = await replicas.asked[0].ask("DELETE", f"/hooks/{hook}")
        assert (code, answer["deliveries"]) == (200, 4)
        await until(lambda: nothing_left(replicas), 15, what=replicas.last_words)
        assert await replicas.database.reasons(hook) == {("FAILED", "hook_deleted"): 4}
        assert sum([await bridge.metric("stale_copies_total") for bridge in replicas.bridges]) == 4
        assert not any(bridge.said("orphan.unknown") for bridge in replicas.bridges)
    assert len(scene.endpoint.received("/crm")) == 4


async def nothing_left(replicas: Replicas) -> bool:
    """Neither on the ladder nor among the orphans, those held by a replica included."""
    queues, prefix = replicas.scene.queues, replicas.scene.prefix
    depths = [await queues.depth(f"{prefix}.{name}") for name in ("delay.5", "orphans")]
    unsettled = [await bridge.metric("queue_depth", queue=f"{prefix}.orphans") for bridge in replicas.bridges]
    stale = [await bridge.metric("stale_copies_total") for bridge in replicas.bridges]
    return not any(depths) and not any(unsettled) and sum(stale) == 4


async def test_a_drain_delivers_what_waits_and_matches_nothing_more(
    scene: Scene, postgres_url: str, count: int
):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500))
    retry = {"retry": {"schedule": ["6s", "6s", "6s"], "jitter": 0}}
    async with open_replicas(scene, postgres_url, [], source, count=count) as replicas:
        await replicas.start()
        first, last = replicas.asked[0], replicas.asked[-1]
        hook = await first.make(scene.webhook("crm", **retry))
        await scene.queues.publish(source, EVENTS[:4])
        await until(lambda: statuses(replicas, hook, {"RETRYING": 4}), what=replicas.last_words)
        code, answer = await last.ask("DELETE", f"/hooks/{hook}?lane=drain")
        assert (code, answer["id"], answer["lane"], answer["waiting"]) == (202, hook, "draining", 4)
        assert (await first.get(f"/hooks/{hook}"))["state"]["deleting"] == "drain"
        scene.endpoint.script("/crm", status(200))
        await scene.queues.publish(source, [b"nobody asked"])
        await until(lambda: gone(replicas, hook), 30, what=replicas.last_words)
        assert await replicas.database.statuses(hook) == {"SUCCESS": 4}
        assert [line["lane"] for bridge in replicas.bridges for line in bridge.said("hook.deleted")] == [
            "drained"
        ]
    assert b"nobody asked" not in scene.endpoint.bodies("/crm")


async def test_where_nothing_waits_a_drain_is_done_at_once(scene: Scene, postgres_url: str, count: int):
    source = await scene.queue()
    async with open_replicas(scene, postgres_url, [], source, count=count) as replicas:
        await replicas.start()
        hook = await replicas.asked[-1].make(scene.webhook("crm"))
        await scene.queues.publish(source, EVENTS)
        await until(lambda: statuses(replicas, hook, {"SUCCESS": COUNT}), what=replicas.last_words)
        code, answer = await replicas.asked[0].ask("DELETE", f"/hooks/{hook}?lane=drain")
        assert (code, answer["lane"], answer["deliveries"]) == (200, "drained", 0)
        await until(lambda: gone(replicas, hook))


async def test_what_is_under_way_is_still_delivered_and_what_waits_for_a_slot_is_ended(
    scene: Scene, postgres_url: str, count: int
):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(1.5))
    sources = [{"name": "main", "queue": source, "prefetch": COUNT // count}]
    async with open_replicas(scene, postgres_url, [], sources, count=count) as replicas:
        await replicas.start()
        hook = await replicas.asked[0].make(scene.webhook("crm", concurrency=2))
        await scene.queues.publish(source, EVENTS)
        await until(lambda: scene.endpoint.under_way["/crm"] == 2 * count, what=replicas.last_words)
        code, answer = await replicas.asked[0].ask("DELETE", f"/hooks/{hook}?lane=drop")
        tried = len(scene.endpoint.received("/crm"))
        assert (code, answer["lane"], answer["deliveries"]) == (200, "dropped", COUNT - tried)
        wanted = {"SUCCESS": tried, "FAILED": COUNT - tried}
        await until(lambda: statuses(replicas, hook, wanted), what=replicas.last_words)
        await holds(
            lambda: len(scene.endpoint.received("/crm")) == tried, 0.5, what="attempted after it was deleted"
        )
        assert await scene.queues.depth(source) == 0


async def test_another_replica_goes_on_with_the_removal_that_one_was_killed_in(
    scene: Scene, postgres_url: str
):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(4.0))
    sources = [{"name": "main", "queue": source, "prefetch": COUNT // 2}]
    async with open_replicas(scene, postgres_url, [], sources) as replicas:
        await replicas.start()
        first, second = replicas.bridges
        hook = await replicas.asked[0].make(scene.webhook("crm", concurrency=1))
        await scene.queues.publish(source, EVENTS)
        await until(lambda: scene.endpoint.under_way["/crm"] == 2, what=replicas.last_words)
        deleting = asyncio.ensure_future(replicas.asked[0].ask("DELETE", f"/hooks/{hook}?lane=drop"))
        await until(lambda: holds_lease(replicas, hook), what=replicas.last_words)
        await first.kill()
        await asyncio.gather(deleting, return_exceptions=True)
        replicas.bridges.remove(first)
        await until(lambda: gone(replicas, hook), 45, what=second.last_words)
        await until(lambda: is_final(replicas, hook), what=second.last_words)
        assert await scene.queues.depth(source) == 0


async def holds_lease(replicas: Replicas, hook: str) -> bool:
    return bool(await replicas.database.rows("SELECT 1 FROM leases WHERE name = $1", f"hook.{hook}"))


async def is_final(replicas: Replicas, hook: str) -> bool:
    found = await replicas.database.statuses(hook)
    # What the killed replica held and had not recorded yet comes again when nobody asks for it any more.
    return set(found) <= {"SUCCESS", "FAILED"} and found.total() >= COUNT // 2
