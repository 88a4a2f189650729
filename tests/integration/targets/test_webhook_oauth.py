"""OAuth2 client credentials: who asks for a token, how often, and what becomes of attempts without one."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.core.delivery import Answer, Fault
from bridge.core.hook import Hook
from bridge.core.ports import Target
from bridge.retry.policy import speaks_of_outage
from bridge.targets.factory import Targets
from tests.support.events import delivery
from tests.support.receiver import Conversation, Handle, Receiver, Request, receiving, response
from tests.support.token_endpoint import TokenEndpoint, granting, json_answer, token_endpoint
from tests.support.waiting import until

SECRET = "hunter2 with spaces/&"


def accepting(may: Callable[[str], bool] = lambda _: True) -> Handle:
    """Answer 200 to tokens that may, 401 to others."""

    async def handle(conversation: Conversation) -> None:
        while True:
            request = await conversation.request()
            await conversation.send(response(200 if may(token_of(request)) else 401))

    return handle


def token_of(request: Request) -> str:
    return request.headers["authorization"].removeprefix("Bearer ")


@contextlib.asynccontextmanager
async def sending(
    tokens: TokenEndpoint,
    receiver: Receiver,
    *,
    allowed: tuple[str, ...] = ("127.0.0.0/8",),
    auth: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[Target]:
    fields = {
        "type": "oauth2",
        "token_url": tokens.url,
        "client_id": "the bridge",
        "client_secret": SECRET,
        **(auth or {}),
    }
    target = {"type": "webhook", "url": receiver.url, "timeout": 10, "auth": fields, **settings}
    targets = Targets({}, allowed, Path("/"), lambda _: None)
    try:
        yield targets.build(Hook.model_validate({"name": "crm", "target": target}))
    finally:
        await targets.close()


@contextlib.asynccontextmanager
async def scene(
    *script: bytes, life: Any = 3600, may: Callable[[str], bool] = lambda _: True, **settings: Any
) -> AsyncIterator[tuple[Target, TokenEndpoint, Receiver]]:
    """A token endpoint, a receiver, and a webhook that knows both."""
    async with (
        token_endpoint(*script, life=life) as tokens,
        receiving(accepting(may)) as receiver,
        sending(tokens, receiver, **settings) as target,
    ):
        yield target, tokens, receiver


async def test_one_token_serves_many_requests() -> None:
    async with scene() as (target, tokens, receiver):
        for _ in range(5):
            assert (await target.attempt(delivery())).fault is None
        assert [token_of(request) for request in receiver.requests] == ["t1"] * 5
        assert len(tokens.requests) == 1
        names = [name.lower() for name, _ in receiver.requests[0].raw_headers]
        assert names.count("authorization") == 1


async def test_id_and_secret_are_form_encoded_before_they_become_basic_authentication() -> None:
    async with scene(auth={"scope": "a b", "audience": "https://crm.example/"}) as (target, tokens, _):
        await target.attempt(delivery())
        (request,) = tokens.requests
        (form,) = tokens.forms()
    assert (request.method, request.path) == ("POST", "/token?tenant=1")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    kind, _, pair = request.headers["authorization"].partition(" ")
    assert (kind, base64.b64decode(pair)) == ("Basic", b"the+bridge:hunter2+with+spaces%2F%26")
    assert form == {"grant_type": "client_credentials", "scope": "a b", "audience": "https://crm.example/"}


async def test_id_and_secret_may_stand_in_the_form() -> None:
    async with scene(auth={"client_auth": "body"}) as (target, tokens, _):
        await target.attempt(delivery())
        assert "authorization" not in tokens.requests[0].headers
        assert tokens.forms() == [
            {"grant_type": "client_credentials", "client_id": "the bridge", "client_secret": SECRET}
        ]


async def test_attempts_that_wait_for_a_token_share_one_request() -> None:
    async with scene() as (target, tokens, receiver):
        tokens.go.clear()
        attempts = [asyncio.create_task(target.attempt(delivery())) for _ in range(50)]
        await tokens.receiver.until(lambda endpoint: bool(endpoint.requests))
        tokens.go.set()
        answers = await asyncio.gather(*attempts)
        assert {answer.fault for answer in answers} == {None}
        assert len(tokens.requests) == 1
        assert len(receiver.requests) == 50


async def test_an_attempt_that_is_cancelled_leaves_the_fetching_to_the_next() -> None:
    async with scene() as (target, tokens, _):
        tokens.go.clear()
        first, second = (asyncio.create_task(target.attempt(delivery())) for _ in range(2))
        await tokens.receiver.until(lambda endpoint: len(endpoint.requests) == 1)
        first.cancel()
        await tokens.receiver.until(lambda endpoint: len(endpoint.requests) == 2)
        tokens.go.set()
        assert (await second).fault is None
        with contextlib.suppress(asyncio.CancelledError):
            await first


async def test_a_token_that_the_receiver_refuses_is_replaced_within_the_attempt() -> None:
    revoked: set[str] = set()
    async with scene(may=lambda token: token not in revoked) as (target, tokens, receiver):
        assert (await target.attempt(delivery())).fault is None
        revoked.add("t1")
        assert await target.attempt(delivery(b'{"b":2}')) == Answer(code=200, response=b"ok")
        sent = [(token_of(request), request.body) for request in receiver.requests]
        assert sent == [("t1", b'{"a":1}'), ("t1", b'{"b":2}'), ("t2", b'{"b":2}')]
        revoked.add("t2")
        assert (await target.attempt(delivery())).fault is None
        assert len(tokens.requests) == 3


async def test_attempts_whose_common_token_is_refused_share_the_new_one() -> None:
    revoked: set[str] = set()
    async with scene(may=lambda token: token not in revoked) as (target, tokens, _):
        await target.attempt(delivery())
        revoked.add("t1")
        answers = await asyncio.gather(*(target.attempt(delivery()) for _ in range(20)))
        assert {answer.fault for answer in answers} == {None}
        assert len(tokens.requests) == 2


async def test_a_receiver_that_refuses_every_token_costs_one_more_and_not_one_for_each_event() -> None:
    async with scene(may=lambda _: False) as (target, tokens, receiver):
        for _ in range(5):
            answer = await target.attempt(delivery())
            assert (answer.fault, answer.code, answer.lasting) == (Fault.STATUS, 401, False)
        assert [token_of(request) for request in receiver.requests] == ["t1", "t2", "t2", "t2", "t2", "t2"]
        assert len(tokens.requests) == 2


async def test_a_token_is_replaced_when_it_ends() -> None:
    async with scene(life="0.3") as (target, tokens, receiver):

        async def third() -> bool:
            assert (await target.attempt(delivery())).fault is None
            return tokens.given >= 3

        await until(third, every=0.02)
        seen = [token_of(request) for request in receiver.requests]
        assert seen == sorted(seen)
        assert {"t1", "t2", "t3"} <= set(seen)


async def test_a_renewal_that_fails_costs_nothing_while_the_token_lasts() -> None:
    lost = json_answer(503, {})
    async with scene(granting("good", expires_in=2), *[lost] * 50) as (target, tokens, receiver):

        async def over() -> bool:
            return (await target.attempt(delivery())).fault is not None

        await until(over, every=0.02)
        assert {token_of(request) for request in receiver.requests} == {"good"}
        # Asked ahead of the end, and then again a second later at the earliest.
        assert 2 <= len(tokens.requests) <= 3


async def test_one_attempt_renews_while_the_others_go_on() -> None:
    async with scene(life=3) as (target, tokens, receiver):
        await target.attempt(delivery())
        tokens.go.clear()

        async def stuck() -> bool:
            attempt = asyncio.create_task(target.attempt(delivery()))
            waiting.append(attempt)
            await asyncio.wait({attempt}, timeout=0.2)
            # On a busy machine an attempt with the first token may take as long.
            return not attempt.done() and len(tokens.requests) == 2

        waiting: list[asyncio.Task[Answer]] = []
        await until(stuck, every=0.02)
        assert (await target.attempt(delivery())).fault is None
        tokens.go.set()
        assert {answer.fault for answer in await asyncio.gather(*waiting)} == {None}
        assert len(tokens.requests) == 2
        assert {token_of(request) for request in receiver.requests} == {"t1", "t2"}


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (json_answer(401, {"error": "invalid_client"}), "answered 401 (invalid_client)"),
        (json_answer(400, {"error": "invalid_scope"}), "answered 400 (invalid_scope)"),
        (json_answer(410, {}), "answered 410"),
        (json_answer(503, {"error": SECRET}), "answered 503"),
        (response(302, headers={"Location": "http://example.net/"}), "redirects are not followed"),
        (response(200, b"<html>login</html>"), "no JSON object"),
        (response(200, b'{"access_token": "' + b"x" * 20_000 + b'"}'), "up to 16 kB"),
        (json_answer(200, ["t"]), "no JSON object"),
        (json_answer(200, {"error": "invalid_client"}), "no access_token (invalid_client)"),
        (granting(""), "no access_token"),
        (granting("a\r\nX-Evil: 1"), "a header cannot hold"),
        (granting("t", token_type="mac"), "token_type is not bearer"),
        (granting("t", token_type=None), "token_type is not bearer"),
    ],
)
async def test_a_token_endpoint_that_gives_none_is_named_and_tried_again(answer: bytes, says: str) -> None:
    async with scene(answer, final=[400, 401, 503]) as (target, tokens, receiver):
        met = await target.attempt(delivery())
        assert receiver.requests == []
    assert (met.fault, met.code, met.lasting, met.response) == (Fault.STATUS, None, False, b"")
    assert met.error.startswith(f"token endpoint 127.0.0.1:{tokens.receiver.port} ")
    assert says in met.error
    assert not speaks_of_outage(met)


async def test_neither_secret_nor_token_is_ever_repeated() -> None:
    echo = json_answer(400, {"error": SECRET, "error_description": SECRET, "access_token": "t0ken"})
    async with scene(echo, granting("t0ken", token_type="mac")) as (target, _, _receiver):
        for _ in range(2):
            text = repr(await target.attempt(delivery()))
            assert "hunter" not in text
            assert "t0ken" not in text
            assert "tenant" not in text


async def test_a_failure_holds_the_hook_and_is_shared_by_all_that_wait() -> None:
    async with scene(json_answer(503, {}, Retry_After="7")) as (target, tokens, _):
        tokens.go.clear()
        attempts = [asyncio.create_task(target.attempt(delivery())) for _ in range(20)]
        await tokens.receiver.until(lambda endpoint: bool(endpoint.requests))
        tokens.go.set()
        answers = await asyncio.gather(*attempts)
        assert {answer.fault for answer in answers} == {Fault.STATUS}
        assert all(6.0 < (answer.retry_after or 0) <= 7.0 for answer in answers)
        assert len(tokens.requests) == 1


async def test_after_a_failure_the_next_attempt_that_its_hold_allows_gets_a_token() -> None:
    async with scene(json_answer(500, {})) as (target, tokens, receiver):
        loop = asyncio.get_running_loop()
        failed = await target.attempt(delivery())
        assert failed.retry_after is not None
        held_until = loop.time() + failed.retry_after

        async def delivered() -> bool:
            return (await target.attempt(delivery())).fault is None

        await until(delivered, every=0.02)
        assert held_until - 0.01 <= loop.time() < held_until + 1.0
        assert len(tokens.requests) == 2
        assert [token_of(request) for request in receiver.requests] == ["t1"]


async def test_a_token_endpoint_that_never_answers_meets_the_attempts_deadline() -> None:
    async with scene(timeout=0.5) as (target, tokens, receiver):
        tokens.go.clear()
        started = asyncio.get_running_loop().time()
        answers = await asyncio.gather(*(target.attempt(delivery()) for _ in range(5)))
        assert asyncio.get_running_loop().time() - started < 2.0
        assert {answer.fault for answer in answers} == {Fault.TIMEOUT}
        assert all(answer.error.startswith("token endpoint 127.0.0.1:") for answer in answers)
        assert receiver.requests == []


async def test_token_and_request_share_one_deadline() -> None:
    async def never(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.reader.read()

    async with (
        token_endpoint() as tokens,
        receiving(never) as receiver,
        sending(tokens, receiver, timeout=1.0) as target,
    ):
        tokens.go.clear()
        loop = asyncio.get_running_loop()
        started = loop.time()
        loop.call_later(0.6, tokens.go.set)
        answer = await target.attempt(delivery())
        assert (answer.fault, len(receiver.requests)) == (Fault.TIMEOUT, 1)
        assert 0.9 < loop.time() - started < 1.5


async def test_nobody_listening_at_the_token_endpoint_is_refused() -> None:
    async with scene(auth={"token_url": "http://127.0.0.1:1/"}) as (target, _, receiver):
        answer = await target.attempt(delivery())
        assert answer.fault is Fault.REFUSED
        assert answer.error == "token endpoint 127.0.0.1:1: 127.0.0.1:1: connection refused"
        assert speaks_of_outage(answer)
        assert receiver.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_the_gate_stands_before_the_token_endpoint_too(host: str) -> None:
    async with scene(json_answer(500, {})) as (_, tokens, receiver):
        auth = {"token_url": f"http://{host}:{tokens.receiver.port}/"}
        url = "http://crm.example.net/"
        async with sending(tokens, receiver, allowed=(), url=url, auth=auth) as target:
            answer = await target.attempt(delivery())
        assert answer.fault is Fault.BLOCKED_ADDRESS
        assert "token endpoint" in answer.error
        assert tokens.receiver.connections == 0


async def test_the_hooks_of_two_clients_have_two_tokens() -> None:
    async with scene() as (target, tokens, receiver):
        async with sending(tokens, receiver) as other:
            await target.attempt(delivery())
            await other.attempt(delivery())
        assert [token_of(request) for request in receiver.requests] == ["t1", "t2"]
