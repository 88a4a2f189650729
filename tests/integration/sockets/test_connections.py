"""Clients that hold connections open for nothing, send heads without end, or read nothing."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from bridge.http.server import MOST_HEAD, Connections
from tests.support.waiting import until

MOST = 10
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Served:
    """A server whose `/hang` never answers and whose `/large` answers with 50 MB."""

    connections: Connections = field(init=False)
    port: int = 0
    under_way: int = 0
    clients: list[asyncio.StreamWriter] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.under_way += 1
        try:
            body = await request.content.read()
            if request.path == "/hang":
                await asyncio.Event().wait()
            return web.Response(body=bytes(50_000_000) if request.path == "/large" else b"%d" % len(body))
        finally:
            self.under_way -= 1

    async def connect(self, first: bytes) -> Stream:
        """A connection that begins with these bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.clients.append(writer)
        writer.write(first)
        await writer.drain()
        return reader, writer

    async def get(self, path: str = "/") -> bytes:
        """The answer to a request on a connection of its own."""
        reader, writer = await self.connect(
            b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path.encode()
        )
        answer = await reader.read()
        writer.close()
        return answer


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    found = Served()
    server = web.Server(found.handle, access_log=None)
    found.connections = Connections(server, MOST, unread=0.3)
    listening = await asyncio.get_running_loop().create_server(found.connections, "127.0.0.1", 0)
    found.port = listening.sockets[0].getsockname()[1]
    yield found
    for client in found.clients:
        client.transport.abort()
    listening.close()
    await server.shutdown(0.1)


async def closed(reader: asyncio.StreamReader) -> bool:
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), 5) == b""
    return True


async def test_connections_that_never_say_what_they_want_keep_nobody_out(served: Served) -> None:
    slow = [await served.connect(b"GET / HTTP/1.1\r\nX-Slow: ") for _ in range(MOST)]
    for _ in range(3):
        assert (await served.get()).startswith(b"HTTP/1.1 200")
    assert await closed(slow[0][0])
    # One that was served before keeps its place before those that never were.
    reader, writer = await served.connect(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n0")
    crowd = [await served.connect(b"") for _ in range(3 * MOST)]
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
    assert await closed(crowd[0][0])


async def test_where_every_connection_is_busy_a_new_one_is_told_so(served: Served) -> None:
    busy = [await served.connect(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(MOST)]
    await until(lambda: served.under_way == MOST)
    answer = await served.get()
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Retry-After" in answer
    busy[0][1].close()

    async def has_room() -> bool:
        return (await served.get()).startswith(b"HTTP/1.1 200")

    await until(has_room)


async def test_a_head_without_end_is_refused(served: Served) -> None:
    reader, writer = await served.connect(b"GET / HTTP/1.1\r\n")
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 20 * MOST_HEAD and not reader.at_eof():
            sent += len(line := b"X-%d: %s\r\n" % (sent, b"a" * 4000))
            writer.write(line)
            await writer.drain()
            await asyncio.sleep(0)
    assert sent < 20 * MOST_HEAD
    with contextlib.suppress(ConnectionError):
        assert (await reader.read()).startswith(b"HTTP/1.1 431")


async def test_a_client_that_reads_nothing_is_cut_off(served: Served) -> None:
    with socket.socket() as deaf:
        deaf.connect(("127.0.0.1", served.port))
        deaf.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: len(served.connections) == 1)
        await until(lambda: len(served.connections) == 0, 5)


async def test_large_bodies_and_requests_in_a_row_are_no_heads(served: Served) -> None:
    size = 40 * MOST_HEAD
    body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    row = b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n" % (b"y" * 4000) * 5
    reader, _ = await served.connect(body + row)
    assert (await reader.readuntil(b"%d" % size)).startswith(b"HTTP/1.1 200")
    for _ in range(5):
        assert (await reader.readuntil(b"\r\n\r\n0")).startswith(b"HTTP/1.1 200")
