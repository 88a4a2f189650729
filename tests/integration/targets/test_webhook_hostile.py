"""Receivers that misbehave: each costs its own attempt its own time, and nothing else."""

import asyncio
import contextlib
import gzip
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.core.delivery import Fault
from bridge.core.hook import Hook
from bridge.core.ports import Target
from bridge.targets.factory import Targets
from tests.support.events import delivery
from tests.support.receiver import (
    Conversation,
    Handle,
    Receiver,
    answering,
    hanging,
    receiving,
    response,
)

TIMEOUT = 0.6


@contextlib.asynccontextmanager
async def sending(
    handle: Handle, timeout: float = TIMEOUT, **settings: Any
) -> AsyncIterator[tuple[Target, Receiver, list[bool]]]:
    """A webhook to a receiver, and which of its requests went over a connection that was used before."""
    reused: list[bool] = []
    async with receiving(handle) as receiver:
        targets = Targets({}, ["127.0.0.0/8", "::1/128"], Path("/"), reused.append)
        settings = {"type": "webhook", "url": receiver.url, "timeout": timeout, **settings}
        try:
            yield targets.build(Hook.model_validate({"name": "crm", "target": settings})), receiver, reused
        finally:
            await targets.close()


def saying(*parts: bytes, then: Callable[[Conversation], Any] | None = None) -> Handle:
    """Answer one request with these bytes, do something, and close."""

    async def handle(conversation: Conversation) -> None:
        await conversation.request()
        for part in parts:
            await conversation.send(part)
        if then is not None:
            await then(conversation)

    return handle


async def for_ever(conversation: Conversation) -> None:
    await conversation.reader.read()


def dripping(piece: bytes, pause: float = 0.02) -> Callable[[Conversation], Any]:
    async def drip(conversation: Conversation) -> None:
        while True:
            await conversation.send(piece)
            await asyncio.sleep(pause)

    return drip


def later(piece: bytes) -> Callable[[Conversation], Any]:
    async def send(conversation: Conversation) -> None:
        await asyncio.sleep(0.05)
        await conversation.send(piece)
        await for_ever(conversation)

    return send


HEAD = b"HTTP/1.1 200 OK\r\n"


NO_STATUS: dict[str, Handle] = {
    "never answers": hanging,
    "never ends its status line": saying(HEAD[:-2], then=for_ever),
    "only says continue": saying(b"HTTP/1.1 100 Continue\r\n\r\n", then=for_ever),
    "hints for ever": saying(
        b"HTTP/1.1 103 Early Hints\r\n\r\n", then=dripping(b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.1)
    ),
}
NO_END: dict[str, Handle] = {
    "never ends its head": saying(HEAD, then=for_ever),
    "drips a header's name": saying(HEAD + b"X-", then=dripping(b"a")),
    "drips its headers": saying(HEAD, then=dripping(b"X-A: b\r\n")),
    "never ends its body": saying(HEAD + b"Content-Length: 5\r\n\r\nab", then=for_ever),
    "drips its body": saying(HEAD + b"Content-Length: 100000\r\n\r\n", then=dripping(b".")),
    "drips chunks": saying(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", then=dripping(b"1\r\n.\r\n")),
    "drips a body without length": saying(HEAD + b"\r\n", then=dripping(b".")),
}


@pytest.mark.parametrize("handle", [*NO_STATUS.values(), *NO_END.values()], ids=[*NO_STATUS, *NO_END])
async def test_the_deadline_covers_the_whole_answer(handle: Handle) -> None:
    async with sending(handle) as (target, receiver, _):
        started = time.monotonic()
        answer = await target.attempt(delivery())
        took = time.monotonic() - started
        if handle in NO_STATUS.values():
            assert (answer.fault, answer.code) == (Fault.TIMEOUT, None), answer
        else:
            assert (answer.fault, answer.code) == (None, 200), answer
        assert "within the time limit" in answer.error
        assert TIMEOUT - 0.05 <= took < TIMEOUT + 2.0
        await receiver.until(lambda receiver: receiver.gone == 1)


async def test_a_receiver_that_never_reads_does_not_hold_a_large_body_beyond_the_deadline() -> None:
    async def deaf(conversation: Conversation) -> None:
        conversation.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a stream's transport can
        await asyncio.sleep(3600)

    async with sending(deaf) as (target, _, _reused):
        started = time.monotonic()
        answer = await target.attempt(delivery(b"x" * 30_000_000, parse=False))
        assert answer.fault is Fault.TIMEOUT
        assert time.monotonic() - started < TIMEOUT + 2.0


@pytest.mark.parametrize(
    ("handle", "error"),
    [
        (saying(), "closed without an answer"),
        (saying(then=Conversation.reset), "reset"),
        (saying(b"HTTP/1.1 2"), "closed without an answer"),
        (saying(b"220 mail.example.net ESMTP\r\n"), "no valid HTTP"),
        (saying(b"\x15\x03\x01\x00\x02\x02\x50" * 10), "no valid HTTP"),
        (saying(HEAD[:-2] + b"a" * 300_000), "no valid HTTP"),
        (saying(*[b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 100), "no valid HTTP"),
    ],
)
async def test_an_answer_without_a_status_is_a_connection_fault(handle: Handle, error: str) -> None:
    async with sending(handle, timeout=5) as (target, _, _reused):
        answer = await target.attempt(delivery())
    assert answer.fault is Fault.CONNECTION, answer
    assert error.lower() in answer.error.lower()
    assert not answer.lasting


async def test_an_endless_body_is_cut_and_its_status_counts() -> None:
    async def flood(conversation: Conversation) -> None:
        while True:
            await conversation.send(b"." * 65_536)

    handle = saying(HEAD + b"Content-Length: 999999999999\r\n\r\n", then=flood)
    async with sending(handle, timeout=10) as (target, receiver, _):
        answer = await target.attempt(delivery())
        assert (answer.fault, answer.code, answer.response) == (None, 200, b"." * 16_384)
        await receiver.until(lambda receiver: receiver.gone == 1)


async def test_a_compressed_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    answer_bytes = response(200, bomb, {"Content-Encoding": "gzip"})
    async with sending(answering(answer_bytes), timeout=10) as (target, _, _reused):
        answer = await target.attempt(delivery())
    assert answer.fault is None
    assert answer.response == bomb[:16_384]


@pytest.mark.parametrize(
    ("answer_bytes", "kept"),
    [
        (response(200, b"x" * 60_000), True),
        (response(200, b"x" * 300_000), False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", False),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + response(), True),
    ],
)
async def test_a_connection_is_kept_when_its_answer_allows_it(answer_bytes: bytes, kept: bool) -> None:
    async with sending(answering(answer_bytes), timeout=10) as (target, receiver, reused):
        for _ in range(3):
            assert (await target.attempt(delivery())).fault is None
        assert reused == [False, kept, kept]
        assert receiver.connections == (1 if kept else 3)


async def test_an_upgrade_that_nobody_asked_for_is_a_fault() -> None:
    switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    async with sending(answering(switching)) as (target, receiver, _):
        answer = await target.attempt(delivery())
        assert (answer.fault, answer.code) == (Fault.STATUS, 101)
        await receiver.until(lambda receiver: receiver.gone == 1)


async def test_a_connection_that_was_closed_while_idle_costs_no_attempt() -> None:
    async def once(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(response())

    async with sending(once) as (target, receiver, reused):
        assert (await target.attempt(delivery())).fault is None
        await receiver.until(lambda receiver: receiver.gone == 1)
        assert (await target.attempt(delivery())).fault is None
        assert receiver.connections == 2
        assert len(receiver.requests) == 2
    assert reused[0] is False


@pytest.mark.parametrize("cut", ["closed", "reset"])
async def test_a_request_that_a_kept_connection_may_have_brought_is_not_sent_again_at_once(cut: str) -> None:
    async def reads_and_dies(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(response())
        await conversation.request()
        if cut == "reset":
            await conversation.reset()

    async with sending(reads_and_dies, timeout=5) as (target, receiver, reused):
        assert (await target.attempt(delivery())).fault is None
        assert (await target.attempt(delivery(b'{"b":2}'))).fault is Fault.CONNECTION
        assert [(request.connection, request.body) for request in receiver.requests] == [
            (1, b'{"a":1}'),
            (1, b'{"b":2}'),
        ]
        assert reused == [False, True]


async def test_a_fresh_connection_that_dies_is_not_tried_again() -> None:
    async with sending(saying()) as (target, receiver, _):
        assert (await target.attempt(delivery())).fault is Fault.CONNECTION
        assert len(receiver.requests) == 1


async def test_a_kept_connection_that_dies_within_its_answer_is_not_tried_again() -> None:
    async def half(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(response())
        await conversation.request()
        await conversation.send(b"HTTP/1.1 200 OK\r\nContent-")

    async with sending(half) as (target, receiver, _):
        assert (await target.attempt(delivery())).fault is None
        answer = await target.attempt(delivery())
        assert (answer.fault, answer.code) == (None, 200)
        assert "broke off" in answer.error
        assert len(receiver.requests) == 2


async def test_an_answer_that_came_unasked_is_never_taken_for_the_next_one() -> None:
    async def twice(conversation: Conversation) -> None:
        await conversation.request()
        if conversation.number > 1:
            await conversation.send(response(503))
        else:
            await conversation.send(response() + response(200, b"stale"))
        await for_ever(conversation)

    async with sending(twice) as (target, _, _reused):
        assert (await target.attempt(delivery())).fault is None
        answer = await target.attempt(delivery())
        assert (answer.fault, answer.code) == (Fault.STATUS, 503)


async def test_an_answer_before_the_body_was_read_counts_and_the_rest_is_still_sent() -> None:
    size = 20_000_000

    async def early(conversation: Conversation) -> None:
        await conversation.reader.readuntil(b"\r\n\r\n")
        await conversation.send(response())
        conversation.receiver.requests.append(None)  # type: ignore[arg-type]  # marks that the answer left
        received = 0
        while chunk := await conversation.reader.read(2**20):
            received += len(chunk)
        assert received == size, received

    async with sending(early, timeout=20) as (target, receiver, _):
        answer = await target.attempt(delivery(b"x" * size, parse=False))
        assert answer.fault is None
        await receiver.until(lambda receiver: receiver.gone == 1)


async def test_nobody_listening_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with sending(hanging, url=f"http://127.0.0.1:{port}/") as (target, _, _reused):
        answer = await target.attempt(delivery())
    assert answer.fault is Fault.REFUSED
    assert answer.error == f"127.0.0.1:{port}: connection refused"


async def test_a_name_that_does_not_exist_is_a_dns_fault() -> None:
    async with sending(hanging, timeout=20, url="http://nobody.invalid/") as (target, _, _reused):
        answer = await target.attempt(delivery())
    assert answer.fault is Fault.DNS
    assert "nobody.invalid" in answer.error


async def test_dead_name_servers_do_not_stop_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    look_up = socket.getaddrinfo

    def slow(host: str, *args: Any, **options: Any) -> Any:
        if host.endswith(".stuck.example"):
            answered.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no name server answered")
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    async with receiving(answering(response())) as receiver:
        targets = Targets({}, ["127.0.0.0/8", "::1/128"], Path("/"), lambda _: None)

        def target(host: str, timeout: float) -> Target:
            fields = {"type": "webhook", "url": f"http://{host}:{receiver.port}/", "timeout": timeout}
            return targets.build(Hook.model_validate({"name": "crm", "target": fields}))

        stuck = [
            asyncio.create_task(target(f"{number}.stuck.example", 0.5).attempt(delivery()))
            for number in range(40)
        ]
        await asyncio.sleep(0)
        good = await target("localhost", 10).attempt(delivery())
        answers = await asyncio.gather(*stuck)
        answered.set()
        await targets.close()
    assert good.fault is None
    assert {answer.fault for answer in answers} == {Fault.TIMEOUT}


async def test_a_host_that_does_not_answer_is_given_up_at_the_connect_limit() -> None:
    # A listener whose backlog is full drops further SYNs.
    with socket.socket() as full, contextlib.ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        url = f"http://127.0.0.1:{port}/"
        async with sending(hanging, timeout=30, connect_timeout=0.4, url=url) as (target, _, _reused):
            started = time.monotonic()
            answer = await target.attempt(delivery())
    assert answer.fault is Fault.TIMEOUT
    assert time.monotonic() - started < 3.0


async def test_one_dead_receiver_costs_another_nothing() -> None:
    async with receiving(answering(response())) as good, sending(hanging, timeout=30) as (dead, _, _reused):
        stuck = [asyncio.create_task(dead.attempt(delivery())) for _ in range(200)]
        async with sending(hanging, url=good.url, timeout=5) as (target, _, _more):
            answers = await asyncio.gather(*(target.attempt(delivery()) for _ in range(100)))
            assert all(answer.fault is None for answer in answers)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


async def test_a_cancelled_attempt_closes_its_connection() -> None:
    async with sending(hanging, timeout=30) as (target, receiver, _):
        attempt = asyncio.create_task(target.attempt(delivery()))
        await receiver.until(lambda receiver: bool(receiver.requests))
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await receiver.until(lambda receiver: receiver.gone == 1)


async def test_no_error_repeats_path_query_or_credentials() -> None:
    url = "http://nobody.invalid/secret-path?token=hunter2"
    auth = {"type": "bearer", "token": "hunter3"}
    async with sending(hanging, timeout=20, url=url, auth=auth) as (target, _, _reused):
        text = repr(await target.attempt(delivery()))
    assert "hunter" not in text
    assert "secret-path" not in text
