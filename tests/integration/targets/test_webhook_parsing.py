"""What comes in one piece from a receiver, before anybody reads it."""

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from bridge.core.hook import Hook
from bridge.targets.factory import Targets
from bridge.targets.webhook.response import Answering, Unseen
from tests.support.events import delivery
from tests.support.receiver import Conversation, receiving
from tests.support.waiting import until


async def test_of_interim_answers_without_end_only_the_first_are_parsed():
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    _, protocol = await loop.create_connection(lambda: Answering(loop, Unseen(loop)), sock=ours)
    interim = b"HTTP/1.1 100 \r\n\r\n"
    try:
        protocol.expect_answer()
        theirs.setblocking(False)
        sent = theirs.send(interim * 20_000)
        await until(lambda: len(protocol))
        parsed = len(protocol)
    finally:
        protocol.close()
        theirs.close()

    assert sent > 100_000
    assert parsed < 2 * 16_384 / len(interim)


@pytest.mark.parametrize(
    "size", [b"0" * 65_536, b"1;" + b"e" * 8_000 + b"\r\nx\r\n"], ids=["zeros", "extensions"]
)
async def test_a_frame_that_is_larger_than_all_that_is_read_of_an_answer_ends_the_answer(size: bytes):
    async def endless(conversation: Conversation) -> None:
        await conversation.request()
        await conversation.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(OSError):
            while True:
                await conversation.send(size)

    async with receiving(endless) as receiver:
        targets = Targets({}, ["127.0.0.0/8", "::1/128"], Path("/"), lambda _reused: None)
        settings = {"type": "webhook", "url": receiver.url, "timeout": 30}
        target = targets.build(Hook.model_validate({"name": "crm", "target": settings}))
        try:
            async with asyncio.timeout(10):
                answer = await target.attempt(delivery())
        finally:
            await targets.close()

    assert (answer.fault, answer.code) == (None, 200)
    assert "broke off" in answer.error
