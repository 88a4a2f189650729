"""Questions of senders: answered, and no events."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.inlet_server import Kept, serving
from tests.support.inlets import TIKI, signed_by_each

OPEN: dict[str, Any] = {"name": "open", "open": True}
GUARDED: dict[str, Any] = {"open": False, "verify": TIKI["verify"]}


async def ask(inlet: dict[str, Any], method: str, path: str = "/in/open", headers=None, body=b""):
    """The answer of an inlet, and how many events it made."""
    async with serving([OPEN | inlet], kept := Kept()) as served:
        return await served.sender.send(path, headers, body, method), len(kept.messages)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PROPFIND", "TRACE"])
@pytest.mark.parametrize("inlet", [{}, GUARDED])
async def test_who_only_looks_whether_it_is_there_is_answered_and_makes_no_event(method, inlet):
    answer, events = await ask(inlet, method)
    assert (answer.status, answer.text) == (200, "" if method == "HEAD" else "ok")
    assert events == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_an_inlet_that_takes_a_method_has_events_by_it(method):
    answer, events = await ask({"methods": [method]}, method)
    assert (answer.status, events) == (200, 1)


async def test_head_goes_with_get_and_is_no_event():
    answer, events = await ask({"methods": ["GET"]}, "HEAD")
    assert (answer.status, events) == (200, 0)


@pytest.mark.parametrize("inlet", [{}, {"methods": ["POST"]}, {"methods": ["POST", "OPTIONS"]}])
async def test_a_sender_of_cloudevents_is_told_that_it_may_send(inlet):
    asked = {
        "WebHook-Request-Origin": "eventemitter.example.com",
        "WebHook-Request-Rate": "120",
        "WebHook-Request-Callback": "http://127.0.0.1:1/never-called",
    }
    answer, events = await ask(inlet, "OPTIONS", headers=asked)
    assert answer.status == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "eventemitter.example.com"
    assert answer.headers["WebHook-Allowed-Rate"] == "*"
    assert answer.headers["Allow"].startswith("POST")
    assert events == 0


@pytest.mark.parametrize(
    ("origin", "status"), [("Mine.example", 200), ("other.example", 404), ("mine.example.evil", 404)]
)
async def test_origins_and_the_rate_can_be_limited(origin, status):
    limited = {"handshakes": [{"type": "cloudevents", "origins": ["mine.example"], "rate": 60}]}
    answer, events = await ask(limited, "OPTIONS", headers={"WebHook-Request-Origin": origin})
    assert answer.status == status
    assert answer.headers.get("WebHook-Allowed-Rate") == ("60" if status == 200 else None)
    assert ("WebHook-Allowed-Origin" in answer.headers) is (status == 200)
    assert events == 0


HUB = {"handshakes": [{"type": "hub", "token": "our-token", "topics": ["https://a.example/feed"]}]}
SUBSCRIBE = (
    "hub.mode=subscribe&hub.topic=https%3A%2F%2Fa.example%2Ffeed&hub.challenge=15+%3Cb%3E&hub.lease_seconds=9"
)


@pytest.mark.parametrize(
    ("inlet", "query", "status", "text"),
    [
        (HUB, SUBSCRIBE + "&hub.verify_token=our-token", 200, "15 <b>"),
        (HUB, SUBSCRIBE + "&hub.verify_token=another", 404, "not wanted here"),
        (HUB, SUBSCRIBE, 404, "not wanted here"),
        (
            HUB,
            SUBSCRIBE.replace("a.example", "b.example") + "&hub.verify_token=our-token",
            404,
            "not wanted here",
        ),
        (
            HUB,
            SUBSCRIBE.replace("=subscribe", "=unsubscribe") + "&hub.verify_token=our-token",
            404,
            "not wanted here",
        ),
        ({"handshakes": [{"type": "hub"}]}, SUBSCRIBE, 200, "15 <b>"),
        ({}, SUBSCRIBE, 200, "ok"),
        ({"handshakes": [{"type": "query"}]}, "challenge=a%2Bb", 200, "a+b"),
        ({"handshakes": [{"type": "query", "name": "crc"}]}, "challenge=a%2Bb", 200, "ok"),
    ],
)
async def test_a_challenge_in_the_query_is_answered_where_the_inlet_is_to(inlet, query, status, text):
    answer, events = await ask(inlet, "GET", f"/in/open?{query}")
    assert (answer.status, answer.text, events) == (status, text, 0)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("name", ["validationToken", "validationtoken"])
async def test_microsofts_validation_token_is_answered_before_anything_is_signed(name):
    graph = GUARDED | {"handshakes": [{"type": "graph"}]}
    answer, events = await ask(graph, "POST", f"/in/open?{name}=Validation%3A+Testing+%3Cscript%3E")
    assert (answer.status, answer.text, events) == (200, "Validation: Testing <script>", 0)
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_without_the_setting_a_validation_token_is_nothing():
    answer, events = await ask({}, "POST", "/in/open?validationToken=a")
    assert (answer.text, events) == ("ok", 1)


ASKED_BY_SLACK = b'{"token":"t","challenge":"3eZbrw1aB","type":"url_verification"}'


async def test_slacks_challenge_is_answered_once_it_is_verified():
    slack = TIKI | {"handshakes": [{"type": "slack"}]}
    async with serving([slack, OPEN], kept := Kept()) as served:
        answer = await served.sender.send("/in/tiki", signed_by_each(ASKED_BY_SLACK)["forge"], ASKED_BY_SLACK)
        assert (answer.status, answer.text) == (200, "3eZbrw1aB")
        assert (await served.sender.send("/in/tiki", {}, ASKED_BY_SLACK)).status == 403
        assert served.counted("tiki", "handshake") == 1
        assert kept.messages == []
        assert (await served.sender.send("/in/open", {}, ASKED_BY_SLACK)).text == "ok"
        event = b'{"type":"event_callback","challenge":"x"}'
        assert (await served.sender.send("/in/tiki", signed_by_each(event)["forge"], event)).text == "ok"
    assert [message.body for message in kept.messages] == [ASKED_BY_SLACK, event]


async def test_the_validation_event_of_event_grid_is_answered():
    event = {
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6"},
    }
    grid = {"handshakes": [{"type": "eventgrid"}]}
    answer, events = await ask(grid, "POST", body=json.dumps([event]).encode())
    assert (json.loads(answer.text), events) == ({"validationResponse": "512d38b6"}, 0)
    answer, events = await ask(
        grid, "POST", body=json.dumps([event | {"eventType": "Order.Created"}]).encode()
    )
    assert (answer.text, events) == ("ok", 1)


ALL = [{"type": each} for each in ("cloudevents", "hub", "slack", "graph", "eventgrid", "query")]


@settings(max_examples=30, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "OPTIONS", "HEAD"]),
    query=st.sampled_from(["", "?hub.challenge=", "?validationToken=", "?challenge="]),
    text=st.text(max_size=30),
    challenge=st.text(max_size=10) | st.integers() | st.none(),
)
def test_no_question_makes_it_fail(method, query, text, challenge):
    body = json.dumps({"type": "url_verification", "challenge": challenge}).encode()

    async def send() -> None:
        headers = {"WebHook-Request-Origin": text.encode("ascii", "ignore").decode().strip("\r\n\0 ") or "x"}
        headers = {name: value for name, value in headers.items() if value.isprintable()}
        path = "/in/open" + query + "".join(f"%{octet:02x}" for octet in text.encode())
        answer, _ = await ask({"handshakes": ALL}, method, path, headers, body if method == "POST" else b"")
        assert answer.status in (200, 404)

    asyncio.run(send())
