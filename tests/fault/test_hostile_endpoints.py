"""Many hostile endpoints at once: each costs its own attempts their time, and nothing else anything."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tests.support.bridge_process import BridgeProcess
from tests.support.certificates import Authority, serving
from tests.support.endpoint import OK, status
from tests.support.hostile import Expected, hostile, tricks
from tests.support.measured import measured
from tests.support.receiver import answering, receiving, response
from tests.support.scene import Scene
from tests.support.waiting import until

TIMEOUT = 2.0
ROUNDS = 4
HEALTHY = 150
PACE = 0.02
UNTRUSTED = {
    "wrong-name": ("elsewhere.example", 30),
    "expired": ("127.0.0.1", -1),
    "unknown-authority": ("127.0.0.1", 30),
}
NEVER_ALLOWED = {
    "metadata": "169.254.169.254",
    "mapped": "[::ffff:10.0.0.1]",
    "nat64": "[64:ff9b::10.0.0.1]",
    "private": "10.0.0.1",
    "every-interface": "0.0.0.0",
}
ASKS_TO_WAIT = 6.0


def memory(bridge: BridgeProcess) -> int:
    """The most bytes that the process ever held in memory."""
    lines = Path(f"/proc/{bridge.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def hook(name: str, url: str, **target: Any) -> dict[str, Any]:
    """One whose failed attempts are not repeated, so that what an attempt came to stands at once."""
    whole = {"type": "webhook", "url": url, "profile": "none", "timeout": TIMEOUT, **target}
    return {"name": name, "events": ["bad"], "retry": {"preset": "none"}, "target": whole}


def hooks_of_scene(scene: Scene) -> list[dict[str, Any]]:
    """The healthy one, those that are to be left alone, and who hears of it."""
    return [
        scene.webhook("healthy", events=["good"]),
        scene.webhook("ops", sources=["bridge"], events=["hook.paused"]),
        scene.webhook("gone", events=["bad"]),
        scene.webhook("waits", events=["bad"], retry={"schedule": ["1s"]}),
    ]


async def untrusted(stack: AsyncExitStack, folder: Path) -> list[dict[str, Any]]:
    """Hooks whose endpoints show certificates that must not be taken."""
    trusted, other = Authority(folder), Authority(folder, "somebody")
    hooks = []
    for name, (host, days) in UNTRUSTED.items():
        authority = other if name == "unknown-authority" else trusted
        tls = serving(authority.issue(name, [host], days))
        receiver = await stack.enter_async_context(receiving(answering(response()), tls))
        hooks.append(hook(name, receiver.url, tls={"ca_bundle": str(trusted.file)}))
    return hooks


async def delays(scene: Scene, source: str, count: int) -> list[float]:
    """Seconds from publishing to arrival of so many events for the healthy hook, a few at a time, in order of size."""
    sent: dict[bytes, float] = {}
    before = len(scene.endpoint.received("/healthy"))
    for number in range(count):
        body = b"%d %d" % (before, number)
        sent[body] = time.monotonic()
        await scene.queues.publish(source, [body], message_type="good")
        await asyncio.sleep(PACE)
    await until(lambda: len(scene.endpoint.received("/healthy")) == before + count)
    arrived = scene.endpoint.received("/healthy")[before:]
    return sorted(request.at - sent[request.body] for request in arrived)


def percentile(values: list[float], part: float) -> float:
    return values[min(int(len(values) * part), len(values) - 1)]


async def test_hostile_endpoints_cost_their_own_attempts_and_nothing_else(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/gone", status(410))
    scene.endpoint.script("/waits", status(429, Retry_After="6"), OK)
    async with AsyncExitStack() as stack:
        elsewhere = await stack.enter_async_context(receiving(answering(response())))
        known = tricks(elsewhere.url)
        receiver = await stack.enter_async_context(
            hostile((name, trick) for name, (trick, _) in known.items())
        )
        base = f"http://127.0.0.1:{receiver.port}"
        hooks = [
            *hooks_of_scene(scene),
            *(hook(name, f"{base}/{name}") for name in known),
            *await untrusted(stack, scene.folder),
            *(hook(name, f"http://{host}:{receiver.port}/") for name, host in NEVER_ALLOWED.items()),
        ]
        expected = {name: outcome for name, (_, outcome) in known.items()}
        expected |= dict.fromkeys(UNTRUSTED, Expected("tls"))
        expected |= dict.fromkeys(NEVER_ALLOWED, Expected("blocked_address"))
        async with scene.bridge(hooks, source) as bridge:
            alone = await delays(scene, source, HEALTHY)
            before = memory(bridge)
            await scene.queues.publish(source, [b"%d" % each for each in range(ROUNDS)], message_type="bad")
            beside = await delays(scene, source, HEALTHY)
            await all_as_expected(bridge, expected)
            grown = memory(bridge) - before
            assert grown < 100_000_000
            assert elsewhere.connections == 0
            assert all(request.path != "/" for request in receiver.requests)
            await gone_is_paused(scene, bridge)
            waited = await waited_as_asked(scene, bridge)
    assert percentile(beside, 0.99) < TIMEOUT
    measured(
        alone_p50=percentile(alone, 0.5),
        alone_p99=percentile(alone, 0.99),
        beside_p50=percentile(beside, 0.5),
        beside_p99=percentile(beside, 0.99),
        grown_mb=grown / 1e6,
        waited=waited,
    )


async def all_as_expected(bridge: BridgeProcess, expected: dict[str, Expected]) -> None:
    """Of each hook every attempt came to what it must, in its time; the rest waits behind its breaker."""

    def met(name: str) -> set[tuple[str, int | None]]:
        return {(outcome, code) for _, _, outcome, code in bridge.history.attempts(name)}

    await until(lambda: all(map(met, expected)), 20, what=bridge.last_words)
    assert {name: met(name) for name, known in expected.items() if not known.fits(met(name))} == {}
    [(longest,)] = bridge.history.rows("SELECT max(duration_ms) FROM attempts")
    assert longest < (TIMEOUT + 2) * 1000


async def gone_is_paused(scene: Scene, bridge: BridgeProcess) -> None:
    """Called once, paused, and said in log, metric and a meta event."""
    await until(lambda: scene.endpoint.received("/ops"), what=bridge.last_words)
    assert len(scene.endpoint.received("/gone")) == 1
    assert await bridge.metric("hook_paused", hook="gone") == 1
    [said] = bridge.said("hook.paused")
    assert (said["hook"], said["reason"]) == ("gone", "gone")
    assert b'"gone"' in scene.endpoint.bodies("/ops")[0]


async def waited_as_asked(scene: Scene, bridge: BridgeProcess) -> float:
    """Seconds between the answer that asked for six of them and the next request."""
    await until(lambda: len(scene.endpoint.received("/waits")) == ROUNDS + 1, what=bridge.last_words)
    first, second, *_ = [request.at for request in scene.endpoint.received("/waits")]
    assert ASKS_TO_WAIT <= second - first < 10.0
    return second - first
