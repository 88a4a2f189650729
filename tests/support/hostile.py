"""Endpoints that try to hurt whoever calls them, each on a path of one receiver."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from tests.support.receiver import Conversation, Receiver, receiving, response

Trick = Callable[[Conversation], Awaitable[None]]

OK_HEAD = b"HTTP/1.1 200 OK\r\n"
FLOOD = 100_000_000
"""Bytes of what has no end."""
BOMB = 200_000_000
"""Bytes that a bomb would unpack to."""
_PIECE = 65_536


class Expected(NamedTuple):
    """What an attempt comes to: outcome and status code as they stand in the history."""

    outcome: str
    code: int | None = None

    def fits(self, met: Collection[tuple[str, int | None]]) -> bool:
        """Whether there were attempts, and all came to that."""
        return set(met) == {tuple(self)}


def _say(*parts: bytes) -> Trick:
    async def trick(conversation: Conversation) -> None:
        for part in parts:
            await conversation.send(part)

    return trick


def _drip(piece: bytes, head: bytes = b"") -> Trick:
    async def trick(conversation: Conversation) -> None:
        await conversation.send(head)
        while True:
            await conversation.send(piece)
            await asyncio.sleep(0.05)

    return trick


def _flood(piece: bytes, head: bytes = b"") -> Trick:
    async def trick(conversation: Conversation) -> None:
        await conversation.send(head)
        await asyncio.sleep(0.1)  # so that what comes of a head that is whole does not depend on its packets
        large = piece * (_PIECE // len(piece))
        for _ in range(FLOOD // len(large)):
            await conversation.send(large)

    return trick


async def _reset(conversation: Conversation) -> None:
    await conversation.reset()


def _coded(coding: str, data: bytes) -> Trick:
    return _say(response(200, data, {"Content-Encoding": coding}))


def _packed(size: int, window: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    pieces = [packer.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)]
    return b"".join([*pieces, packer.flush()])


def tricks(elsewhere: str) -> Mapping[str, tuple[Trick, Expected]]:
    """By the name of a hook: what its endpoint does, and what that must come to. Redirects lead `elsewhere`."""
    bomb = _packed(BOMB, 31)
    timeout, cut = Expected("timeout"), Expected("connection")
    delivered = Expected("delivered", 200)
    return {
        "drips-body": (_drip(b".", OK_HEAD + b"Content-Length: 99999\r\n\r\n"), delivered),
        "drips-chunks": (_drip(b"1\r\n.\r\n", OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"), delivered),
        "drips-head": (_drip(b"X-A: b\r\n", OK_HEAD), delivered),
        "drips-name": (_drip(b"X", OK_HEAD), delivered),
        "drips-reason": (_drip(b"X", b"HTTP/1.1 200 "), timeout),
        "drips-status": (_drip(b"1", b"HTTP/1.1 2"), cut),
        "gzip-bomb": (_coded("gzip", bomb), delivered),
        "deflate-bomb": (_coded("deflate", _packed(BOMB, 15)), delivered),
        "nested-bomb": (_coded("gzip, gzip", zlib.compress(bomb)), delivered),
        "brotli-bomb": (_coded("br, zstd", bomb), delivered),
        "headers-for-ever": (_flood(b"X-A: b\r\n", OK_HEAD), delivered),
        "one-huge-header": (_flood(b"a", OK_HEAD + b"X-Big: "), delivered),
        "huge-status-line": (_flood(b"a", b"HTTP/1.1 200 "), cut),
        "body-for-ever": (_flood(b".", OK_HEAD + b"\r\n"), delivered),
        "huge-length": (_flood(b".", OK_HEAD + b"Content-Length: 999999999999\r\n\r\n"), delivered),
        "interim-for-ever": (_flood(b"HTTP/1.1 100 Continue\r\n\r\n"), cut),
        "closes-at-once": (_say(), cut),
        "closes-in-head": (_say(b"HTTP/1.1 200 OK\r\nX-"), delivered),
        "resets": (_reset, cut),
        "shorter-than-said": (_say(OK_HEAD + b"Content-Length: 5\r\n\r\nab"), delivered),
        "negative-length": (_say(OK_HEAD + b"Content-Length: -5\r\n\r\n"), delivered),
        "two-lengths": (_say(OK_HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"), delivered),
        "chunk-garbage": (_say(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), delivered),
        "huge-chunk": (
            _flood(b".", OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFF\r\n"),
            delivered,
        ),
        "chunk-extension": (
            _flood(b"a", OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;x="),
            delivered,
        ),
        "no-http": (_say(b"220 mail.example.net ESMTP\r\n"), cut),
        "redirects": (_say(response(302, headers={"Location": elsewhere})), Expected("redirect", 302)),
        "redirects-to-metadata": (
            _say(response(307, headers={"Location": "http://169.254.169.254/latest/meta-data/"})),
            Expected("redirect", 307),
        ),
        "retry-garbage": (
            _say(response(503, headers={"Retry-After": "soon, \x7f9e99"})),
            Expected("status", 503),
        ),
        "retry-negative": (_say(response(503, headers={"Retry-After": "-99"})), Expected("status", 503)),
        "retry-huge": (_say(response(503, headers={"Retry-After": "9" * 300})), Expected("status", 503)),
        "retry-date": (
            _say(response(503, headers={"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"})),
            Expected("status", 503),
        ),
    }


@asynccontextmanager
async def hostile(known: Iterable[tuple[str, Trick]]) -> AsyncIterator[Receiver]:
    """A receiver that plays the trick of each path, `/<name>`, on whoever asks for it."""
    by_path = {f"/{name}": trick for name, trick in known}

    async def handle(conversation: Conversation) -> None:
        while True:
            request = await conversation.request()
            await by_path[request.path](conversation)
            if not request.path.endswith("bomb"):
                return

    async with receiving(handle) as receiver:
        yield receiver
