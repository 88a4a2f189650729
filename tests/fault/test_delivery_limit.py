"""A source that counts what comes back: neither kill -9 nor orderly stops bring its messages over the queue's limit."""

import random

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import slow
from tests.support.measured import measured
from tests.support.scene import Scene
from tests.support.waiting import until

EVENTS = [b'{"n":%d}' % number for number in range(600)]
KILLS = 7


@pytest.mark.parametrize("dead_letters", [True, False])
async def test_killed_again_and_again_under_load_a_limit_of_three_costs_no_message(
    scene: Scene, dead_letters: bool
):
    arguments: dict[str, str | int] = {"x-queue-type": "quorum", "x-delivery-limit": 3}
    dead = await scene.queue("dead")
    if dead_letters:
        arguments |= {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    source = await scene.queue(arguments=arguments)
    scene.endpoint.script("/crm", slow(0.05))
    chance = random.Random(3)
    await scene.queues.publish(source, EVENTS[:500])
    async with scene.prepared([scene.webhook("crm")], source) as bridge:
        for _ in range(KILLS):
            await bridge.start()
            count = chance.randint(1, 80)  # it dies at any point of its work
            await until(lambda: came(bridge, count), 20, what=bridge.last_words)  # noqa: B023
            await bridge.kill()
        await scene.queues.publish(source, EVENTS[500:])
        await bridge.start()
        wanted = set(EVENTS)
        await until(
            lambda: wanted == set(scene.endpoint.bodies("/crm")) | kept(bridge), 40, what=bridge.last_words
        )
        measured(repeated=len(scene.endpoint.bodies("/crm")) - len(EVENTS), kept=len(kept(bridge)))
        await bridge.stop()
        assert await scene.queues.depth(source) == await scene.queues.depth(dead) == 0


async def came(bridge: BridgeProcess, count: int) -> bool:
    return await bridge.metric("events_received_total", source="main") >= count


def kept(bridge: BridgeProcess) -> set[bytes]:
    """Whole in quarantine: killed from outside three times in a row just when it was alone."""
    return {body for (body,) in bridge.history.rows("SELECT body FROM quarantine")}


async def test_stopped_in_order_nothing_that_was_not_begun_goes_back_to_a_queue_that_counts(scene: Scene):
    source = await scene.queue(arguments={"x-queue-type": "quorum", "x-delivery-limit": 3})
    scene.endpoint.script("/crm", slow(0.3))
    await scene.queues.publish(source, EVENTS[:100])
    async with scene.bridge([scene.webhook("crm", concurrency=2)], source) as bridge:
        await until(lambda: len(scene.endpoint.received("/crm")) >= 2)
        await bridge.stop()
        assert await scene.queues.depth(source) == 0
        attempted = len(scene.endpoint.received("/crm"))
        assert attempted < 10
        assert await scene.queues.depth(scene.lane("crm")) == len(EVENTS[:100]) - attempted


async def test_what_came_back_often_goes_into_its_lane_before_anything_is_attempted(scene: Scene):
    source = await scene.queue(arguments={"x-queue-type": "quorum"})
    await scene.queues.publish(source, EVENTS[:3])
    await scene.queues.return_all(source, times=10)
    async with scene.bridge([scene.webhook("crm")], source) as bridge:
        await until(lambda: len(scene.endpoint.bodies("/crm")) == 3, what=bridge.last_words)
        assert await bridge.metric("parked_total", reason="delivery_limit") == 3
        assert await scene.queues.depth(source) == 0
