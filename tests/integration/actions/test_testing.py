"""Testing a hook: one event straight to its target, and its true outcome."""

import json
import sys
import time

from bridge.core.inlet import Verifier
from bridge.signing.profiles import verifier
from bridge.signing.shapes import SignedRequest, VerificationFailure
from tests.support.endpoint import hang, status
from tests.support.operating import HTTP, operating
from tests.support.scene import Scene
from tests.support.waiting import holds

SECRET = "whsec_" + "QUJD" * 8


def verified(profile, received, now):
    """Whether the profile's own check takes the request."""
    check = verifier(Verifier.model_validate({"type": profile, "secret": SECRET}))
    fields = {name.lower(): value for name, value in received.headers.items()}
    return not isinstance(
        check(SignedRequest(received.body, fields, "POST", received.path), now), VerificationFailure
    )


async def test_a_test_event_goes_past_patterns_filter_pause_and_breaker_and_leaves_no_trace(scene: Scene):
    source = await scene.queue()
    hook = scene.webhook("crm", events=["nothing.at.all"], filter="false", paused=True, enabled=False)
    scene.endpoint.script("/crm", status(200, b"thanks"))
    async with scene.bridge([hook], source, http=HTTP) as bridge, operating(bridge) as operator:
        told = await operator.post("/hooks/crm/test")

        assert told["delivered"] is True
        assert (told["outcome"], told["status_code"], told["response"], told["error"]) == (
            "delivered", 200, "thanks", None,
        )  # fmt: skip
        assert told["event_type"] == "webhook.test"
        assert told["duration_ms"] > 0
        [received] = scene.endpoint.received("/crm")
        body = json.loads(received.body)
        assert body["type"] == "webhook.test"
        assert body["data"]["webhook_id"] == "crm"
        assert (await operator.get("/deliveries"))["items"] == []
        assert (await operator.get("/events"))["items"] == []
        assert await bridge.metric("attempts_total", hook="crm") == 0
        assert await bridge.metric("deliveries_total", hook="crm") == 0


async def test_a_failing_test_is_not_retried_and_tells_what_the_endpoint_said(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/crm", status(503, b"closed today"))
    scene.endpoint.script("/slow", hang)
    hooks = [scene.webhook("crm"), scene.webhook("slow", target_timeout="1s")]
    async with scene.bridge(hooks, source, http=HTTP) as bridge, operating(bridge) as operator:
        for _ in range(7):
            told = await operator.post("/hooks/crm/test")
            assert (told["delivered"], told["outcome"], told["status_code"]) == (False, "status", 503)
            assert told["response"] == "closed today"
        await holds(lambda: len(scene.endpoint.received("/crm")) == 7, 1.5, what="it was tried again")
        assert (await operator.get("/hooks/crm"))["state"]["breaker"] == "closed"

        told = await operator.post("/hooks/slow/test")
        assert (told["delivered"], told["outcome"], told["status_code"]) == (False, "timeout", None)
        assert 900 < told["duration_ms"] < 5000

        await scene.endpoint.close()
        told = await operator.post("/hooks/crm/test")
        assert (told["delivered"], told["outcome"]) == (False, "refused")
        assert told["error"]


async def test_a_test_event_is_signed_as_its_system_signs(scene: Scene):
    source = await scene.queue()
    profiles = ("standard", "phlix", "splynx", "generic", "github", "stripe", "tiki")
    hooks = [scene.webhook(name, target_profile=name, target_secrets=[SECRET]) for name in profiles]
    async with scene.bridge(hooks, source, http=HTTP) as bridge, operating(bridge) as operator:
        for profile in profiles:
            assert (await operator.post(f"/hooks/{profile}/test"))["delivered"]
            [received] = scene.endpoint.received(f"/{profile}")
            assert received.headers["Content-Type"] == "application/json"
            assert verified(profile, received, time.time()), profile


async def test_test_events_have_the_shape_of_their_systems(scene: Scene):
    source = await scene.queue()
    profiles = ("phlix", "splynx", "plinqx", "cockpit", "stripe")
    secrets = {"cockpit": ["user:password"]}
    hooks = [
        scene.webhook(name, target_profile=name, target_secrets=secrets.get(name, [SECRET]))
        for name in profiles
    ]
    async with scene.bridge(hooks, source, http=HTTP) as bridge, operating(bridge) as operator:
        types = {name: (await operator.post(f"/hooks/{name}/test"))["event_type"] for name in profiles}

    assert types == {**dict.fromkeys(profiles, "webhook.test"), "splynx": "ping"}
    bodies = {name: scene.endpoint.bodies(f"/{name}")[0] for name in profiles}
    assert bodies["splynx"] == b'{"type":"ping"}'
    phlix = json.loads(bodies["phlix"])
    assert list(phlix) == ["event_type", "payload", "occurred_at"]
    assert list(phlix["payload"]) == ["message", "webhook_id"]
    assert phlix["payload"]["webhook_id"] == "phlix"
    assert json.loads(bodies["plinqx"])["event"] == "webhook.test"
    assert json.loads(bodies["cockpit"])["args"][0]["webhook_id"] == "cockpit"
    assert json.loads(bodies["stripe"])["data"]["object"]["webhook_id"] == "stripe"


async def test_any_event_may_be_given_to_test_with(scene: Scene):
    source = await scene.queue()
    hooks = [
        scene.webhook("crm"),
        scene.webhook("phlix", target_profile="phlix", target_secrets=[SECRET]),
        scene.webhook("whole", target_body="event"),
    ]
    async with scene.bridge(hooks, source, http=HTTP) as bridge, operating(bridge) as operator:
        event = {"type": "playback.ended", "data": {"user_id": 12345678901234567890123, "name": "Zoë"}}
        for hook in ("crm", "phlix", "whole"):
            told = await operator.post(f"/hooks/{hook}/test", event)
            assert (told["delivered"], told["event_type"]) == (True, "playback.ended")

        assert json.loads(scene.endpoint.bodies("/crm")[0]) == event["data"]
        shaped = json.loads(scene.endpoint.bodies("/phlix")[0])
        assert (shaped["event_type"], shaped["payload"]) == ("playback.ended", event["data"])
        whole = json.loads(scene.endpoint.bodies("/whole")[0])
        assert (whole["type"], whole["data"]) == ("playback.ended", event["data"])

        told = await operator.post("/hooks/crm/test", {"type": "a.b"})
        assert json.loads(scene.endpoint.bodies("/crm")[1])["type"] == "a.b"
        await operator.post("/hooks/crm/test", {"data": None})
        assert scene.endpoint.bodies("/crm")[2] == b"null"


async def test_scripts_and_queues_are_tested_alike(scene: Scene):
    source = await scene.queue()
    out = await scene.queue("out")
    code = "import sys; print(sys.stdin.read().strip()); sys.exit(65)"
    hooks = [
        {"name": "script", "target": {"type": "script", "command": [sys.executable, "-c", code]}},
        {"name": "queue", "target": {"type": "queue", "queue": out}},
    ]
    async with scene.bridge(hooks, source, http=HTTP) as bridge, operating(bridge) as operator:
        told = await operator.post("/hooks/script/test", {"type": "a.b", "data": {"n": 1}})
        assert (told["delivered"], told["outcome"], told["status_code"]) == (False, "exit", 65)
        assert '{"n":1}' in told["response"]

        told = await operator.post("/hooks/queue/test", {"type": "a.b", "data": {"n": 1}})
        assert told["delivered"] is True
        [message] = await scene.queues.take_all(out)
        assert message.body == b'{"n":1}'


async def test_what_cannot_be_tested_is_refused(scene: Scene):
    source = await scene.queue()
    hooks = [scene.webhook("crm", target_timeout="5s")]
    async with scene.bridge(hooks, source, http=HTTP) as bridge, operating(bridge) as operator:
        assert (await operator.ask("POST", "/hooks/nothing/test")).status == 404
        wrong = await operator.ask("POST", "/hooks/crm/test", {"typ": "x"})
        assert (wrong.status, wrong.names) == (422, ["typ"])
        assert (await operator.ask("POST", "/hooks/crm/test", b"{")).status == 400
        wrong = await operator.ask("POST", "/hooks/crm/test", {"type": "a\nb"})
        assert (wrong.status, wrong.names) == (422, ["type"])
        await bridge.stop()
        await bridge.start("--targets", "script")
        refused = await operator.ask("POST", "/hooks/crm/test")
        assert (refused.status, "does not serve" in refused.body["detail"]) == (409, True)
