"""A scripted HTTP endpoint that outlives being closed and opened again on the same port."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from devtools.nodes.ports import free_ports


@dataclass(frozen=True)
class Received:
    """One request; `at` is monotonic."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float


Answer = Callable[[Received], Awaitable[web.Response]]


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer with this status; `Retry_After="5"` becomes the header Retry-After."""

    async def answer(_: Received) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=code, body=body, headers=named)

    return answer


def slow(seconds: float, then: Answer | None = None) -> Answer:
    """Take so long, then answer 200 or what `then` answers."""

    async def answer(received: Received) -> web.Response:
        await asyncio.sleep(seconds)
        return await (then or OK)(received)

    return answer


async def hang(_: Received) -> web.Response:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


OK = status(200)


class Gate:
    """Keeps requests until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, _: Received) -> web.Response:
        await self.open.wait()
        return web.Response()


class Endpoint:
    """Answers by path, 200 unless scripted, and remembers all that came in."""

    def __init__(self) -> None:
        """Not listening yet: its port, which stays the same, refuses connections."""
        self.port = free_ports(1)[0]
        self.requests: list[Received] = []
        self.under_way: dict[str, int] = defaultdict(int)
        self.most_at_once: dict[str, int] = defaultdict(int)
        self._answers: dict[str, list[Answer]] = {}
        self._runner: web.ServerRunner | None = None

    def url(self, path: str) -> str:
        """The address of a path, such as `/crm`."""
        return f"http://127.0.0.1:{self.port}{path}"

    def script(self, path: str, *answers: Answer) -> None:
        """Give these answers in turn on the path; the last one for ever."""
        self._answers[path] = list(answers)

    def received(self, path: str) -> list[Received]:
        """What came in on the path."""
        return [request for request in self.requests if request.path == path]

    def bodies(self, path: str) -> list[bytes]:
        """The bodies that came in on the path."""
        return [request.body for request in self.requests if request.path == path]

    async def open(self) -> None:
        """Listen."""
        # Closing cuts connections at once: what hangs here must not hold up the end of a test.
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def close(self) -> None:
        """Refuse connections from now on, and cut those there are."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        received = Received(request.path, request.headers, await request.content.read(), time.monotonic())
        self.requests.append(received)
        self.under_way[received.path] += 1
        self.most_at_once[received.path] = max(
            self.most_at_once[received.path], self.under_way[received.path]
        )
        try:
            return await self._next_answer(received.path)(received)
        finally:
            self.under_way[received.path] -= 1

    def _next_answer(self, path: str) -> Answer:
        answers = self._answers.get(path, [OK])
        return answers.pop(0) if len(answers) > 1 else answers[0]


@asynccontextmanager
async def open_endpoint() -> AsyncIterator[Endpoint]:
    """An endpoint on a free port of the loopback."""
    endpoint = Endpoint()
    await endpoint.open()
    try:
        yield endpoint
    finally:
        await endpoint.close()
