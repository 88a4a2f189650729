"""Publishing through the API: what goes in is what a publisher's message would be, and once for each key."""

import asyncio
import json
from base64 import b64encode

from tests.support.operating import HTTP, operating
from tests.support.scene import Scene
from tests.support.waiting import until


async def test_what_is_published_is_delivered_like_a_publishers_message(scene: Scene):
    source = await scene.queue()
    async with (
        scene.bridge([scene.webhook("crm")], source, http=HTTP) as bridge,
        operating(bridge) as operator,
    ):
        wanted = {
            "source": "main",
            "data": {"n": 123456789012345678901234567890, "text": "Zoë", "rate": 1.5},
            "type": "customers.edit",
            "headers": {"tenant": "a", "deep": {"list": [1, None, True]}},
            "properties": {
                "app_id": "shop", "correlation_id": "c-1", "timestamp": "2025-05-05T07:08:09Z",
            },
            "message_id": "m-1",
        }  # fmt: skip
        answer = await operator.ask("POST", "/events", wanted)

        assert answer.status == 202, answer.body
        assert answer.body == {"source": "main", "queue": source, "message_id": "m-1"}
        done = await operator.only_delivery("crm", "SUCCESS")
        event = await operator.get(f"/events/{done['event_id']}")
        assert event["type"] == "customers.edit"
        assert event["data"] == wanted["data"]
        assert event["headers"] == wanted["headers"]
        assert event["publisher_id"] == "m-1"
        assert event["properties"] == {
            "app_id": "shop",
            "content_type": "application/json",
            "correlation_id": "c-1",
            "message_id": "m-1",
            "timestamp": "2025-05-05T07:08:09Z",
            "type": "customers.edit",
        }
        assert (event["routing_key"], event["exchange"]) == (source, "")
        assert (event["status"], event["counts"]) == ("matched", {"SUCCESS": 1})
        [received] = scene.endpoint.bodies("/crm")
        assert json.loads(received) == wanted["data"]


async def test_a_body_may_be_any_bytes(scene: Scene):
    source = await scene.queue()
    bodies = {"body": "plain ü\0", "body_base64": b64encode(b"\xff\0{").decode()}
    async with (
        scene.bridge([scene.webhook("crm")], source, http=HTTP) as bridge,
        operating(bridge) as operator,
    ):
        for name, text in bodies.items():
            await operator.post("/events", {name: text}, status=202)
        await operator.post("/events", {"data": None}, status=202)
        await operator.post("/events", {"body": "", "content_type": "text/plain"}, status=202)

        await until(lambda: len(scene.endpoint.received("/crm")) == 4, what=bridge.last_words)
        assert set(scene.endpoint.bodies("/crm")) == {"plain ü\0".encode(), b"\xff\0{", b"null", b""}


async def test_the_same_key_publishes_once(scene: Scene):
    source = await scene.queue()
    async with (
        scene.bridge([scene.webhook("crm")], source, http=HTTP) as bridge,
        operating(bridge) as operator,
    ):
        first = await operator.ask("POST", "/events", {"data": 1}, Idempotency_Key="k-1")
        again = await operator.ask("POST", "/events", {"data": 1}, Idempotency_Key="k-1")
        other = await operator.ask("POST", "/events", {"data": 2}, Idempotency_Key="k-1")
        more = await operator.ask("POST", "/events", {"data": 1}, Idempotency_Key="k-2")

        assert (first.status, again.status, again.body) == (202, 202, first.body)
        assert "Idempotent-Replayed" not in first.headers
        assert again.headers["Idempotent-Replayed"] == "true"
        assert (other.status, other.names) == (422, ["Idempotency-Key"])
        assert more.body["message_id"] != first.body["message_id"]

        at_once = await asyncio.gather(
            *(operator.ask("POST", "/events", {"data": 3}, Idempotency_Key="k-3") for _ in range(8))
        )
        assert {each.status for each in at_once} <= {202, 409}
        told = [each.body["message_id"] for each in at_once if each.status == 202]
        assert len(set(told)) == 1

        await until(lambda: len(scene.endpoint.received("/crm")) == 3, what=bridge.last_words)
        await bridge.stop()
        await bridge.start()
        after = await operator.ask("POST", "/events", {"data": 1}, Idempotency_Key="k-1")
        assert (after.status, after.body) == (202, first.body)
        assert sorted(scene.endpoint.bodies("/crm")) == [b"1", b"1", b"3"]


async def test_what_cannot_be_published_is_refused_by_name_and_nothing_arrives(scene: Scene):
    queue, second = await scene.queue(), await scene.queue("second")
    sources = [{"name": "main", "queue": queue}, {"name": "other", "queue": second}]
    wrong = [
        ({"data": 1}, 422, ["source"]),
        ({"source": "nobody", "data": 1}, 422, ["source"]),
        ({"source": "bridge", "data": 1}, 422, ["source"]),
        ({"source": "main"}, 422, ["data"]),
        ({"source": "main", "data": 1, "body": "x"}, 422, ["body"]),
        ({"source": "main", "body": None}, 422, ["body"]),
        ({"source": "main", "body": 5}, 422, ["body"]),
        ({"source": "main", "body_base64": "no base64!"}, 422, ["body_base64"]),
        ({"source": "main", "data": 1, "typ": "x"}, 422, ["typ"]),
        ({"source": "main", "data": 1, "type": "ü" * 200}, 422, ["type"]),
        ({"source": "main", "data": 1, "headers": {"x-bridge-hook": "crm"}}, 422, ["headers.x-bridge-hook"]),
        ({"source": "main", "data": 1, "headers": {"CC": ["q"]}}, 422, ["headers.CC"]),
        ({"source": "main", "data": 1, "headers": []}, 422, ["headers"]),
        ({"source": "main", "data": 1, "properties": {"expiration": "1"}}, 422, ["properties.expiration"]),
        (
            {"source": "main", "data": 1, "properties": {"timestamp": "yesterday"}},
            422,
            ["properties.timestamp"],
        ),
        ({"source": "main", "data": 1, "headers": {"big": "x" * 200_000}}, 413, None),
        (b"{", 400, [""]),
        (b"[]", 422, [""]),
    ]
    async with (
        scene.bridge([scene.webhook("crm")], sources, http=HTTP) as bridge,
        operating(bridge) as operator,
    ):
        for body, status, names in wrong:
            answer = await operator.ask("POST", "/events", body)
            assert answer.status == status, (body, answer.body)
            assert names is None or answer.names == names, answer.body
        answer = await operator.ask("POST", "/events", {"source": "main", "data": 1}, Idempotency_Key="a b")
        assert (answer.status, answer.names) == (400, ["Idempotency-Key"])

        await operator.post("/events", {"source": "other", "data": "last"}, status=202)
        done = await operator.only_delivery("crm", "SUCCESS")
        assert done["attempts"][0]["number"] == 1
        assert scene.endpoint.bodies("/crm") == [b'"last"']
