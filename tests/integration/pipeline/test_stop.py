"""The end: in order after one signal, at once after two, and never at the cost of an event."""

import asyncio
import signal
import time
from collections import Counter

import psutil

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import OK, hang, slow
from tests.support.scene import Scene
from tests.support.waiting import until

EVENTS = [b"%d" % number for number in range(300)]


async def test_in_mid_stream_nothing_is_lost_and_nothing_repeated(scene: Scene):
    source = await scene.queue()
    names = ["one", "two", "limited"]
    for name in names:
        scene.endpoint.script(f"/{name}", slow(0.05))
    hooks = [scene.webhook(name, concurrency=8) for name in names]
    hooks[2]["rate"] = "100/s"
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge(hooks, source) as bridge:
        await until(lambda: len(scene.endpoint.received("/one")) > 40)
        await bridge.stop()
        before = len(scene.endpoint.requests)
        assert before < 3 * len(EVENTS)
        await bridge.start()
        for name in names:
            await until(lambda: bridge.history.statuses(name) == {"SUCCESS": len(EVENTS)}, 30)  # noqa: B023
    for name in names:
        assert Counter(scene.endpoint.bodies(f"/{name}")) == Counter(EVENTS)
    assert await scene.queues.depth(source) == 0


async def test_an_attempt_under_way_may_finish(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(2))
    await scene.queues.publish(source, [b"{}"])
    async with scene.bridge([scene.webhook("crm")], source) as bridge:
        await until(lambda: scene.endpoint.received("/crm"))
        started = time.monotonic()
        bridge.signal(signal.SIGINT)
        assert await bridge.ended() == 0
        assert 1 < time.monotonic() - started < 8
        assert bridge.history.statuses("crm") == {"SUCCESS": 1}
    assert await scene.queues.depth(source) == 0
    assert await scene.queues.depth(scene.lane("crm")) is None


async def test_an_attempt_that_takes_longer_than_the_bound_goes_to_the_lane(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/slow", hang)
    hooks = [scene.webhook("slow", concurrency=3), scene.webhook("quick")]
    await scene.queues.publish(source, EVENTS[:20])
    async with scene.bridge(hooks, source, limits={"drain": "1s"}) as bridge:
        await until(lambda: len(scene.endpoint.received("/slow")) == 3)
        await until(lambda: bridge.history.statuses("quick") == {"SUCCESS": 20})
        started = time.monotonic()
        await bridge.stop()
        assert time.monotonic() - started < 6
        assert bridge.said("bridge.stopped")[0]["unfinished"] == 3
        assert await scene.queues.depth(source) == 0
        assert await scene.queues.depth(scene.lane("slow")) == 20
        scene.endpoint.script("/slow", OK)
        await bridge.start()
        await until(lambda: bridge.history.statuses("slow") == {"SUCCESS": 20}, what=bridge.last_words)
    assert Counter(scene.endpoint.bodies("/quick")) == Counter(EVENTS[:20])


async def test_a_second_signal_ends_it_at_once(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", hang)
    await scene.queues.publish(source, EVENTS[:5])
    async with scene.bridge([scene.webhook("crm")], source) as bridge:
        await until(lambda: len(scene.endpoint.received("/crm")) == 5)
        bridge.signal(signal.SIGTERM)
        await until(lambda: bridge.said("bridge.stopping"))
        bridge.signal(signal.SIGTERM)
        assert await bridge.ended(2) == 128 + signal.SIGTERM
        await until(lambda: comes_back(scene, source, 5))


async def comes_back(scene: Scene, source: str, count: int) -> bool:
    return await scene.queues.depth(source) == count


async def test_it_is_not_ready_while_it_ends(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", slow(2))
    await scene.queues.publish(source, [b"{}"])
    async with scene.bridge([scene.webhook("crm")], source) as bridge:
        await until(lambda: scene.endpoint.received("/crm"))
        bridge.signal(signal.SIGTERM)
        await until(lambda: answers_503(bridge), 1.5)
        await bridge.ended()


async def answers_503(bridge: BridgeProcess) -> bool:
    return (await bridge.health())[0] == 503


async def test_scripts_do_not_outlive_the_bridge(scene: Scene):
    source = await scene.queue()
    script = scene.folder / "linger.sh"
    script.write_text(f'#!/bin/sh\necho $$ >> "{scene.folder}/pids"\nsleep 300\n')
    script.chmod(0o755)
    hook = {"name": "program", "target": {"type": "script", "command": [str(script)], "timeout": "10s"}}
    await scene.queues.publish(source, EVENTS[:2])
    pids = scene.folder / "pids"
    async with scene.bridge([hook], source, limits={"drain": "500ms"}) as bridge:
        await until(lambda: pids.exists() and len(pids.read_text().split()) == 2, what=bridge.last_words)
        await bridge.stop()
        await asyncio.gather(*(gone(int(pid)) for pid in pids.read_text().split()))
    assert await scene.queues.depth(scene.lane("program")) == 2


async def gone(pid: int) -> None:
    await until(lambda: not psutil.pid_exists(pid), 5, what=f"process {pid} is still there")
