"""A broken hook costs the others nothing, and gets everything once it works again."""

from collections import Counter

from aiohttp import web

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import Endpoint, Received, hang, slow, status
from tests.support.queues import STEPS
from tests.support.scene import Scene
from tests.support.waiting import until

EVENTS = [b'{"n":%d}' % number for number in range(300)]
QUICK_PROBES = {"first_probe": "500ms", "longest_probe": "1s"}


async def nothing_waits(scene: Scene, *hooks: str) -> bool:
    queues = [scene.lane(hook) for hook in hooks] + [f"{scene.prefix}.delay.{step}" for step in STEPS]
    return not any([await scene.queues.depth(queue) for queue in queues])


async def settled(bridge: BridgeProcess) -> float:
    return await bridge.metric("events_settled_total", result="acked")


async def test_one_of_three_hooks_gets_all_while_the_others_hang_and_refuse(scene: Scene):
    source = await scene.queue()
    down = Endpoint()
    scene.endpoint.script("/hanging", hang)
    hooks = [
        scene.webhook("healthy"),
        scene.webhook("hanging", target_timeout="1s"),
        {"name": "refusing", "target": {"type": "webhook", "profile": "none", "url": down.url("/refusing")}},
    ]
    sources = [{"name": "main", "queue": source, "prefetch": 50}]
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge(hooks, sources, breaker=QUICK_PROBES) as bridge:
        await until(lambda: set(scene.endpoint.bodies("/healthy")) == set(EVENTS), 20, what=bridge.last_words)
        await until(lambda: all_settled(bridge), 20, what=bridge.last_words)
        assert await scene.queues.depth(source) == 0
        assert await bridge.metric("breaker_state", hook="healthy") == 0
        assert bridge.history.statuses("healthy") == {"SUCCESS": len(EVENTS)}
        scene.endpoint.script("/hanging", status(200))
        await down.open()
        await until(lambda: not bridge.history.unfinished(), 30, what=bridge.last_words)
        await until(lambda: nothing_waits(scene, "hanging", "refusing"))
        for hook in ("healthy", "hanging", "refusing"):
            assert bridge.history.statuses(hook) == {"SUCCESS": len(EVENTS)}
            assert bridge.history.delivered_bodies(hook) == set(EVENTS)
    await down.close()
    # Each arrived once; only those that hung were sent again.
    assert Counter(scene.endpoint.bodies("/healthy")) == Counter(EVENTS)
    assert Counter(down.bodies("/refusing")) == Counter(EVENTS)
    assert set(scene.endpoint.bodies("/hanging")) == set(EVENTS)


async def all_settled(bridge: BridgeProcess) -> bool:
    return await settled(bridge) == len(EVENTS)


async def test_a_few_hanging_attempts_hold_back_no_acks(scene: Scene):
    source = await scene.queue()
    stuck = set(EVENTS[::30])
    released = Released(stuck)
    scene.endpoint.script("/crm", released)
    hooks = [scene.webhook("crm", concurrency=32)]
    sources = [{"name": "main", "queue": source, "prefetch": 100}]
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge(hooks, sources) as bridge:
        await until(lambda: set(scene.endpoint.bodies("/crm")) == set(EVENTS), 20, what=bridge.last_words)
        await until(lambda: settled_all_but(bridge, len(stuck)), what=bridge.last_words)
        assert await bridge.metric("in_flight", hook="crm") == len(stuck)
        # Whatever was acked stays so: only what hangs comes back.
        await bridge.kill()
        await until(lambda: comes_back(scene, source, len(stuck)))
        released.now = True
        await bridge.start()
        await until(lambda: not_there(scene, source, bridge), what=bridge.last_words)
        assert bridge.history.delivered_bodies("crm") == set(EVENTS)


class Released:
    """Hangs on some bodies until told otherwise."""

    def __init__(self, stuck: set[bytes]) -> None:
        self.stuck = stuck
        self.now = False

    async def __call__(self, received: Received) -> web.Response:
        return await (hang if received.body in self.stuck and not self.now else status(200))(received)


async def settled_all_but(bridge: BridgeProcess, hanging: int) -> bool:
    return await settled(bridge) == len(EVENTS) - hanging


async def comes_back(scene: Scene, source: str, count: int) -> bool:
    return await scene.queues.depth(source) == count


async def not_there(scene: Scene, source: str, bridge: BridgeProcess) -> bool:
    statuses = bridge.history.statuses("crm")
    return await scene.queues.depth(source) == 0 and statuses == {"SUCCESS": len(EVENTS)}


async def test_a_slow_hook_gives_way_when_it_holds_a_quarter_of_the_prefetch(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/slow", slow(2.5))
    hooks = [scene.webhook("quick"), scene.webhook("slow", concurrency=16)]
    sources = [{"name": "main", "queue": source, "prefetch": 40}]
    events = EVENTS[:120]
    await scene.queues.publish(source, events)
    async with scene.bridge(hooks, sources) as bridge:
        await until(lambda: len(scene.endpoint.bodies("/quick")) == len(events), 10, what=bridge.last_words)
        assert len(scene.endpoint.bodies("/slow")) < len(events)
        assert await bridge.metric("parked_total", hook="slow") > 0
        assert await bridge.metric("parked_total", hook="quick") == 0
        scene.endpoint.script("/slow", status(200))
        await until(lambda: not bridge.history.unfinished(), 20, what=bridge.last_words)
        await until(lambda: len(set(scene.endpoint.bodies("/slow"))) == len(events), what=bridge.last_words)
