"""A scripted HTTP receiver on a real socket: it behaves as well or as badly as a test wants."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

TLS = Path(__file__).parents[1] / "data" / "tls"


@dataclass(frozen=True)
class Request:
    """One request as it stood on the wire; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    raw_headers: list[tuple[str, str]]
    body: bytes
    connection: int


Handle = Callable[["Conversation"], Awaitable[None]]


@dataclass
class Conversation:
    """One connection from the receiver's side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int
    receiver: "Receiver"

    async def request(self) -> Request:
        """The next request, whole; asyncio.IncompleteReadError when the client has gone."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head[:-4].split("\r\n")
        method, path, _ = first.split(" ", 2)
        fields = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        headers = {name.lower(): value for name, value in fields}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, path, headers, fields, body, self.number)
        self.receiver.requests.append(request)
        async with self.receiver.changed:
            self.receiver.changed.notify_all()
        return request

    async def send(self, data: bytes) -> None:
        """Write raw bytes and wait until they left."""
        self.writer.write(data)
        await self.writer.drain()

    async def reset(self) -> None:
        """Close with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Receiver:
    """What came in, and where it listens."""

    port: int = 0
    scheme: str = "http"
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    gone: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        """The address of an endpoint here."""
        return f"{self.scheme}://127.0.0.1:{self.port}/in?tenant=1"

    async def until(self, true: Callable[["Receiver"], bool], seconds: float = 10.0) -> None:
        """Wait until something holds of this receiver's connections."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: true(self))


def response(
    status: int = 200, body: bytes = b"ok", headers: dict[str, str] | None = None, reason: str = "X"
) -> bytes:
    """An answer with its length."""
    lines = [f"{name}: {value}\r\n" for name, value in (headers or {}).items()]
    head = f"HTTP/1.1 {status} {reason}\r\n{''.join(lines)}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("latin-1") + body


def answering(answer: bytes) -> Handle:
    """Answer every request of every connection with these bytes."""

    async def handle(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await conversation.send(answer)

    return handle


async def hanging(conversation: Conversation) -> None:
    """Take the request and say nothing for ever."""
    await conversation.request()
    await conversation.reader.read()


@contextlib.asynccontextmanager
async def receiving(
    handle: Handle, tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Receiver]:
    """A receiver that treats each connection with `handle`; every connection is cut at the end."""
    receiver = Receiver(scheme="https" if tls else "http")
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        receiver.connections += 1
        conversation = Conversation(reader, writer, receiver.connections, receiver)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError, ssl.SSLError):
                await handle(conversation)
        finally:
            writer.transport.abort()
            receiver.gone += 1
            async with receiver.changed:
                receiver.changed.notify_all()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, host, port, ssl=tls, limit=2**20)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def server_tls(*, client_certificates: bool = False) -> ssl.SSLContext:
    """A server's TLS with the test certificate for localhost, 127.0.0.1 and ::1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "server.pem", TLS / "server.key")
    if client_certificates:
        context.load_verify_locations(TLS / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context
