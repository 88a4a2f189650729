"""What comes in one piece from a receiver, before anybody reads it."""

import asyncio
import socket

from bridge.targets.web.pool import Answering
from tests.support.waiting import until


async def test_of_interim_answers_without_end_only_the_first_are_parsed():
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    _, protocol = await loop.create_connection(lambda: Answering(loop), sock=ours)
    interim = b"HTTP/1.1 100 \r\n\r\n"
    try:
        protocol.set_response_params(read_until_eof=True)
        theirs.setblocking(False)
        sent = theirs.send(interim * 20_000)
        await until(lambda: len(protocol))
        parsed = len(protocol)
    finally:
        protocol.close()
        theirs.close()

    assert sent > 100_000
    assert parsed < 2 * 16_384 / len(interim)
