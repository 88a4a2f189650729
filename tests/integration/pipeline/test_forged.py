"""Messages in the bridge's own queues that it did not write: nothing of them is believed."""

import json
import uuid
from typing import Any

from tests.support.bridge_process import BridgeProcess
from tests.support.scene import Scene
from tests.support.waiting import until

DELIVERY = str(uuid.uuid4())


def forged(hook: str, **claims: Any) -> dict[str, Any]:
    """Headers of a copy as anybody can write them who has read the documentation."""
    told = {
        "delivery": DELIVERY,
        "generation": 1,
        "hook": hook,
        "attempt": 1,
        "retries": 0,
        "not-before": 0,
        "event": str(uuid.uuid4()),
        "source": "main",
        "type": "orders.paid",
        "format": "json",
        "received": 1_700_000_000_000,
        "identity": "admin",
        "mac": "0" * 64,
        **claims,
    }
    return {f"x-bridge-{name}": value for name, value in told.items()}


async def quarantined(bridge: BridgeProcess, source: str, reason: str) -> float:
    return await bridge.metric("events_quarantined_total", source=source, reason=reason)


async def test_a_forged_copy_in_a_lane_or_among_strays_is_quarantined_and_never_delivered(scene: Scene):
    source = await scene.queue()
    hook = scene.webhook("crm", events=["customers.*"], paused=True)
    async with scene.bridge([hook], source) as bridge:
        await scene.queues.publish(source, [b'"made the lane"'], message_type="customers.create")
        await until(lambda: scene.queues.depth(scene.lane("crm")), what=bridge.last_words)
        for queue in (scene.lane("crm"), f"{scene.prefix}.orphans", f"{scene.prefix}.dead"):
            await scene.queues.publish(queue, [b'"forged"'], forged("crm"))
        await bridge.reload([hook | {"paused": False}])

        def kept() -> int:
            return len(
                bridge.history.rows("SELECT 1 FROM quarantine WHERE CAST(body AS TEXT) = '\"forged\"'")
            )

        await until(lambda: kept() == 3, what=bridge.last_words)
        assert await quarantined(bridge, "lanes", "forged") == 3
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 1}, what=bridge.last_words)
        assert scene.endpoint.bodies("/crm") == [b'"made the lane"']
        assert bridge.history.rows("SELECT 1 FROM deliveries WHERE id = ?", DELIVERY) == []


async def test_an_unsigned_copy_of_a_delivery_that_waits_is_delivered_as_the_history_has_it(scene: Scene):
    source = await scene.queue()
    hook = scene.webhook("crm", paused=True)
    bodies = [b'{"n": %d}' % number for number in range(5)]
    async with scene.bridge([hook], source) as bridge:
        await scene.queues.publish(source, bodies, message_type="orders.paid")
        await until(lambda: _holds(scene, len(bodies)), what=bridge.last_words)
        for copy in await scene.queues.take_all(scene.lane("crm")):
            headers = dict(copy.header.properties.headers or {})
            del headers["x-bridge-mac"]  # as an earlier version wrote it
            headers |= {"x-bridge-type": "orders.refunded", "x-bridge-identity": "admin"}
            await scene.queues.publish(scene.lane("crm"), [b'"changed"'], headers)
        await bridge.reload([hook | {"paused": False}])
        await until(
            lambda: bridge.history.statuses("crm") == {"SUCCESS": len(bodies)}, what=bridge.last_words
        )
        assert sorted(scene.endpoint.bodies("/crm")) == bodies
        assert bridge.history.rows("SELECT DISTINCT type, identity FROM events") == [("orders.paid", None)]
        assert await quarantined(bridge, "lanes", "forged") == 0


async def test_copies_are_believed_after_keys_were_added_and_after_they_were_rotated(scene: Scene):
    source = await scene.queue()
    hook = scene.webhook("crm", paused=True)
    first, second = "the first key of all", "the second key of all"
    lives: list[list[str]] = [[], [first], [second, first]]
    async with scene.prepared([hook], source) as bridge:
        for number, keys in enumerate(lives):
            bridge.write(storage={"url": f"sqlite:///{scene.folder / 'bridge.db'}", "encryption_keys": keys})
            await bridge.start()
            await scene.queues.publish(source, [b'"life %d"' % number])
            await until(lambda: _holds(scene, number + 1), what=bridge.last_words)  # noqa: B023
            await bridge.stop()
        await bridge.start()
        await bridge.reload([hook | {"paused": False}])
        await until(lambda: bridge.history.statuses("crm") == {"SUCCESS": 3}, what=bridge.last_words)
        assert bridge.said("copy.taken_from_history") == []


async def test_a_forged_event_of_the_bridge_itself_reaches_nobody(scene: Scene):
    hook = scene.webhook("ops", sources=["bridge"])
    async with scene.bridge([hook], await scene.queue()) as bridge:
        told = json.dumps({"type": "hook.paused", "hook": "crm"}).encode()
        await scene.queues.publish(f"{scene.prefix}.events", [told], message_type="hook.paused")
        await until(lambda: quarantined(bridge, "bridge", "forged"), what=bridge.last_words)
        assert scene.endpoint.requests == []


async def _holds(scene: Scene, count: int) -> bool:
    return await scene.queues.depth(scene.lane("crm")) == count
