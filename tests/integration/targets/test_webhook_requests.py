"""What a webhook's receiver sees."""

import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from bridge import __version__
from bridge.core.delivery import Answer, Fault
from bridge.core.hook import Hook
from bridge.core.ports import Target
from bridge.targets.factory import Targets
from tests.support.events import delivery
from tests.support.receiver import Receiver, answering, receiving, response

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AS_WRITTEN = [
    "/%2F%40%7E%27",
    "/%c3%a4%C3%A4",
    "/a?",
    "/a/../b//c/./",
    "/blob?sv=2024&sig=a%2Bb%2f%3D&se=2027-01-01T00%3A00%3A00Z",
    "/~a;b=(c)!'$&*+,:@?a=/b?c",
]
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@contextlib.asynccontextmanager
async def sending(
    answer: bytes = b"", allowed: tuple[str, ...] = ("127.0.0.0/8",), **settings: Any
) -> AsyncIterator[tuple[Target, Receiver]]:
    async with receiving(answering(answer or response())) as receiver:
        targets = Targets({}, allowed, Path("/"), lambda _: None)
        settings = {"type": "webhook", "url": receiver.url, **settings}
        try:
            yield targets.build(Hook.model_validate({"name": "crm", "target": settings})), receiver
        finally:
            await targets.close()


async def test_the_request_is_what_the_receiver_was_promised() -> None:
    async with sending(secrets=[SECRET], headers={"X-Tenant": "Žižkov"}) as (target, receiver):
        answer = await target.attempt(delivery(b'{"a":1}', headers={"traceparent": TRACE}))
        (request,) = receiver.requests
    assert answer == Answer(code=200, response=b"ok")
    assert (request.method, request.path, request.body) == ("POST", "/in?tenant=1", b'{"a":1}')
    names = [name.lower() for name, _ in request.raw_headers]
    assert len(names) == len(set(names))
    assert set(names) == {
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "x-tenant",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "content-type",
        "traceparent",
        "content-length",
    }
    assert request.headers["user-agent"] == f"amqp-bridge/{__version__}"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["traceparent"] == TRACE
    assert request.headers["x-tenant"].encode("latin-1").decode() == "Žižkov"


async def test_the_reference_library_verifies_what_is_sent() -> None:
    async with sending(secrets=["whsec_" + base64.b64encode(b"o" * 32).decode(), SECRET]) as (
        target,
        receiver,
    ):
        await target.attempt(delivery(b'{"test": 2432232314}'))
        (request,) = receiver.requests
    assert Webhook(SECRET).verify(request.body, request.headers) == {"test": 2432232314}


async def test_the_id_is_the_same_on_every_attempt_and_the_timestamp_is_the_attempts() -> None:
    async with sending() as (target, receiver):
        await target.attempt(delivery(webhook_id="stable"))
        await target.attempt(delivery(webhook_id="stable", attempt=2))
    assert [request.headers["webhook-id"] for request in receiver.requests] == ["stable", "stable"]
    assert all(request.headers["webhook-timestamp"].isdigit() for request in receiver.requests)


async def test_an_event_without_a_stable_id_is_known_by_its_own() -> None:
    async with sending() as (target, receiver):
        await target.attempt(delivery(event_id="event-7"))
    assert receiver.requests[0].headers["webhook-id"] == "event-7"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_the_method_is_the_hooks_and_the_body_goes_with_it(method: str) -> None:
    async with sending(method=method, secrets=[SECRET]) as (target, receiver):
        for _ in range(2):
            assert (await target.attempt(delivery())).fault is None
        assert receiver.connections == 1
    request = receiver.requests[0]
    assert (request.method, request.body) == (method, b'{"a":1}')
    assert Webhook(SECRET).verify(request.body, request.headers) == {"a": 1}


@pytest.mark.parametrize("body", [None, "raw", "data", "event"])
async def test_get_sends_no_body_and_signs_none(body: str | None) -> None:
    async with sending(method="GET", secrets=[SECRET], body=body) as (target, receiver):
        for content in (b'{"a":1}', b"\x1f\x8b"):
            assert (await target.attempt(delivery(content, content_encoding="gzip"))).fault is None
        assert receiver.connections == 1
    for request in receiver.requests:
        assert (request.method, request.body) == ("GET", b"")
        assert not {"content-type", "content-encoding", "content-length"} & request.headers.keys()
        Webhook(SECRET).verify(b"", request.headers, json_parse=False)


@pytest.mark.parametrize(
    ("settings", "content_type", "body"),
    [
        ({"body": "form"}, "application/x-www-form-urlencoded", b"a=1"),
        ({"body": "data"}, "application/json", b'{"a":1}'),
        (
            {"body": "template", "template": "{{ event.type }}: {{ event.data.a }}"},
            "text/plain; charset=utf-8",
            b"customers.create: 1",
        ),
        ({"body": "template", "template": "{'n': event.data.a}"}, "application/json", b'{"n":1}'),
        (
            {"profile": "cockpit"},
            "application/json",
            b'{"event":"customers.create","hook":"crm","backend":0,"args":[{"a":1}]}',
        ),
    ],
)
async def test_the_body_is_of_the_kind_that_the_hook_wants_and_that_is_what_is_signed(
    settings: dict[str, Any], content_type: str, body: bytes
) -> None:
    signed: dict[str, Any] = {} if "profile" in settings else {"secrets": [SECRET]}
    async with sending(**settings, **signed) as (target, receiver):
        assert (await target.attempt(delivery(b'{"a":1}'))).fault is None
    (request,) = receiver.requests
    assert (request.headers["content-type"], request.body) == (content_type, body)
    if signed:
        Webhook(SECRET).verify(request.body, request.headers, json_parse=False)


async def test_a_cloudevent_in_headers_is_what_the_receiver_sees() -> None:
    async with sending(body="cloudevents-binary", secrets=[SECRET], headers={"CE-Source": "own"}) as (
        target,
        receiver,
    ):
        await target.attempt(delivery(b'{"a":1}', webhook_id="stable"))
    (request,) = receiver.requests
    names = [name.lower() for name, _ in request.raw_headers]
    assert len(names) == len(set(names))
    sent = {name: value for name, value in request.headers.items() if name.startswith("ce-")}
    assert sent == {
        "ce-specversion": "1.0",
        "ce-id": "stable",
        "ce-type": "customers.create",
        "ce-source": "own",
        "ce-time": "2025-05-05T07:08:09Z",
    }
    assert (request.headers["content-type"], request.body) == ("application/json", b'{"a":1}')
    assert Webhook(SECRET).verify(request.body, request.headers) == {"a": 1}


async def test_get_tells_a_cloudevent_in_headers_alone() -> None:
    async with sending(body="cloudevents-binary", method="GET") as (target, receiver):
        await target.attempt(delivery(b'{"a":1}'))
    (request,) = receiver.requests
    assert (request.body, request.headers["ce-type"]) == (b"", "customers.create")
    assert "content-type" not in request.headers


async def test_no_attribute_of_a_cloudevent_makes_a_header_of_its_own() -> None:
    headers = {
        "cloudEvents:specversion": "1.0",
        "cloudEvents:type": "a\r\nX-Evil: 1",
        "cloudEvents:source": "/\nX-Evil: 1",
        "cloudEvents:id": "1\r",
        "cloudEvents:x\r\nx-evil": "1",
        "cloudEvents:x: y": "1",
    }
    async with sending(body="cloudevents-binary") as (target, receiver):
        answer = await target.attempt(delivery(b"{}", headers=headers, format="cloudevents"))
    assert answer.fault is None
    assert all("evil" not in name for name in receiver.requests[0].headers)


@pytest.mark.parametrize("kind", [str, str.encode, lambda text: bytearray(text.encode())])
async def test_a_trace_goes_on_with_its_state(kind: Callable[[str], Any]) -> None:
    headers = {"traceparent": kind(TRACE), "tracestate": kind("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")}
    async with sending() as (target, receiver):
        await target.attempt(delivery(headers=headers))
    sent = receiver.requests[0].headers
    assert sent["traceparent"] == TRACE
    assert sent["tracestate"] == "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        ({"tracestate": "a=b"}, set()),
        ({"traceparent": "nonsense", "tracestate": "a=b"}, set()),
        ({"traceparent": TRACE, "tracestate": "a=b\r\nX-Evil: 1"}, {"traceparent"}),
        ({"traceparent": TRACE, "tracestate": "a=" + "b" * 511}, {"traceparent"}),
        ({"traceparent": TRACE, "tracestate": "a=" + "b" * 510}, {"traceparent", "tracestate"}),
    ],
)
async def test_a_state_is_sent_with_its_trace_and_when_a_header_can_hold_it(
    headers: dict[str, str], names: set[str]
) -> None:
    async with sending() as (target, receiver):
        await target.attempt(delivery(headers=headers))
    sent = receiver.requests[0].headers
    assert {name for name in sent if name.startswith("trace")} == names
    assert "x-evil" not in sent


async def test_a_trace_that_the_hook_gives_itself_wins() -> None:
    async with sending(headers={"Traceparent": "own"}) as (target, receiver):
        await target.attempt(delivery(headers={"traceparent": TRACE, "tracestate": "a=b"}))
    sent = receiver.requests[0].headers
    assert sent["traceparent"] == "own"
    assert "tracestate" not in sent


async def test_the_hooks_own_headers_replace_the_ordinary_ones() -> None:
    own = {"content-type": "text/x-own", "USER-AGENT": "me", "Accept": "text/plain"}
    async with sending(headers=own) as (target, receiver):
        await target.attempt(delivery())
    request = receiver.requests[0]
    names = [name.lower() for name, _ in request.raw_headers]
    assert len(names) == len(set(names))
    assert request.headers["content-type"] == "text/x-own"
    assert request.headers["user-agent"] == "me"
    assert request.headers["accept"] == "text/plain"


@pytest.mark.parametrize(
    ("auth", "value"),
    [
        ({"type": "bearer", "token": "t0ken"}, "Bearer t0ken"),
        ({"type": "basic", "username": "u", "password": "pä:ss"}, "Basic dTpww6Q6c3M="),
    ],
)
async def test_the_receiver_can_tell_who_sends(auth: dict[str, str], value: str) -> None:
    async with sending(auth=auth) as (target, receiver):
        await target.attempt(delivery())
    assert receiver.requests[0].headers["authorization"] == value


async def test_a_compressed_body_is_sent_as_it_is_and_says_so() -> None:
    async with sending() as (target, receiver):
        await target.attempt(
            delivery(b"\x1f\x8b...", content_encoding="gzip", content_type="application/json")
        )
    assert receiver.requests[0].headers["content-encoding"] == "gzip"
    assert receiver.requests[0].body == b"\x1f\x8b..."


async def test_what_a_message_says_can_never_make_a_header_of_its_own() -> None:
    evil = "a\r\nX-Evil: 1"
    async with sending(profile="github", secrets=["s"]) as (target, receiver):
        sent = delivery(
            b"x",
            headers={"traceparent": TRACE + "\r\nX-Evil: 1"},
            type=evil,
            webhook_id=evil,
            content_type=evil,
            content_encoding=evil,
        )
        assert (await target.attempt(sent)).fault is None
    assert "x-evil" not in receiver.requests[0].headers


async def test_the_url_goes_on_the_wire_as_it_was_written() -> None:
    async with sending() as (_, receiver):
        url = f"http://127.0.0.1:{receiver.port}/a%2Fb/%C5%BE;v=1?x=a%26b&y=%20&z"
        async with sending(url=url) as (target, _):
            await target.attempt(delivery())
    assert receiver.requests[0].path == "/a%2Fb/%C5%BE;v=1?x=a%26b&y=%20&z"


async def test_a_success_may_be_any_code_that_the_hook_names() -> None:
    async with sending(response(409), success=[200, 409]) as (target, _):
        assert await target.attempt(delivery()) == Answer(code=409, response=b"ok")
    async with sending(response(204, b""), success=[200]) as (target, _):
        assert (await target.attempt(delivery())).fault is Fault.STATUS


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
async def test_every_2xx_delivers(code: int) -> None:
    async with sending(response(code, b"")) as (target, _):
        assert await target.attempt(delivery()) == Answer(code=code)


@pytest.mark.parametrize("code", [400, 401, 404, 408, 410, 429, 500, 503, 599])
async def test_other_codes_are_a_fault_with_the_beginning_of_the_answer(code: int) -> None:
    async with sending(response(code, b"no " * 10_000)) as (target, _):
        answer = await target.attempt(delivery())
    assert (answer.fault, answer.code, answer.lasting) == (Fault.STATUS, code, False)
    assert len(answer.response) == 16 * 1024
    assert answer.error == f"answered {code}"


async def test_codes_that_the_hook_lists_as_final_last() -> None:
    async with sending(response(422), final=[422]) as (target, _):
        assert (await target.attempt(delivery())).lasting


@pytest.mark.parametrize(
    ("header", "wait"),
    [("120", 120.0), ("12.5", 12.5), ("-1", 0.0), ("soon", None), ("Mon, 05 May 1975 07:10:09 GMT", 0.0)],
)
async def test_retry_after_is_understood(header: str, wait: float | None) -> None:
    async with sending(response(429, headers={"Retry-After": header})) as (target, _):
        assert (await target.attempt(delivery())).retry_after == wait


async def test_of_two_retry_after_the_longer_counts() -> None:
    async with sending(response(429, headers={"Retry-After": "5\r\nRetry-After: 60"})) as (target, _):
        assert (await target.attempt(delivery())).retry_after == 60.0


@pytest.mark.parametrize("written", AS_WRITTEN)
async def test_the_url_goes_out_byte_for_byte(written: str) -> None:
    async with receiving(answering(response())) as receiver:
        url = f"http://127.0.0.1:{receiver.port}{written}"
        async with sending(response(), url=url) as (target, _):
            assert (await target.attempt(delivery())).fault is None
    assert [request.path for request in receiver.requests] == [written]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(code: int) -> None:
    async with receiving(answering(response())) as elsewhere:
        answer_bytes = response(code, headers={"Location": elsewhere.url})
        async with sending(answer_bytes) as (target, receiver):
            answer = await target.attempt(delivery())
        assert elsewhere.connections == 0
        assert len(receiver.requests) == 1
    assert (answer.fault, answer.code, answer.lasting) == (Fault.REDIRECT, code, True)
    assert f"127.0.0.1:{elsewhere.port}" in answer.error


async def test_cookies_are_not_kept() -> None:
    async with sending(response(headers={"Set-Cookie": "a=b"})) as (target, receiver):
        await target.attempt(delivery())
        await target.attempt(delivery())
    assert all("cookie" not in request.headers for request in receiver.requests)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "[::ffff:127.0.0.1]"])
async def test_a_private_address_is_not_dialled(host: str) -> None:
    async with sending() as (_, receiver):
        async with sending(url=f"http://{host}:{receiver.port}/", allowed=()) as (target, _):
            answer = await target.attempt(delivery())
        assert receiver.connections == 0
    assert answer.fault is Fault.BLOCKED_ADDRESS
    assert "http.allow_private_targets" in answer.error


async def test_the_environment_does_not_choose_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with sending() as (target, _):
        assert (await target.attempt(delivery())).fault is None
