"""A thousand hooks: each gets its deliveries, through a cut of all connections, too, and memory stays in bounds."""

import asyncio
from collections import Counter

import psutil

from devtools.rabbitmq import RabbitMQNode
from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, status
from tests.support.measured import measured
from tests.support.scene import Scene
from tests.support.waiting import until

HOOKS = 1_000
WITH_LANE = 40
"""Of them fail at first, so that their lanes are made and consumed."""
MOST_MEMORY = 250e6


async def test_a_thousand_hooks_of_which_some_have_lanes(harmed: Scene, node: RabbitMQNode):
    source = await harmed.queue()
    retry = {"schedule": ["0s"], "max_attempts": 100}
    names = [f"hook-{number}" for number in range(HOOKS)]
    hooks = [harmed.webhook(name, retry=retry, target_url=harmed.endpoint.url("/all")) for name in names]
    for hook in hooks[:WITH_LANE]:
        hook["target"]["url"] = harmed.endpoint.url("/flaky")
    harmed.endpoint.script("/flaky", *[status(500)] * WITH_LANE, OK)
    async with harmed.bridge(hooks, source) as bridge:
        del harmed.made[1 + WITH_LANE :]  # the other lanes are never made
        started = psutil.Process(bridge.pid).memory_info().rss
        for event in (b"first", b"second"):
            await harmed.queues.publish(source, [event])
            await until(
                lambda: all_succeeded(bridge, HOOKS * len(set(sent(harmed)))), 40, what=bridge.last_words
            )
            await asyncio.to_thread(node.rabbitmqctl, "close_all_connections", "test")
        await until(lambda: lanes_up(harmed), 20, what=bridge.last_words)
        memory = psutil.Process(bridge.pid).memory_info().rss
        measured(memory_mb=memory / 1e6, at_start_mb=started / 1e6)
        assert memory < MOST_MEMORY
    assert Counter(sent(harmed)) == {b"first": HOOKS + WITH_LANE, b"second": HOOKS}


def sent(scene: Scene) -> list[bytes]:
    return [request.body for request in scene.endpoint.requests]


def all_succeeded(bridge: BridgeProcess, count: int) -> bool:
    found = bridge.history.rows("SELECT status, count(*) FROM deliveries GROUP BY status")
    return bool(count) and found == [("SUCCESS", count)]


async def lanes_up(scene: Scene) -> bool:
    """The first and the last one: they are consumed one after the other."""
    lanes = (scene.lane("hook-0"), scene.lane(f"hook-{WITH_LANE - 1}"))
    return [await scene.queues.consumers(lane) for lane in lanes] == [1, 1]
