"""Delivery from queue to queue."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiormq
from aiormq.abc import DeliveredMessage

from bridge.amqp.codec import Properties
from tests.support.bridge_process import BridgeProcess
from tests.support.scene import Scene
from tests.support.waiting import until

EVENTS = [b"%d" % number for number in range(50)]


def to_queue(name: str, queue: str, **fields: object) -> dict[str, object]:
    return {"name": name, "target": {"type": "queue", "queue": queue}, **fields}


async def test_a_queue_that_is_missing_gets_everything_once_it_is_there(scene: Scene):
    source = await scene.queue()
    missing = await scene.queue("sink", declare=False)
    hook = to_queue("onward", missing, retry={"schedule": ["300ms"], "max_attempts": 1000})
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([hook, scene.webhook("other")], source) as bridge:
        await until(lambda: bridge.history.statuses("onward") == {"RETRYING": len(EVENTS)})
        assert {attempt[2] for attempt in bridge.history.attempts("onward")} == {"unroutable"}
        assert bridge.history.statuses("other") == {"SUCCESS": len(EVENTS)}
        await scene.queues.declare(missing)
        await until(lambda: bridge.history.statuses("onward") == {"SUCCESS": len(EVENTS)})
    taken = [message.body for message in await scene.queues.take_all(missing)]
    assert sorted(taken) == sorted(EVENTS)
    assert await scene.queues.depth(source) == 0


async def test_a_queue_is_made_where_the_hook_says_so(scene: Scene):
    source = await scene.queue()
    sink = await scene.queue("sink", declare=False)
    hook = {"name": "onward", "target": {"type": "queue", "queue": sink, "declare": True}}
    await scene.queues.publish(source, EVENTS)
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: bridge.history.statuses("onward") == {"SUCCESS": len(EVENTS)})
    assert len(await scene.queues.take_all(sink)) == len(EVENTS)


async def test_an_event_that_goes_round_in_a_circle_ends(scene: Scene):
    one, two = await scene.queue("one"), await scene.queue("two")
    sources = [{"name": "one", "queue": one}, {"name": "two", "queue": two}]
    hooks = [to_queue("forth", two, sources=["one"]), to_queue("back", one, sources=["two"])]
    await scene.queues.publish(one, [b"{}"])
    async with scene.bridge(hooks, sources) as bridge:
        await until(lambda: looped(bridge), what=bridge.last_words)
        assert bridge.history.reasons("forth") == {("SUCCESS", ""): 5, ("FAILED", "loop"): 1}
        assert bridge.history.reasons("back") == {("SUCCESS", ""): 5}
    assert await scene.queues.depth(one) == 0
    assert await scene.queues.depth(two) == 0


async def looped(bridge: BridgeProcess) -> bool:
    return await bridge.metric("deliveries_total", status="FAILED") == 1


async def test_a_full_queue_is_tried_again_until_there_is_room(scene: Scene):
    source = await scene.queue()
    full = await scene.queue("full", arguments={"x-max-length": 10, "x-overflow": "reject-publish"})
    hook = to_queue("onward", full, retry={"schedule": ["300ms"], "max_attempts": 1000})
    await scene.queues.publish(source, EVENTS[:20])
    taken: list[bytes] = []
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: bridge.history.statuses("onward") == {"SUCCESS": 10, "RETRYING": 10})
        assert {attempt[2] for attempt in bridge.history.attempts("onward")} == {"delivered", "not_confirmed"}
        taken += [message.body for message in await scene.queues.take_all(full)]
        await until(lambda: bridge.history.statuses("onward") == {"SUCCESS": 20})
    taken += [message.body for message in await scene.queues.take_all(full)]
    assert sorted(taken) == sorted(EVENTS[:20])


async def test_two_events_with_one_publisher_id_both_arrive(scene: Scene):
    source = await scene.queue()
    sink = await scene.queue("sink")
    for body in EVENTS:
        await scene.queues.publish(source, [body, body], message_id="the same")
    async with scene.bridge([to_queue("onward", sink)], source) as bridge:
        await until(lambda: bridge.history.statuses("onward") == {"SUCCESS": 2 * len(EVENTS)})
    assert len(await scene.queues.take_all(sink)) == 2 * len(EVENTS)


async def test_a_hook_to_an_exchange_that_does_not_exist_disturbs_no_other(scene: Scene):
    source = await scene.queue()
    sink = await scene.queue("sink")
    retry = {"schedule": ["50ms"], "max_attempts": 1000}
    nowhere: dict[str, Any] = {"type": "queue", "exchange": f"nowhere {scene.token}", "routing_key": "a"}
    hooks = [
        {"name": "lost", "target": nowhere, "retry": retry},
        to_queue("onward", sink),
        scene.webhook("crm", paused=True),
    ]
    events = [b"%d" % number for number in range(300)]
    async with scene.bridge(hooks, source) as bridge:
        await scene.queues.publish(source, events[:10])
        await until(lambda: len(bridge.history.attempts("lost")) > 10, what=bridge.last_words)
        await scene.queues.publish(source, events[10:])
        await until(lambda: bridge.history.statuses("onward") == {"SUCCESS": len(events)})
        assert len(bridge.history.attempts("onward")) == len(events)
        await until(lambda: lane_holds(scene, "crm", len(events)), what=bridge.last_words)
        assert await bridge.metric("publish_total", outcome="error") == 0
        assert await bridge.metric("reconnects_total") == 0
    assert len(await scene.queues.take_all(sink)) == len(events)


async def lane_holds(scene: Scene, hook: str, count: int) -> bool:
    return await scene.queues.depth(scene.lane(hook)) == count


TOLD = {
    "content_type": "application/x-thing",
    "content_encoding": "utf-8",
    "correlation_id": "task-17",
    "reply_to": "answers",
    "priority": 7,
    "expiration": "3600000",
    "message_id": "their-own",
    "timestamp": datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC),
    "message_type": "a.b",
    "app_id": "shop",
}


def told(message: DeliveredMessage) -> dict[str, object]:
    return {name: getattr(message.header.properties, name) for name in TOLD}


async def test_what_a_publisher_said_of_a_message_is_kept_on_the_straight_way_and_through_the_lane(
    scene: Scene,
):
    source, plain, whole = await scene.queue(), await scene.queue("plain"), await scene.queue("whole")
    keep: dict[str, Any] = {"type": "queue", "queue": whole, "keep": ["expiration", "message_id"]}
    hooks: list[dict[str, Any]] = [to_queue("plain", plain), {"name": "whole", "target": keep}]
    once = [{**hook, "paused": True} for hook in hooks]
    async with scene.bridge(once, source) as bridge:
        await scene.queues.publish(source, [b"1"], {"n": 3}, **TOLD)
        for hook in ("plain", "whole"):
            await until(partial(lane_holds, scene, hook, 1), what=bridge.last_words)
    async with scene.bridge(hooks, source) as bridge:
        await scene.queues.publish(source, [b"2"], {"n": 3}, **TOLD)
        await until(lambda: len(bridge.history.attempts("plain") + bridge.history.attempts("whole")) == 4)
    kept, changed = await scene.queues.take_all(whole), await scene.queues.take_all(plain)
    assert [{message.body for message in each} for each in (kept, changed)] == [{b"1", b"2"}] * 2
    for message in kept:
        assert told(message) == TOLD
    for message in changed:
        stable = message.header.properties.message_id
        assert stable not in (None, "their-own")
        assert told(message) == {**TOLD, "expiration": None, "message_id": stable}


async def test_who_asked_is_answered_and_numbers_in_headers_keep_their_digits(scene: Scene, amqp_url: str):
    """The answer goes to the asker's own channel (direct reply-to), as with any other reply queue."""
    source, sink = await scene.queue(), await scene.queue("sink")
    answers: asyncio.Queue[DeliveredMessage] = asyncio.Queue()
    async with scene.bridge([to_queue("onward", sink)], source), aiormq.connect(amqp_url) as connection:
        asker = await connection.channel(publisher_confirms=False)
        await asker.basic_consume("amq.rabbitmq.reply-to", answers.put, no_ack=True)
        asked = Properties(reply_to="amq.rabbitmq.reply-to", headers={"price": 0.1, "deep": [{"a": 1e300}]})
        await asker.basic_publish(b"?", routing_key=source, properties=asked)
        [question] = await until(lambda: scene.queues.take_all(sink))
        properties = question.header.properties
        assert properties.headers == {"price": 0.1, "deep": [{"a": 1e300}], "x-bridge-hops": 1}
        await asker.basic_publish(b"!", routing_key=str(properties.reply_to))
        async with asyncio.timeout(10):
            assert (await answers.get()).body == b"!"
