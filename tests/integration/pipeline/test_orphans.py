"""Copies that found no lane: those of hooks that are there come home, past any number of those that nobody knows."""

import time

from bridge.amqp.lanes import as_read
from bridge.core.delivery import Delivery
from bridge.core.event import Event, Message
from bridge.wire.copies import MessageKeys, write_copy
from tests.support.scene import Scene
from tests.support.waiting import until

SECRET = "a key that the test knows"
KEYS = MessageKeys.derived_from([SECRET.encode()])
UNKNOWN = 160


def copy(hook: str, number: int) -> tuple[bytes, dict]:
    """Body and headers of a genuine copy."""
    message = Message(b"%d" % number)
    event = Event(f"event-{number}", "main", "a.b", "json", time.time(), message, None, webhook_id="w")
    headers = as_read(write_copy(Delivery(f"delivery-{hook}-{number}", event, hook)))
    return message.body, KEYS.copies.sign(headers, message, message.body)


async def test_unknown_orphans_do_not_keep_those_of_a_living_hook_from_coming_home(scene: Scene):
    keys = {"url": f"sqlite:///{scene.folder / 'bridge.db'}", "encryption_keys": [SECRET]}
    orphans = f"{scene.prefix}.orphans"
    async with scene.bridge([scene.webhook("crm")], await scene.queue(), storage=keys) as bridge:
        for number in range(UNKNOWN):
            body, headers = copy("unknown", number)
            await scene.queues.publish(orphans, [body], headers)
        body, headers = copy("crm", UNKNOWN)
        await scene.queues.publish(orphans, [body], headers)
        await until(lambda: scene.endpoint.bodies("/crm") == [body], 30, what=bridge.last_words)
        await bridge.stop()
        # A move that the stop cut off between the publish and the ack leaves two copies of one.
        left = await scene.queues.take_all(orphans)
        assert len({(copy.header.properties.headers or {})["x-bridge-delivery"] for copy in left}) == UNKNOWN
