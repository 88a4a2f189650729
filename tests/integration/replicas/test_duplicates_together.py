"""Replicas that receive the two messages of an event at once: one of them delivers, also when one dies."""

from collections import Counter

from tests.support.endpoint import Gate
from tests.support.scene import Scene
from tests.support.two_replicas import Replicas, open_replicas
from tests.support.waiting import until

COUNT = 20


async def test_of_two_replicas_one_delivers_and_the_other_goes_on_when_it_dies(
    scene: Scene, postgres_url: str
):
    source = await scene.queue()
    gate = Gate()
    scene.endpoint.script("/crm", gate)
    # Neither can hold all of the first ones.
    sources = [{"name": "main", "queue": source, "prefetch": 12, "dedupe": {"by": "event.data.order"}}]
    events = [b'{"type":"t","order":%d}' % number for number in range(COUNT)]
    # The broker deals messages out in turn: the second of each goes to the other replica.
    twice = [*events, b" " + events[-1], *(b" " + event for event in events[:-1])]
    hooks = [scene.webhook("crm", concurrency=50)]
    async with open_replicas(scene, postgres_url, hooks, sources) as replicas:
        await replicas.start()
        await scene.queues.publish(source, twice)
        await until(lambda: len(scene.endpoint.bodies("/crm")) == COUNT, what=replicas.last_words)
        await until(lambda: nothing_moves(replicas), what=replicas.last_words)
        had = dict(await replicas.database.rows("SELECT holder, count(*) FROM claims GROUP BY holder"))
        assert Counter(body.strip() for body in scene.endpoint.bodies("/crm")) == dict.fromkeys(events, 1)

        await replicas.bridges[0].kill()
        gate.open.set()
        await until(lambda: settled(replicas, scene, source), 40, what=replicas.last_words)

        assert await replicas.database.reasons("crm") == {
            ("SUCCESS", ""): COUNT,
            ("SKIPPED", "duplicate"): COUNT,
        }
        # What the dead one had under way is repeated, once, and nothing else.
        again = Counter(body.strip() for body in scene.endpoint.bodies("/crm"))
        assert set(again) == set(events)
        assert max(again.values()) == 2
        [(alive,)] = await replicas.database.rows("SELECT DISTINCT holder FROM claims")
        assert again.total() - COUNT == COUNT - had[alive]
        assert 0 < had[alive] < COUNT, "both had some of them first"


async def nothing_moves(replicas: Replicas) -> bool:
    """What is not under way is recorded as a duplicate, and acked."""
    scrapes = [await bridge.metrics() for bridge in replicas.bridges]
    acked = sum(metrics("events_settled_total", result="acked") for metrics in scrapes)
    skipped = await replicas.database.statuses("crm")
    return acked == skipped["SKIPPED"]


async def settled(replicas: Replicas, scene: Scene, source: str) -> bool:
    """Every event has its fate, and every message its ack."""
    [(done,)] = await replicas.database.rows("SELECT count(*) FROM claims WHERE done")
    alive = replicas.bridges[1]
    metrics = await alive.metrics()
    under_way = metrics("events_received_total") - metrics("events_settled_total", result="acked")
    recorded = (await replicas.database.statuses("crm")).total()
    return done == COUNT and recorded >= 2 * COUNT and under_way == 0 and not await scene.queues.depth(source)
