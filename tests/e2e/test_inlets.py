"""Inlets of a running bridge: a webhook comes in over HTTP and reaches a hook through the broker."""

import json
from functools import partial

from tests.support.bridge_process import BridgeProcess
from tests.support.inlets import SECRETS, TIKI, sender_to, signed_by_each, three_bad
from tests.support.scene import Scene
from tests.support.waiting import until


def has_succeeded(bridge: BridgeProcess, hook: str, count: int) -> bool:
    return bridge.history.statuses(hook) == {"SUCCESS": count}


async def test_six_verifiers_tell_who_sent_each_request_and_bad_ones_are_forbidden(scene: Scene):
    source, onward = await scene.queue(), await scene.queue("onward")
    hooks = [
        scene.webhook("crm", target_body="event"),
        scene.webhook("raw"),
        scene.webhook("only", filter='event.identity == "cron"'),
        {"name": "onward", "target": {"type": "queue", "queue": onward}},
    ]
    async with scene.prepared(hooks, source) as bridge:
        bridge.write(inlets=[TIKI])
        await bridge.start()
        async with sender_to(bridge.url) as sender:
            for user, headers in signed_by_each().items():
                path = "/in/tiki?key=in-a-query" if user == "shop" else "/tiki-webhooks.php"
                answer = await sender.send(path, headers)
                assert (answer.status, answer.text) == (200, "ok"), user
            for headers in three_bad():
                answer = await sender.send("/tiki-webhooks.php", headers)
                assert (answer.status, answer.problem["detail"]) == (403, "Webhook not authorized.")
        for hook, count in (("crm", 6), ("raw", 6), ("onward", 6), ("only", 1)):
            await until(partial(has_succeeded, bridge, hook, count), what=bridge.last_words)
        events = [json.loads(body) for body in scene.endpoint.bodies("/crm")]
        assert {event["identity"] for event in events} == set(signed_by_each())
        assert {event["type"] for event in events} == {"tiki.webhook.received"}
        assert await bridge.metric("inlet_requests_total", inlet="tiki", answer="accepted") == 6
        assert await bridge.metric("inlet_requests_total", inlet="tiki", answer="refused") == 3
        assert [len(line["reasons"]) for line in bridge.said("inlet.refused")] == [6, 6, 6]
        await bridge.stop()
    passed_on = await scene.queues.take_all(onward)
    seen = [
        bridge.log_text,
        *(repr((message.body, message.header.properties)) for message in passed_on),
        *(repr((request.headers, request.body)) for request in scene.endpoint.requests),
        *(repr(row) for row in bridge.history.rows("SELECT * FROM events")),
    ]
    assert len(passed_on) == 6
    for secret in (*SECRETS.values(), "in-a-query"):
        assert not [place for place in seen if secret in place]
