"""Two replicas on one PostgreSQL: what is changed through one is in force at both."""

import time

from tests.support.endpoint import slow, status
from tests.support.scene import Scene
from tests.support.two_replicas import Asked, Replicas, open_replicas
from tests.support.waiting import holds, until

EVENTS = [b'{"n":%d}' % number for number in range(40)]


async def shows(asked: Asked, hook: str, name: str, value: object) -> bool:
    code, document = await asked.ask("GET", f"/hooks/{hook}")
    return code == 200 and document["state"][name] == value


async def test_a_hook_made_through_one_replica_is_served_by_both(scene: Scene, postgres_url: str):
    source = await scene.queue()
    async with open_replicas(scene, postgres_url, [], source) as replicas:
        await replicas.start()
        first, second = replicas.asked
        hook = await first.make(scene.webhook("crm"))
        scene.made.append(scene.lane(hook))
        asked_at = time.monotonic()
        await until(lambda: shows(second, hook, "served", True))
        assert time.monotonic() - asked_at < 1
        await scene.queues.publish(source, EVENTS)
        await until(lambda: all_are(replicas, hook, "SUCCESS", len(EVENTS)), what=replicas.last_words)
    assert sorted(scene.endpoint.bodies("/crm")) == sorted(EVENTS)


async def all_are(replicas: Replicas, hook: str, wanted: str, count: int) -> bool:
    return await replicas.database.statuses(hook) == {wanted: count}


async def test_a_pause_through_one_stops_both_within_a_second_and_nothing_is_lost(
    scene: Scene, postgres_url: str
):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.05))
    hook = scene.webhook("crm", concurrency=2)
    events = [b"%d" % number for number in range(300)]
    async with open_replicas(scene, postgres_url, [hook], source) as replicas:
        await replicas.start()
        first, second = replicas.asked
        await scene.queues.publish(source, events)
        await until(lambda: len(scene.endpoint.requests) > 20)
        asked_at = time.monotonic()
        code, document = await first.ask("POST", "/hooks/crm/pause")
        assert (code, document["state"]["paused"]) == (200, True)
        await until(lambda: shows(second, "crm", "paused", True))
        assert time.monotonic() - asked_at < 1
        await until(lambda: not scene.endpoint.under_way["/crm"])
        done = len(scene.endpoint.requests)
        assert done < len(events)
        await until(lambda: lane_holds(replicas, "crm", len(events) - done), what=replicas.last_words)
        await holds(lambda: len(scene.endpoint.requests) == done, 1, what="delivered while it is paused")
        assert (await second.ask("POST", "/hooks/crm/resume"))[0] == 200
        await until(lambda: all_are(replicas, "crm", "SUCCESS", len(events)), 30, what=replicas.last_words)
    assert sorted(scene.endpoint.bodies("/crm")) == sorted(events)


async def lane_holds(replicas: Replicas, hook: str, count: int) -> bool:
    return await replicas.lane(hook) == count


async def test_a_hook_that_one_replica_paused_itself_is_paused_at_both(scene: Scene, postgres_url: str):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(410))
    async with open_replicas(scene, postgres_url, [scene.webhook("crm")], source) as replicas:
        await replicas.start()
        await scene.queues.publish(source, [b"{}"])
        for asked in replicas.asked:
            await until(lambda: shows(asked, "crm", "paused", True), what=replicas.last_words)  # noqa: B023
        scene.endpoint.script("/crm", status(200))
        assert (await replicas.asked[0].ask("POST", "/hooks/crm/resume"))[0] == 200
        for asked in replicas.asked:
            await until(lambda: shows(asked, "crm", "paused", False))  # noqa: B023


async def test_a_change_is_seen_when_the_word_of_it_is_lost(scene: Scene, postgres_url: str):
    source = await scene.queue()
    async with open_replicas(scene, postgres_url, [scene.webhook("crm")], source) as replicas:
        await replicas.start()
        await replicas.database.run(
            "INSERT INTO hook_states (hook, paused, reason, changed_at, said_paused)"
            " VALUES ('crm', false, 'by hand', 0, true)"
        )
        await replicas.database.run(
            "INSERT INTO revisions VALUES ('hooks', 1) ON CONFLICT (name) DO UPDATE SET value = revisions.value + 1"
        )
        for asked in replicas.asked:
            await until(lambda: shows(asked, "crm", "paused", True), what=replicas.last_words)  # noqa: B023
        told = {each["revision"] for each in (await replicas.asked[0].get("/replicas"))["items"]}
        assert told <= {0, 1}


async def test_targets_split_between_replicas_are_each_served_once_by_the_right_one(
    scene: Scene, postgres_url: str
):
    source = await scene.queue()
    outcome = scene.folder / "seen"
    outcome.mkdir()
    script = {
        "name": "keep",
        "target": {
            "type": "script",
            "command": ["/bin/sh", "-c", f'cat > "$(mktemp {outcome}/XXXXXXXXXX)"'],
            "stdin": "body",
        },
    }
    async with open_replicas(scene, postgres_url, [scene.webhook("crm"), script], source) as replicas:
        await replicas.start("webhook", "script")
        served = sorted(each["targets"] for each in (await replicas.asked[1].get("/replicas"))["items"])
        assert served == [["script"], ["webhook"]]
        await scene.queues.publish(source, EVENTS)
        for hook in ("crm", "keep"):
            await until(lambda: all_are(replicas, hook, "SUCCESS", len(EVENTS)), 10, what=replicas.last_words)  # noqa: B023
        for kind, bridge in zip(("webhook", "script"), replicas.bridges, strict=True):
            delivered = await bridge.metrics()
            assert delivered("attempts_total", target=kind) == len(EVENTS)
            assert delivered("attempts_total") == len(EVENTS)
    assert sorted(scene.endpoint.bodies("/crm")) == sorted(EVENTS)
    assert sorted(file.read_bytes() for file in outcome.iterdir()) == sorted(EVENTS)


async def test_killing_one_replica_loses_nothing(scene: Scene, postgres_url: str):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.02))
    events = [b"%d" % number for number in range(600)]
    sources = [{"name": "main", "queue": source, "prefetch": 50}]
    hook = scene.webhook("crm", concurrency=4)
    async with open_replicas(scene, postgres_url, [hook], sources) as replicas:
        await replicas.start()
        await scene.queues.publish(source, events)
        await until(lambda: len(scene.endpoint.requests) > 100)
        await replicas.bridges[0].kill()
        await until(lambda: set(scene.endpoint.bodies("/crm")) == set(events), 30, what=replicas.last_words)
        await until(lambda: all_are(replicas, "crm", "SUCCESS", len(events)), what=replicas.last_words)
        assert len(scene.endpoint.bodies("/crm")) - len(events) <= 50 + 2 * 4
