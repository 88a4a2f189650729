"""A replica that stands still (a stopped process, a paused machine) and goes on later: nothing is lost, little repeated."""

import signal
from collections import Counter

import pytest

from tests.support.endpoint import slow
from tests.support.scene import Scene
from tests.support.two_replicas import open_replicas
from tests.support.waiting import until


@pytest.mark.timeout(150)
async def test_what_a_stopped_replica_held_goes_to_the_other_and_it_takes_part_again_when_it_goes_on(
    scene: Scene, postgres_url: str
):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.02))
    first, second = ([b"%d %d" % (part, number) for number in range(300)] for part in (1, 2))
    sources = [{"name": "main", "queue": source, "prefetch": 50}]
    broker = {"heartbeat": "1s"}
    hook = scene.webhook("crm", concurrency=4)
    async with open_replicas(scene, postgres_url, [hook], sources, broker=broker) as replicas:
        await replicas.start()
        stopped, other = replicas.bridges
        await scene.queues.publish(source, first)
        await until(lambda: len(scene.endpoint.requests) > 50)
        stopped.signal(signal.SIGSTOP)
        try:
            # Rows that it had locked hold up the other until the server ends its transaction, after 5 s.
            await until(lambda: set(scene.endpoint.bodies("/crm")) == set(first), 60, what=other.last_words)

            async def given_up() -> bool:
                return await scene.queues.consumers(source) == 1

            await until(given_up, 30, what=other.last_words)
        finally:
            stopped.signal(signal.SIGCONT)
        await until(lambda: len(stopped.said("connection.open")) >= 6, 30, what=stopped.last_words)
        await scene.queues.publish(source, second)

        async def all_done() -> bool:
            statuses = await replicas.database.statuses("crm")
            idle = set(scene.endpoint.bodies("/crm")) == {*first, *second} and set(statuses) == {"SUCCESS"}
            return idle and await scene.queues.depth(source) == 0

        await until(all_done, 30, what=replicas.last_words)
        assert await stopped.metric("events_received_total") > await stopped.metric("redelivered_total")
    bodies = Counter(scene.endpoint.bodies("/crm"))
    assert set(bodies) == {*first, *second}
    # What it held and had not acked the other attempts again, once.
    assert max(bodies.values()) <= 2
