"""kill -9 in mid-stream: repeats some work and loses none."""

import asyncio
import random
from collections import Counter

import pytest
from aiohttp import web

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import Received, slow
from tests.support.queues import STEPS
from tests.support.scene import Scene
from tests.support.waiting import until

EVENTS = [b'{"n":%d}' % number for number in range(400)]
PREFETCH = 100
LANE_PREFETCH = 2 * 16
KILLED_AT = (60, 150, 250)


async def run_with_kills(scene: Scene, bridge: BridgeProcess, source: str) -> None:
    """Kill it each time so many different bodies have arrived, and see it through to the end."""
    for count in KILLED_AT:
        await bridge.start()
        await until(lambda: len(set(scene.endpoint.bodies("/crm"))) >= count, 30, what=bridge.last_words)  # noqa: B023
        await bridge.kill()
    await bridge.start()
    await until(lambda: set(scene.endpoint.bodies("/crm")) == set(EVENTS), 30, what=bridge.last_words)
    await until(lambda: all_at_rest(scene, source), what=bridge.last_words)
    await until(lambda: not bridge.history.unfinished(), what=bridge.last_words)
    # What had its fate before the last kill comes again too, and is only acked.
    await until(lambda: nothing_is_held(bridge), 30, what=bridge.last_words)
    await bridge.stop()
    assert bridge.history.rows("SELECT * FROM quarantine") == []


async def nothing_is_held(bridge: BridgeProcess) -> bool:
    metrics = await bridge.metrics()
    return metrics("events_received_total") == metrics("events_settled_total", result="acked")


async def all_at_rest(scene: Scene, source: str) -> bool:
    queues = [source, scene.lane("crm"), *(f"{scene.prefix}.delay.{step}" for step in STEPS)]
    return not any([await scene.queues.depth(queue) for queue in queues])


async def test_nothing_is_lost_and_little_is_repeated(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(0.02))
    sources = [{"name": "main", "queue": source, "prefetch": PREFETCH}]
    await scene.queues.publish(source, EVENTS)
    async with scene.prepared([scene.webhook("crm")], sources) as bridge:
        await run_with_kills(scene, bridge, source)
        assert await scene.queues.depth(source) == 0
        repeated = len(scene.endpoint.bodies("/crm")) - len(EVENTS)
        assert repeated <= len(KILLED_AT) * (PREFETCH + LANE_PREFETCH)
        assert set(bridge.history.statuses("crm")) == {"SUCCESS"}
        assert bridge.history.delivered_bodies("crm") == set(EVENTS)


async def test_retries_survive_kills_in_one_chain_each(scene: Scene):
    source = await scene.queue()
    flaky = FailsOften()
    scene.endpoint.script("/crm", flaky)
    hook = scene.webhook("crm", retry={"schedule": ["0s", "200ms"], "max_attempts": 50, "jitter": 0.5})
    sources = [{"name": "main", "queue": source, "prefetch": PREFETCH}]
    await scene.queues.publish(source, EVENTS)
    async with scene.prepared([hook], sources) as bridge:
        await run_with_kills(scene, bridge, source)
        assert await scene.queues.depth(source) == 0
        assert set(bridge.history.statuses("crm")) == {"SUCCESS"}
        assert bridge.history.delivered_bodies("crm") == set(EVENTS)
    assert set(flaky.taken) == set(EVENTS)
    assert flaky.taken.total() - len(EVENTS) <= len(KILLED_AT) * (PREFETCH + LANE_PREFETCH)


class FailsOften:
    """500 for a third of the requests, whatever they carry; `taken` counts the others' bodies."""

    def __init__(self) -> None:
        self.taken: Counter[bytes] = Counter()
        self._random = random.Random(7)

    async def __call__(self, received: Received) -> web.Response:
        await asyncio.sleep(0.01)
        if self._random.random() < 0.3:
            return web.Response(status=500)
        self.taken[received.body] += 1
        return web.Response()


@pytest.mark.parametrize("count", [3])
async def test_several_hooks_of_one_message_are_each_served(scene: Scene, count: int):
    source = await scene.queue()
    names = [f"hook-{number}" for number in range(count)]
    for name in names:
        scene.endpoint.script(f"/{name}", slow(0.01))
    events = EVENTS[:200]
    sources = [{"name": "main", "queue": source, "prefetch": PREFETCH}]
    await scene.queues.publish(source, events)
    async with scene.prepared([scene.webhook(name) for name in names], sources) as bridge:
        await bridge.start()
        await until(lambda: len(scene.endpoint.bodies("/hook-0")) >= 50, what=bridge.last_words)
        await bridge.kill()
        await bridge.start()
        for name in names:
            await until(lambda: set(scene.endpoint.bodies(f"/{name}")) == set(events), what=bridge.last_words)  # noqa: B023
        await until(lambda: not bridge.history.unfinished())
        await bridge.stop()
        assert await scene.queues.depth(source) == 0
        for name in names:
            assert bridge.history.delivered_bodies(name) == set(events)
            assert len(scene.endpoint.bodies(f"/{name}")) - len(events) <= PREFETCH
