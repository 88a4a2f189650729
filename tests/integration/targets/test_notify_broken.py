"""What an attempt comes to where an answer breaks off or is no good HTTP, or where there is no thread left."""

import asyncio
import io
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from bridge.core.delivery import Fault
from bridge.targets.notify.guard import Crew
from tests.support.notifying import event, notify


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[str]:
    """The Apprise URL of a server that says this, whatever it is asked, and closes the connection."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
        yield f"json://127.0.0.1:{server.sockets[0].getsockname()[1]}/token-7319"


@pytest.mark.parametrize(
    ("head", "fault", "code"),
    [
        ("200 OK\r\nContent-Length: 100", Fault.CONNECTION, None),
        ("200 OK\r\nTransfer-Encoding: chunked", Fault.CONNECTION, None),
        ("200 OK\r\nContent-Encoding: gzip", Fault.CONNECTION, None),
        ("503 Service Unavailable\r\nContent-Length: 100", Fault.STATUS, 503),
    ],
)
async def test_an_answer_that_breaks_off_is_a_fault_of_the_connection_and_no_bug(
    head: str, fault: Fault, code: int | None
) -> None:
    async with saying(f"HTTP/1.1 {head}\r\n\r\nabc".encode()) as url:
        found = await notify(url).attempt(event())
    assert (found.fault, found.code) == (fault, code)
    assert "token-7319" not in found.error


async def test_odd_headers_of_an_answer_put_no_url_into_the_log() -> None:
    log = io.StringIO()
    with _logging_to(log):
        async with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nnonsense\r\nX: y\r\n\r\nok") as url:
            assert (await notify(url).attempt(event())).fault is None
    assert "token-7319" not in log.getvalue()


@contextmanager
def _logging_to(log: io.StringIO) -> Iterator[None]:
    """Everything at debug level, as `log.level: debug` has it; pytest's own handler sees more than the root."""
    root, handler = logging.getLogger(), logging.StreamHandler(log)
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(before)
        root.removeHandler(handler)


async def test_a_thread_that_cannot_be_had_holds_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    crew = Crew(1, "notify-few")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            with pytest.raises(RuntimeError, match="new thread"):
                await asyncio.wait_for(crew.run(lambda: 1), 5)
    assert await asyncio.wait_for(crew.run(lambda: 1), 5) == 1
