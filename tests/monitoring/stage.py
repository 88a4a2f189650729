"""Two bridges with a Prometheus: one is well and busy, the other has every trouble that leaves it running."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import aiormq

from devtools.nodes.ports import free_ports
from tests.support.bridge_process import BridgeProcess
from tests.support.certificates import Authority
from tests.support.endpoint import hang, status
from tests.support.inlets import TIKI
from tests.support.operating import HTTP, operating
from tests.support.prometheus import JOB, Prometheus, hastened, prometheus
from tests.support.scene import Scene, open_scene
from tests.support.waiting import until

HEALTHY = "healthy"
EVERY = 0.1
AT_ONCE = 3
LATER = {"schedule": ["5s"], "jitter": 0}
OTHER_ARGUMENTS = {"x-max-length": 100_000}


@dataclass
class Stage:
    """What tests look at."""

    bridge: BridgeProcess
    prometheus: Prometheus
    scene: Scene
    alerts: str
    """The path at the scene's endpoint to which alerts are posted, as to an Alertmanager."""


@asynccontextmanager
async def open_stage(amqp_url: str, folder: Path) -> AsyncIterator[Stage]:
    """All of it, with load on both bridges and every trouble under way."""
    for name in ("well", "troubled", "prometheus"):
        (folder / name).mkdir()
    async with (
        open_scene(amqp_url, folder / "well") as well,
        open_scene(amqp_url, folder / "troubled") as scene,
        _well(well) as healthy,
        _troubled(scene) as bridge,
        prometheus(
            folder / "prometheus",
            {JOB: bridge.url, HEALTHY: healthy.url},
            rules=hastened(folder / "rules"),
            alertmanager=scene.endpoint.url("/told"),
        ) as watch,
    ):
        await watch.scraped()
        async with _trouble(scene, bridge):
            yield Stage(bridge, watch, scene, "/told/api/v2/alerts")


@asynccontextmanager
async def _well(scene: Scene) -> AsyncIterator[BridgeProcess]:
    source, onward = await scene.queue(), await scene.queue("onward")
    hooks: list[dict[str, Any]] = [
        scene.webhook("crm"),
        scene.webhook("limited", rate="200/s"),
        {"name": "onward", "target": {"type": "queue", "queue": onward}},
    ]
    async with scene.bridge(hooks, source) as bridge, _load(scene, source):
        yield bridge


@asynccontextmanager
async def _troubled(scene: Scene) -> AsyncIterator[BridgeProcess]:
    hooks = _hooks(scene)
    endpoint = scene.endpoint
    for path in ("failing", "final", "lost", "left"):
        endpoint.script(f"/{path}", status(500))
    endpoint.script("/slow", hang)
    async with scene.prepared(hooks, await _sources(scene), http=HTTP) as bridge:
        bridge.write(inlets=[TIKI])
        await bridge.start()
        yield bridge
        await bridge.kill()


async def _sources(scene: Scene) -> list[dict[str, Any]]:
    async def queue(name: str, arguments: dict[str, Any] | None = None) -> str:
        return await scene.queue(name, arguments=arguments)

    return [
        {"name": "main", "queue": await queue("main"), "dedupe": {}},
        {"name": "strict", "queue": await queue("strict"), "schema": "splynx"},
        {"name": "flow", "queue": await queue("flow", {"x-queue-type": "stream"})},
        {"name": "drifted", "queue": await queue("drifted", OTHER_ARGUMENTS)},
        {"name": "slow", "queue": await queue("slow"), "prefetch": 5},
        {"name": "once", "queue": await queue("once")},
    ]


def _hooks(scene: Scene) -> list[dict[str, Any]]:
    def hook(name: str, source: str = "main", **fields: Any) -> dict[str, Any]:
        return scene.webhook(name, sources=[source], **fields)

    def at(name: str, target: dict[str, Any]) -> dict[str, Any]:
        return {"name": name, "sources": ["main"], "target": target}

    certificate = Authority(scene.folder).issue("short", days=3).as_client
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}/"
    scene.made += [scene.lane(name) for name in ("left", "lost")]
    return [
        hook("good", target_tls=certificate),
        hook("failing", retry=LATER | {"max_attempts": 50}),
        hook("final", retry={"preset": "none"}),
        at("dead", {"type": "webhook", "url": nobody, "profile": "none"}),
        hook("paused", paused=True),
        at("program", {"type": "script", "command": [sys.executable, "-c", "exit(3)"]}),
        hook("asking", filter="event.data.missing == 1"),
        hook("flowing", "flow"),
        hook("slow", "slow", concurrency=1, target_timeout="30s"),
        hook("lost", "once", retry={"schedule": ["60s"], "jitter": 0}),
        hook("left", "once", retry=LATER),
    ]


@asynccontextmanager
async def _load(scene: Scene, *queues: str) -> AsyncIterator[None]:
    """Messages all the time, every one of them twice with one id."""

    async def send() -> None:
        number = 0
        while True:
            number += 1
            for queue in queues:
                await scene.queues.publish(queue, [b'{"type":"t"}'] * AT_ONCE, message_id=str(number))
            await asyncio.sleep(EVERY)

    task = asyncio.create_task(send())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _trouble(scene: Scene, bridge: BridgeProcess) -> AsyncIterator[None]:
    name = {queue.split()[0]: queue for queue in scene.made if " " in queue}
    loaded = [name[each] for each in ("main", "flow", "drifted", "slow")]
    async with _load(scene, *loaded), operating(bridge) as operator:
        await operator.post("/tokens", {"name": "grafana", "role": "viewer", "expires_in": "90d"}, status=201)
        async with aiohttp.ClientSession() as session:
            (await session.post(f"{bridge.url}/tiki-webhooks.php", json={})).close()
        await scene.queues.publish(name["strict"], [b"no json"])
        await scene.queues.publish(name["once"], [b"%d" % number for number in range(10)])
        await until(lambda: bridge.history.statuses("left") == {"RETRYING": 10}, what=bridge.last_words)
        await scene.queues.delete(name["strict"])
        await _leave_copies_behind(scene, bridge)
        await _purge(scene, f"{scene.prefix}.delay.60")
        yield


async def _leave_copies_behind(scene: Scene, bridge: BridgeProcess) -> None:
    """What comes from the ladder finds no lane, and no hook with its id."""
    await bridge.reload([hook for hook in bridge.settings["hooks"] if hook["name"] != "left"])
    await scene.queues.delete(scene.lane("left"))


async def _purge(scene: Scene, queue: str) -> None:
    connection = await aiormq.connect(scene.amqp_url)
    try:
        await (await connection.channel()).queue_purge(queue)
    finally:
        await connection.close()
