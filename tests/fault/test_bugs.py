"""Code of ours raises over one message: it costs neither that message, nor its place in the prefetch, nor the others."""

from collections import Counter

from tests.support.bridge_process import BridgeProcess
from tests.support.bugs import BUGGY
from tests.support.scene import Scene
from tests.support.stream import numbered
from tests.support.waiting import until


async def test_a_message_over_which_a_stage_raises_ends_in_quarantine_or_failed_and_the_rest_goes_on(
    scene: Scene,
):
    source = await scene.queue()
    sources = [{"name": "main", "queue": source, "prefetch": 10}]
    hook = scene.webhook("crm", retry={"schedule": ["0s"], "max_attempts": 2})
    poison = [b"bug in decode", b"bug in route"] * 6
    async with scene.prepared([hook], sources) as bridge:
        bridge.program = BUGGY
        await bridge.start()
        # More of each than the prefetch: they would stop the source if they held their places.
        await scene.queues.publish(source, [*poison, b"bug in attempt", b"bug in record", *numbered(30)])
        await until(lambda: len(quarantined(bridge)) == len(poison), what=bridge.last_words)
        await until(lambda: acked(bridge, len(poison) + 32), what=bridge.last_words)
        await until(lambda: not bridge.history.unfinished(), what=bridge.last_words)
        assert quarantined(bridge) == sorted((body, "bug") for body in poison)
        assert bridge.history.reasons("crm") == Counter(
            {("SUCCESS", ""): 30, ("FAILED", "retries_exhausted"): 1}
        )
        assert {attempt[2] for attempt in bridge.history.attempts("crm")} == {"delivered", "bug"}
        assert bridge.said("hook.internal_error")
        assert bridge.said("history.entry_refused")  # which tells what the history lacks: it was delivered
    assert sorted(scene.endpoint.bodies("/crm")) == sorted([b"bug in record", *numbered(30)])
    assert await scene.queues.depth(source) == 0


def quarantined(bridge: BridgeProcess) -> list[tuple[bytes, str]]:
    found = bridge.history.rows("SELECT body, reason FROM quarantine")
    return sorted((bytes(body), reason) for body, reason in found)


async def acked(bridge: BridgeProcess, count: int) -> bool:
    return await bridge.metric("events_settled_total", result="acked") == count
