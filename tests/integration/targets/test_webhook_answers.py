"""Answers that other clients take although they are no valid HTTP, whole and cut into TCP segments of one byte (a large one of more)."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.core.delivery import Answer, Fault
from bridge.core.hook import Hook
from bridge.core.ports import Target
from bridge.targets.factory import Targets
from tests.support.events import delivery
from tests.support.receiver import Conversation, Handle, Receiver, receiving

OK = b"HTTP/1.1 200 OK\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"2\r\nok\r\n0\r\n\r\n"

SOUND = {
    "header of 9 kB": OK + b"X-Big: " + b"a" * 9000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "header of 60 kB": OK + b"X-Big: " + b"a" * 60_000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "150 headers": OK + b"X-A: b\r\n" * 150 + b"Content-Length: 2\r\n\r\nok",
    "600 headers": OK + b"X-A: b\r\n" * 600 + b"Content-Length: 2\r\n\r\nok",
    "reason of 9 kB": b"HTTP/1.1 200 " + b"r" * 9000 + b"\r\nContent-Length: 2\r\n\r\nok",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "only line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "line breaks before it": b"\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
}
ODD = {
    "204 with a length and a body": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", "204 has no body"),
    "204 in chunks": (b"HTTP/1.1 204 No Content\r\n" + CHUNKED + b"\r\n" + CHUNKS, "204 has no body"),
    "two equal lengths": (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", "Content-Length twice"),
    "equal lengths in one line": (OK + b"Content-Length: 2, 2\r\n\r\nok", "Content-Length twice"),
    "lengths that differ": (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nokk", "that differ"),
    "length and chunks": (OK + b"Content-Length: 2\r\n" + CHUNKED + b"\r\n" + CHUNKS, "both Content-Length and"),
    "chunks and length": (OK + CHUNKED + b"Content-Length: 2\r\n\r\n" + CHUNKS, "both Content-Length and"),
    "blank in a name": (OK + b"X Bad: y\r\nContent-Length: 2\r\n\r\nok", "name of a header"),
    "a line without a colon": (OK + b"nothing\r\nContent-Length: 2\r\n\r\nok", "name of a header"),
    "negative length": (OK + b"Content-Length: -5\r\n\r\n", "no number"),
    "length as text": (OK + b"Content-Length: two\r\n\r\nok", "no number"),
    "unknown coding": (OK + b"Transfer-Encoding: chunked, x\r\nX Y: z\r\n\r\n" + CHUNKS, "not chunked"),
    "chunks that are none": (OK + CHUNKED + b"\r\nzz\r\n", "body is not framed"),
    "chunk that is longer": (OK + CHUNKED + b"\r\n1\r\nok\r\n0\r\n\r\n", "body is not framed"),
    "body that is shorter": (OK + b"Content-Length: 5\r\n\r\nok", "broke off"),
    "chunks without an end": (OK + CHUNKED + b"\r\n5\r\nok", "broke off"),
    "head without an end": (OK + b"X-", "broke off"),
    "head of 300 kB": (OK + b"X: y\r\n" * 50_000 + b"\r\n", "head is too long"),
    "version 2": (b"HTTP/2 200\r\nContent-Length: 2\r\n\r\nok", "no valid HTTP"),
    "version 1.2": (b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok", "no valid HTTP"),
    "small letters": (b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "no valid HTTP"),
    "two blanks": (b"HTTP/1.1  200  OK\r\nContent-Length: 2\r\n\r\nok", "no valid HTTP"),
    "tabs": (b"HTTP/1.1\t200\tOK\r\nContent-Length: 2\r\n\r\nok", "no valid HTTP"),
    "5000 headers": (OK + b"X: y\r\n" * 5000 + b"Content-Length: 2\r\n\r\nok", "no valid HTTP"),
    "hint with a blank in a name": (
        b"HTTP/1.1 103 Early Hints\r\nX Y: x\r\n\r\n" + OK + b"X Bad: y\r\n\r\nok",
        "name of a header",
    ),
    "hint before it, blank in a name": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"X Bad: y\r\n\r\nok",
        "name of a header",
    ),
}  # fmt: skip


def one_by_one(answer: bytes) -> Handle:
    async def handle(conversation: Conversation) -> None:
        await conversation.request()
        conversation.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        size = 1 + len(answer) // 3000
        for position in range(0, len(answer), size):
            await conversation.send(answer[position : position + size])
            await asyncio.sleep(0)

    return handle


def at_once(answer: bytes) -> Handle:
    async def handle(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(answer)

    return handle


@asynccontextmanager
async def sending(handle: Handle, **settings: Any) -> AsyncIterator[tuple[Target, Receiver]]:
    async with receiving(handle) as receiver:
        targets = Targets({}, ["127.0.0.0/8"], Path("/"), lambda _reused: None)
        settings = {"type": "webhook", "url": receiver.url, "timeout": 20, **settings}
        try:
            yield targets.build(Hook.model_validate({"name": "crm", "target": settings})), receiver
        finally:
            await targets.close()


async def answered(answer: bytes, *, pieces: bool) -> Answer:
    async with sending(one_by_one(answer) if pieces else at_once(answer)) as (target, receiver):
        met = await target.attempt(delivery())
        await receiver.until(lambda receiver: receiver.gone == 1)
        assert len(receiver.requests) == 1
    return met


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in pieces"])
@pytest.mark.parametrize("answer", SOUND.values(), ids=SOUND)
async def test_a_large_head_is_no_fault(answer: bytes, pieces: bool):
    met = await answered(answer, pieces=pieces)
    assert (met.fault, met.code, met.response, met.error) == (None, 200, b"ok", "")


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in pieces"])
@pytest.mark.parametrize(("answer", "says"), ODD.values(), ids=ODD)
async def test_the_status_of_an_answer_that_is_framed_wrongly_counts(answer: bytes, says: str, pieces: bool):
    met = await answered(answer, pieces=pieces)
    assert (met.fault, met.code) == (None, 204 if b" 204 " in answer else 200)
    assert says in met.error


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in pieces"])
async def test_what_an_answer_asks_for_is_heard_whatever_is_wrong_with_its_head(pieces: bool):
    head = BUSY + b"Content-Length: 2\r\nX Bad: y\r\nContent-Length: 2\r\nRetry-After: 60\r\n\r\nno"
    met = await answered(head, pieces=pieces)
    assert (met.fault, met.code, met.retry_after, met.response) == (Fault.STATUS, 503, 60, b"no")


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in pieces"])
async def test_more_than_an_answer_announced_costs_its_connection_and_no_outcome(pieces: bool):
    answer = OK + b"Content-Length: 2\r\n\r\nok" + OK + b"Content-Length: 3\r\n\r\nbad"

    async with sending(one_by_one(answer) if pieces else at_once(answer)) as (target, receiver):
        met = await target.attempt(delivery())
        assert (met.fault, met.code, met.response) == (None, 200, b"ok")
        await receiver.until(lambda receiver: receiver.gone == 1)
        assert (await target.attempt(delivery())).response == b"ok"
        assert receiver.connections == 2


async def test_bytes_that_come_late_behind_an_answer_are_never_taken_for_the_next_one():
    async def late(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(OK + b"Content-Length: 2\r\n\r\nok")
        if conversation.number == 1:
            await conversation.request()
            await conversation.send(b" and more" + OK + b"Content-Length: 3\r\n\r\nbad")

    async with sending(late) as (target, receiver):
        assert (await target.attempt(delivery())).fault is None
        assert (await target.attempt(delivery())).fault is Fault.CONNECTION
        for _ in range(2):
            # From then on no connection of this receiver is used twice.
            assert (await target.attempt(delivery())).response == b"ok"
        assert receiver.connections == 3
