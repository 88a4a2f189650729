"""More requests to the API at once than there is room for."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from bridge.http.api import ConcurrencyLimit
from bridge.http.documents import errors_as_problems
from tests.support.waiting import until


class Served:
    """A server with room for two requests and 1,000 bytes; requests end when `go` is set."""

    def __init__(self) -> None:
        self.limit = ConcurrencyLimit(2, 1000)
        self.go = asyncio.Event()
        self.under_way = 0
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        with self.limit.place(request):
            self.under_way += 1
            await self.go.wait()
            self.under_way -= 1
            return web.Response(text=str(len(await request.read())))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    found = Served()
    app = web.Application(middlewares=[errors_as_problems])
    app.router.add_post("/", found.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port, *_ = runner.addresses[0]
    found.url = f"http://{host}:{port}/"
    yield found
    found.go.set()
    await runner.cleanup()


async def post(served: Served, size: int, *, chunked: bool = False) -> tuple[int, str | None]:
    async def pieces() -> AsyncIterator[bytes]:
        yield bytes(size)

    async with (
        aiohttp.ClientSession() as session,
        session.post(served.url, data=pieces() if chunked else bytes(size)) as answer,
    ):
        return answer.status, answer.headers.get("Retry-After")


async def test_what_finds_no_room_is_told_to_come_again(served: Served) -> None:
    first = asyncio.create_task(post(served, 900))
    await until(lambda: served.under_way == 1)
    assert await post(served, 101) == (503, "1")
    assert await post(served, 1, chunked=True) == (503, "1")
    second = asyncio.create_task(post(served, 100))
    await until(lambda: served.under_way == 2)
    assert await post(served, 0) == (503, "1")
    served.go.set()
    assert (await first, await second) == ((200, None), (200, None))
    assert await post(served, 5000, chunked=True) == (200, None)
