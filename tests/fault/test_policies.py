"""Somebody sets a policy on our queues while the bridge runs: nothing is lost, nothing is silent."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from devtools.rabbitmq import RabbitMQNode
from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, hang, status
from tests.support.measured import measured
from tests.support.operating import HTTP, operating
from tests.support.scene import Scene
from tests.support.stream import numbered
from tests.support.waiting import until

EVENTS = numbered(20)
ONE_WAIT = {"schedule": ["5s"], "jitter": 0}


@asynccontextmanager
async def policy(node: RabbitMQNode, pattern: str, **definition: object) -> AsyncIterator[None]:
    """In force on queues whose names match; the broker takes a moment to apply it."""
    said = json.dumps({name.replace("_", "-"): value for name, value in definition.items()})
    name = "test-policy"
    await ctl(node, "set_policy", "--apply-to", "queues", name, pattern, said)
    await until(lambda: in_force(node, name), what="the broker does not apply the policy")
    yield
    await ctl(node, "clear_policy", name)


async def in_force(node: RabbitMQNode, name: str) -> bool:
    return name in await ctl(node, "list_queues", "policy")


async def ctl(node: RabbitMQNode, *arguments: str) -> str:
    return await asyncio.to_thread(node.rabbitmqctl, *arguments)


async def lane_holds(scene: Scene, hook: str, count: int) -> bool:
    return await scene.queues.depth(scene.lane(hook)) == count


async def test_a_lane_that_may_hold_no_more_keeps_events_in_the_source_and_harms_no_other_hook(
    harmed: Scene, node: RabbitMQNode
):
    source = await harmed.queue()
    hooks = [harmed.webhook("crm", retry=ONE_WAIT), harmed.webhook("waits", paused=True)]
    harmed.endpoint.script("/crm", status(500), OK)
    async with harmed.bridge(hooks, source) as bridge:
        await harmed.queues.publish(source, EVENTS[:1])
        await until(lambda: lane_holds(harmed, "waits", 1), what=bridge.last_words)
        async with policy(node, "lane.waits$", max_length=3):
            for sent in range(1, len(EVENTS)):  # those that come together are let in, past the limit
                await harmed.queues.publish(source, EVENTS[sent : sent + 1])
                await until(lambda: acked(bridge, sent + 1, or_refused=True), what=bridge.last_words)  # noqa: B023
            await until(lambda: succeeded(bridge, "crm", len(EVENTS)), what=bridge.last_words)  # a retry, too
            assert 3 <= (await harmed.queues.depth(harmed.lane("waits")) or 0) < len(EVENTS)
            assert await bridge.metric("publish_total", outcome="nack") > 0
            assert {line["hook"] for line in bridge.said("copy.failed")} == {"waits"}
        await until(lambda: lane_holds(harmed, "waits", len(EVENTS)), what=bridge.last_words)
        await until(lambda: acked(bridge, len(EVENTS)), what=bridge.last_words)
    repeated = len(harmed.endpoint.bodies("/crm")) - len(EVENTS) - 1
    measured(repeated=repeated)
    assert repeated == 0


def succeeded(bridge: BridgeProcess, hook: str, count: int) -> bool:
    return bridge.history.statuses(hook) == {"SUCCESS": count}


async def acked(bridge: BridgeProcess, count: int, *, or_refused: bool = False) -> bool:
    metrics = await bridge.metrics()
    done: bool = metrics("events_settled_total", result="acked") == count
    return done or (or_refused and metrics("publish_total", outcome="nack") > 0)


async def test_copies_that_a_policy_lets_expire_come_back_and_retries_are_not_early(
    harmed: Scene, node: RabbitMQNode
):
    source = await harmed.queue()
    hooks = [harmed.webhook("crm", retry=ONE_WAIT), harmed.webhook("waits", paused=True)]
    harmed.endpoint.script("/crm", status(500), OK)
    async with harmed.bridge(hooks, source) as bridge:
        async with policy(node, r"(lane\.waits|delay\.5)$", message_ttl=1000):
            await harmed.queues.publish(source, EVENTS[:1])
            await until(lambda: succeeded(bridge, "crm", 1), what=bridge.last_words)
            await until(lambda: bridge.said("copy.expired"), what=bridge.last_words)
        await until(lambda: lane_holds(harmed, "waits", 1), what=bridge.last_words)
        assert bridge.history.statuses("waits") == {"PENDING": 1}
        await bridge.reload([hooks[0], hooks[1] | {"paused": False}])
        await until(lambda: succeeded(bridge, "waits", 1), what=bridge.last_words)
    first, second = harmed.endpoint.received("/crm")
    assert 5 <= second.at - first.at < 7.5
    assert harmed.endpoint.bodies("/waits") == EVENTS[:1]


async def test_a_delivery_limit_by_policy_ends_in_quarantine_and_failed_and_in_no_loss(
    harmed: Scene, node: RabbitMQNode
):
    source = await harmed.queue()
    harmed.endpoint.script("/crm", status(500), hang)
    hook = harmed.webhook("crm", target_timeout="3s", retry={"schedule": ["0s"], "max_attempts": 1000})
    async with harmed.bridge([hook], source, limits={"drain": "0s"}) as bridge:
        await harmed.queues.publish(source, EVENTS[:1])
        await until(lambda: harmed.endpoint.under_way["/crm"] == 1, what=bridge.last_words)
        async with policy(node, "lane.crm$", delivery_limit=1):
            while not quarantined(bridge):  # returned to its lane twice, as by a connection that is cut
                await until(lambda: harmed.endpoint.under_way["/crm"] or quarantined(bridge))
                await ctl(node, "close_all_connections", "test")
        await until(lambda: bridge.history.statuses("crm") == {"FAILED": 1}, what=bridge.last_words)
        assert bridge.history.reasons("crm") == Counter({("FAILED", "delivery_limit"): 1})
        assert quarantined(bridge) == [(EVENTS[0], "delivery_limit")]


def quarantined(bridge: BridgeProcess) -> list[tuple[bytes, str]]:
    found = bridge.history.rows("SELECT body, reason FROM quarantine")
    return [(bytes(body), reason) for body, reason in found]


async def test_what_the_broker_deletes_by_policy_with_all_that_waits_is_told_and_goes_on_when_asked_to(
    harmed: Scene, node: RabbitMQNode
):
    source = await harmed.queue()
    hooks = [
        harmed.webhook("crm", retry={"schedule": ["30s"], "jitter": 0}),
        harmed.webhook("waits", paused=True),
    ]
    harmed.endpoint.script("/crm", status(500), OK)
    async with harmed.bridge(hooks, source, http=HTTP) as bridge, operating(bridge) as operator:
        await harmed.queues.publish(source, EVENTS[:1])
        await until(lambda: bridge.history.statuses("crm") == {"RETRYING": 1}, what=bridge.last_words)
        await until(lambda: lane_shows(bridge, harmed.lane("waits")), what=bridge.last_words)
        async with policy(node, r"(lane\.waits|delay\.30)$", expires=1000):
            await until(lambda: bridge.said("lane.gone"), 20, what=bridge.last_words)
            await until(lambda: gone(bridge), 25, what=bridge.last_words)
        assert bridge.said("ladder.gone")[0]["messages"] == 1
        await operator.post("/hooks/waits/resume")
        for delivery in [*await operator.deliveries("crm"), *await operator.deliveries("waits")]:
            await operator.post(f"/deliveries/{delivery['id']}/retry", status=202)
        for hook in ("crm", "waits"):
            await until(lambda: succeeded(bridge, hook, 1), what=bridge.last_words)  # noqa: B023


async def lane_shows(bridge: BridgeProcess, lane: str) -> bool:
    return await bridge.metric("queue_depth", queue=lane) == 1


async def gone(bridge: BridgeProcess) -> bool:
    return await bridge.metric("ladder_gone", step="30") == 1


async def test_what_a_policy_pushes_out_of_a_lane_is_kept_in_quarantine_with_the_reason(
    harmed: Scene, node: RabbitMQNode
):
    source = await harmed.queue()
    async with harmed.bridge([harmed.webhook("waits", paused=True)], source) as bridge:
        await harmed.queues.publish(source, EVENTS[:1])
        await until(lambda: lane_holds(harmed, "waits", 1), what=bridge.last_words)
        async with policy(node, "lane.waits$", max_length=3, overflow="drop-head"):
            await harmed.queues.publish(source, EVENTS[1:8])
            await until(lambda: len(quarantined(bridge)) == 5, what=bridge.last_words)
        assert {body for body, _ in quarantined(bridge)} < set(EVENTS[:8])
        assert bridge.history.statuses("waits") == {"PENDING": 3, "FAILED": 5}
        assert "overflow drop-head" in bridge.said("message.quarantined")[0]["detail"]
