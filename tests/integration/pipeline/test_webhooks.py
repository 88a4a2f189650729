"""What goes on with a webhook from one attempt to the next."""

import re

from tests.support.endpoint import OK, Received, status
from tests.support.scene import Scene
from tests.support.token_endpoint import json_answer, token_endpoint
from tests.support.waiting import until

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def trace_of(request: Received) -> tuple[str | None, str | None]:
    return request.headers.get("traceparent"), request.headers.get("tracestate")


async def test_trace_and_identity_of_a_request_are_the_same_on_every_attempt(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(500), status(500), OK)
    hook = scene.webhook("crm", target_profile="standard", retry={"schedule": ["0s", "1s"]})
    await scene.queues.publish(source, [b"{}"], {"traceparent": TRACE, "tracestate": "congo=t61"})
    async with scene.bridge([hook], source) as bridge:
        await until(lambda: bridge.history.statuses("crm")["SUCCESS"])
    requests = scene.endpoint.received("/crm")
    assert [trace_of(request) for request in requests] == [(TRACE, "congo=t61")] * 3
    assert len({request.headers["webhook-id"] for request in requests}) == 1


EVIL = "a.b\r\nX-Evil: 1\r\n\r\nGET /evil HTTP/1.1\r\nHost: e\r\n\r\n"


async def test_what_a_publisher_writes_into_ids_types_and_headers_makes_no_header_and_no_request(
    scene: Scene,
):
    source = await scene.queue()
    keys = {"target_secrets": ["whsec_" + "QUJD" * 8]}
    hooks = [
        *(scene.webhook(name, target_profile=name, **keys) for name in ("standard", "github", "stripe")),
        *(scene.webhook(name, target_profile=name, **keys) for name in ("splynx", "phlix", "plinqx")),
        scene.webhook("binary", target_body="cloudevents-binary"),
        scene.webhook("structured", target_body="cloudevents"),
    ]
    body = b'{"event": "%s", "id": "%s"}' % ((EVIL.encode().replace(b"\r\n", b"\\r\\n"),) * 2)
    fields = {"message_id": EVIL[:200], "message_type": EVIL[:200], "app_id": EVIL[:200]}
    headers = {"traceparent": EVIL, "ce-subject": EVIL, "cloudEvents:id": EVIL, "cloudEvents:source": EVIL}
    await scene.queues.publish(source, [body], headers, **fields)
    async with scene.bridge(hooks, source) as bridge:
        await until(lambda: len(scene.endpoint.requests) >= len(hooks), what=bridge.last_words)
        for hook in hooks:
            await until(lambda: bridge.history.statuses(hook["name"])["SUCCESS"])  # noqa: B023
    assert {request.path for request in scene.endpoint.requests} == {f"/{hook['name']}" for hook in hooks}
    assert not [request for request in scene.endpoint.requests if "x-evil" in request.headers]
    (request,) = scene.endpoint.received("/standard")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", request.headers["webhook-id"])
    assert request.body == body


async def test_an_event_waits_for_a_token_endpoint_that_is_down_and_then_arrives(scene: Scene):
    source = await scene.queue()
    async with token_endpoint(json_answer(503, {}), json_answer(401, {"error": "invalid_client"})) as tokens:
        auth = {"type": "oauth2", "token_url": tokens.url, "client_id": "a", "client_secret": "hunter2"}
        hook = scene.webhook("crm", target_auth=auth, retry={"schedule": ["0s", "0s", "0s"]})
        await scene.queues.publish(source, [b"{}"])
        async with scene.bridge([hook], source) as bridge:
            await until(lambda: bridge.history.statuses("crm")["SUCCESS"])
            assert [attempt[2] for attempt in bridge.history.attempts("crm")] == [
                "status",
                "status",
                "delivered",
            ]
        assert len(tokens.requests) == 3
    (request,) = scene.endpoint.received("/crm")
    assert request.headers["authorization"] == "Bearer t1"
