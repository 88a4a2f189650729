"""Two replicas on one PostgreSQL: what is started anew or given up through one holds at both."""

from collections import Counter

from tests.support.endpoint import OK, hang, status
from tests.support.scene import Scene
from tests.support.two_replicas import Replicas, open_replicas
from tests.support.waiting import until


async def ids(replicas: Replicas, wanted: str) -> list[str]:
    rows = await replicas.database.rows("SELECT id FROM deliveries WHERE status = $1 ORDER BY id", wanted)
    return [str(row[0]) for row in rows]


async def has(replicas: Replicas, hook: str, statuses: dict[str, int]) -> bool:
    return await replicas.database.statuses(hook) == statuses


async def test_retries_through_both_beside_automatic_ones_end_in_one_delivery_each(
    scene: Scene, postgres_url: str
):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(404))
    hook = scene.webhook("crm", retry={"schedule": ["4s"]})
    events = [b"%d" % number for number in range(10)]
    async with open_replicas(scene, postgres_url, [hook], source) as replicas:
        await replicas.start()
        await scene.queues.publish(source, events)
        await until(lambda: has(replicas, "crm", {"RETRYING": 10}), what=replicas.last_words)
        scene.endpoint.script("/crm", OK)
        before = len(scene.endpoint.requests)
        for number, delivery in enumerate(await ids(replicas, "RETRYING")):
            code, asked = await replicas.asked[number % 2].ask("POST", f"/deliveries/{delivery}/retry")
            assert (code, asked["status"]) == (202, "PENDING")
        await until(lambda: has(replicas, "crm", {"SUCCESS": 10}), what=replicas.last_words)

        async def all_overtaken_came() -> bool:
            return sum([await each.metric("stale_copies_total") for each in replicas.bridges]) >= 10

        await until(all_overtaken_came, 25, what=replicas.last_words)
        assert Counter(scene.endpoint.bodies("/crm")[before:]) == Counter(events)
        assert await replicas.database.rows("SELECT * FROM outbox") == []


async def test_what_waits_for_a_slot_at_either_is_cancelled_through_one(scene: Scene, postgres_url: str):
    source = await scene.queue()
    scene.endpoint.script("/crm", hang)
    hook = scene.webhook("crm", concurrency=1, paused=True, target_timeout="10m")
    async with open_replicas(scene, postgres_url, [hook], source) as replicas:
        await replicas.start()
        first, second = replicas.asked
        await scene.queues.publish(source, [b"%d" % number for number in range(8)])
        await until(lambda: has(replicas, "crm", {"PENDING": 8}), what=replicas.last_words)
        assert (await second.ask("POST", "/hooks/crm/resume"))[0] == 200
        await until(lambda: scene.endpoint.under_way["/crm"] == 2, what=replicas.last_words)
        for delivery in await ids(replicas, "PENDING"):
            code, asked = await first.ask("POST", f"/deliveries/{delivery}/cancel")
            assert (code, asked["reason"]) == (200, "cancelled")

        async def all_that_waited_are_dropped() -> bool:
            return sum([await each.metric("stale_copies_total") for each in replicas.bridges]) == 6

        await until(all_that_waited_are_dropped, what=replicas.last_words)
        scene.endpoint.script("/crm", OK)
        await scene.endpoint.close()
        await scene.endpoint.open()

        async def nothing_is_left() -> bool:
            return await replicas.lane("crm") == 0 and not scene.endpoint.under_way["/crm"]

        await until(nothing_is_left, 20, what=replicas.last_words)
        assert await replicas.database.reasons("crm") == {("FAILED", "cancelled"): 8}
    assert len(set(scene.endpoint.bodies("/crm"))) == 2
