"""What a server is asked for by json://, xml:// and form://: byte for byte what the URL says."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.notifying import event, notify
from tests.support.receiver import server_tls

TARGET = "/a%2Fb//%7Ec/%40/%c3%A9?sig=a%2Bb%7E%3d&Expires=17"
OPTIONS = "-sig=a%2Bb%7E%3d&-Expires=17"


@asynccontextmanager
async def asked(context: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[str]]]:
    """The port of a server, and the request lines that it gets."""
    lines: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        await reader.readexactly(int(length[1]) if length else 0)  # else the close would be a reset
        lines.append(head.split(b"\r\n")[0].decode())
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1], lines


@pytest.mark.parametrize("scheme", ["json", "xml", "form"])
async def test_the_target_of_a_request_is_what_the_url_says(scheme: str) -> None:
    async with asked() as (port, lines):
        url = f"{scheme}://127.0.0.1:{port}{TARGET.partition('?')[0]}?{OPTIONS}&method=PUT"
        assert (await notify(url).attempt(event())).fault is None
    assert lines == [f"PUT {TARGET} HTTP/1.1"]


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
async def test_by_tls_as_well() -> None:
    async with asked(server_tls()) as (port, lines):
        url = f"jsons://127.0.0.1:{port}{TARGET.partition('?')[0]}?{OPTIONS}&verify=no"
        assert (await notify(url).attempt(event())).fault is None
    assert lines == [f"POST {TARGET} HTTP/1.1"]


async def test_a_url_with_letters_that_none_can_hold_is_encoded_as_ever() -> None:
    async with asked() as (port, lines):
        assert (await notify(f"json://127.0.0.1:{port}/é").attempt(event())).fault is None
    assert lines == ["POST /%C3%A9 HTTP/1.1"]
