"""Two replicas on one PostgreSQL: a replay is run once, and goes on when the one that runs it is killed."""

from collections import Counter

from tests.support.endpoint import slow, status
from tests.support.scene import Scene
from tests.support.two_replicas import Replicas, open_replicas
from tests.support.waiting import until

EVENTS = [b'{"n":%d}' % number for number in range(300)]


async def test_a_replay_outlives_the_replica_that_runs_it(scene: Scene, postgres_url: str):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500))
    hook = scene.webhook("crm", retry={"preset": "none"}, concurrency=4)
    async with open_replicas(scene, postgres_url, [hook], source) as replicas:
        await replicas.start()
        await scene.queues.publish(source, EVENTS)
        await until(lambda: all_are(replicas, "FAILED"), 30, what=replicas.last_words)
        scene.endpoint.requests.clear()
        scene.endpoint.script("/crm", slow(0.005))
        asked = replicas.asked
        code, replay = await asked[0].ask("POST", "/replays", {"filter": {"hook": "crm"}, "rate": 60})
        assert code == 201, replay
        await until(lambda: len(scene.endpoint.requests) >= 100, 30, what=replicas.last_words)
        running = [each for each in asked if each.bridge.said("replay.resumed")]
        assert len(running) == 1
        await running[0].bridge.kill()
        [other] = [each for each in asked if each not in running]

        async def is_done() -> bool:
            found = await other.get(f"/replays/{replay['id']}")
            return (found["status"], found["done"]) == ("done", 300)

        await until(is_done, 40, what=replicas.last_words)
        await until(lambda: all_are(replicas, "SUCCESS"), 40, what=replicas.last_words)
        assert other.bridge.said("replay.resumed")
    times = Counter(scene.endpoint.bodies("/crm"))
    assert set(times) == set(EVENTS)
    # Attempts of the one that was killed whose outcome was not committed.
    assert times.total() - len(EVENTS) <= 30


async def all_are(replicas: Replicas, wanted: str) -> bool:
    return await replicas.database.statuses("crm") == {wanted: len(EVENTS)}
