"""A TCP proxy between the bridge and a server, which can cut, delay, throttle and swallow."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

_CHUNK = 65_536


class Proxy:
    """Forwards connections to one server. What is set holds for connections that exist and for new ones.

    `delay` is in seconds and holds for each piece of data. `rate`: so many bytes per second in each direction of a
    connection. `cut_after`: so many bytes more, over all connections and both directions, then everything is cut,
    once, wherever that is within a frame. While `silent`, data is taken and goes nowhere, so that both ends are
    connected and hear nothing. While `refusing`, new connections are closed at once.
    """

    def __init__(self, port: int) -> None:
        """`port`: where the server listens on the loopback."""
        self.delay = 0.0
        self.rate: int | None = None
        self.cut_after: int | None = None
        self.silent = False
        self.refusing = False
        self.port = 0
        self.accepted = 0
        self._server_port = port
        self._server: asyncio.Server | None = None
        self._pairs: dict[asyncio.StreamWriter, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._left_behind: list[asyncio.StreamWriter] = []

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut everything and stop listening."""
        assert self._server is not None
        self._server.close()
        self.cut()
        for writer in self._left_behind:
            writer.transport.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._pairs)

    def cut(self) -> None:
        """Reset all connections, on both sides."""
        for client, server in self._pairs.items():
            client.transport.abort()
            server.transport.abort()
        self._pairs.clear()

    def cut_client_side(self) -> None:
        """Reset the clients' side only: the server goes on believing in its connections."""
        for client, server in self._pairs.items():
            self._left_behind.append(server)
            client.transport.abort()
        self._pairs.clear()

    def cut_server_side(self) -> None:
        """Reset the server's side only: the clients go on believing in their connections."""
        for client, server in self._pairs.items():
            self._left_behind.append(client)
            server.transport.abort()
        self._pairs.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refusing:
            writer.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        self._pairs[writer] = to_server
        self._spawn(self._forward(reader, to_server, client=writer))
        self._spawn(self._forward(from_server, writer, client=writer))

    def _spawn(self, forwarding: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(forwarding)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, client: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await source.read(self._piece):
                await asyncio.sleep(self.delay + (len(data) / self.rate if self.rate else 0))
                if not self.silent:
                    await self._pass_on(data, sink)
        if sink not in self._left_behind:
            sink.close()
        self._pairs.pop(client, None)

    @property
    def _piece(self) -> int:
        """How much is taken at once: a tenth of a second's worth."""
        return max(1, self.rate // 10) if self.rate else _CHUNK

    async def _pass_on(self, data: bytes, sink: asyncio.StreamWriter) -> None:
        left = self.cut_after
        sink.write(data[:left])
        # What is written has to be on its way before the connection is reset.
        await sink.drain()
        if left is None:
            return
        self.cut_after = left - len(data) if left > len(data) else None
        if self.cut_after is None:
            self.cut()


@asynccontextmanager
async def open_proxy(port: int) -> AsyncIterator[Proxy]:
    """A proxy to the server on this port of the loopback."""
    proxy = Proxy(port)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
