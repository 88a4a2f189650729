"""Memory is bounded by bytes: many large messages, slow endpoints and kills cost time, and nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import Gate, slow, status
from tests.support.scene import Scene
from tests.support.waiting import until

MIB = 1024 * 1024
BUDGET = 32 * MIB
LIMITS = {"memory": BUDGET, "drain": "3s"}


def resident(bridge: BridgeProcess) -> int:
    for line in Path(f"/proc/{bridge.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


class Peak:
    """The most memory that a bridge was seen to have, beyond what it has when nothing is under way."""

    def __init__(self, bridge: BridgeProcess) -> None:
        self._bridge = bridge
        self._base = resident(bridge)
        self.most = 0

    async def watch(self) -> None:
        while True:
            if self._bridge.alive:
                self.update()
            await asyncio.sleep(0.005)

    @property
    def now(self) -> int:
        return resident(self._bridge) - self._base

    def update(self) -> None:
        self.most = max(self.most, self.now)


@asynccontextmanager
async def watched(bridge: BridgeProcess) -> AsyncIterator[Peak]:
    peak = Peak(bridge)
    watching = asyncio.create_task(peak.watch())
    try:
        yield peak
    finally:
        watching.cancel()


def large(number: int, size: int) -> bytes:
    rows = [{"id": each, "name": f"customer {each} of {number}"} for each in range(size // 100)]
    return json.dumps({"number": number, "rows": rows, "blob": "x" * (size // 2)}).encode()


async def test_many_large_messages_with_slow_endpoints_and_kills_stay_within_the_budget(scene: Scene):
    source = await scene.queue()
    retry = {"schedule": ["500ms"], "max_attempts": 20, "jitter": 0}
    hooks = [
        scene.webhook("a", concurrency=8),
        scene.webhook("b", concurrency=8, retry=retry, target_body="event"),
    ]
    scene.endpoint.script("/a", slow(0.05))
    scene.endpoint.script("/b", status(503), status(503), status(503), slow(0.05))
    async with scene.bridge(hooks, source, limits=LIMITS) as bridge, watched(bridge) as peak:
        await scene.queues.publish(source, [large(number, MIB) for number in range(40)])
        for delivered in (3, 12):
            await until(lambda: len(scene.endpoint.received("/a")) >= delivered, what=bridge.last_words)  # noqa: B023 - awaited at once
            await bridge.kill()
            await bridge.start()
        await until(lambda: bridge.history.statuses("a") == {"SUCCESS": 40}, 40, what=bridge.last_words)
        await until(lambda: bridge.history.statuses("b").get("SUCCESS") == 40, 40, what=bridge.last_words)
        assert peak.most < 1.5 * BUDGET
        assert not await bridge.metric("events_quarantined_total")
        await until(lambda: holds_nothing(bridge), what=bridge.last_words)


async def holds_nothing(bridge: BridgeProcess) -> bool:
    return await bridge.metric("memory_held_bytes") == 0


async def test_what_waits_for_a_paused_hook_waits_on_the_broker_and_comes_back_within_the_budget(
    scene: Scene,
):
    source = await scene.queue()
    hook = scene.webhook("crm", concurrency=8, paused=True)
    scene.endpoint.script("/crm", slow(0.02))
    async with scene.bridge([hook], source, limits=LIMITS) as bridge, watched(bridge) as peak:
        await scene.queues.publish(source, [large(number, MIB) for number in range(40)])
        parked = {("PENDING", "paused"): 40}
        await until(lambda: bridge.history.reasons("crm") == parked, 30, what=bridge.last_words)
        await bridge.reload([hook | {"paused": False}])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 40}, 30, what=bridge.last_words)
        assert peak.most < 1.5 * BUDGET
        await until(lambda: holds_nothing(bridge), what=bridge.last_words)


async def test_a_message_that_is_larger_than_the_whole_budget_passes_alone(scene: Scene):
    source = await scene.queue()
    hooks = [scene.webhook("crm"), scene.webhook("waits", paused=True)]
    async with scene.bridge(hooks, source, limits={"memory": 8 * MIB}) as bridge:
        bodies = [large(0, MIB), b"y" * 15 * MIB, large(1, MIB), b"z" * 12 * MIB, b"{}"]
        await scene.queues.publish(source, bodies)
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 5}, what=bridge.last_words)
        await until(
            lambda: bridge.history.reasons("waits") == {("PENDING", "paused"): 5}, what=bridge.last_words
        )
        assert sorted(scene.endpoint.bodies("/crm")) == sorted(bodies)
        await bridge.reload([scene.webhook("crm"), scene.webhook("waits")])
        await until(lambda: bridge.history.statuses("waits") == {"SUCCESS": 5}, what=bridge.last_words)


async def test_memory_goes_back_to_the_system_after_a_peak(scene: Scene):
    source = await scene.queue()
    gate = Gate()
    scene.endpoint.script("/crm", gate)
    limits = {"memory": 256 * MIB}
    async with scene.bridge([scene.webhook("crm")], source, limits=limits) as bridge, watched(bridge) as peak:
        await scene.queues.publish(source, [b"x" * MIB for _ in range(60)])
        await until(lambda: holds(bridge, 40 * MIB), what=bridge.last_words)
        gate.open.set()
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 60}, 30, what=bridge.last_words)
        assert peak.most > 40 * MIB
        await until(lambda: peak.now < 10 * MIB, what=bridge.last_words)


async def holds(bridge: BridgeProcess, byte_count: int) -> bool:
    return await bridge.metric("memory_held_bytes") > byte_count


async def test_duplicates_of_large_messages_do_not_stay_in_memory(scene: Scene):
    source = await scene.queue()
    counted = {"dedupe": {"window": "1h"}, "dimensions": {"kind": "event.type"}}
    sources = [{"name": "main", "queue": source, **counted}]
    body = json.dumps({"type": "a.b", "blob": "x" * 2 * MIB}).encode()
    async with scene.bridge([scene.webhook("crm")], sources, limits=LIMITS) as bridge:
        peak = Peak(bridge)
        await scene.queues.publish(source, [body] * 30, message_id="one")
        decided = {"SUCCESS": 1, "SKIPPED": 29}
        await until(lambda: bridge.history.statuses("crm") == decided, 30, what=bridge.last_words)
        await until(lambda: peak.now < 30 * MIB, what=bridge.last_words)
