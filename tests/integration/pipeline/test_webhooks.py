"""What goes on with a webhook from one attempt to the next."""

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
