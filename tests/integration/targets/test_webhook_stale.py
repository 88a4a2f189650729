"""Kept connections that the receiver closes while a request is on its way."""

import asyncio
import re
import select
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from bridge.core.delivery import Fault
from bridge.core.hook import Hook
from bridge.targets.factory import Targets
from bridge.targets.webhook.response import Answering, Unseen
from tests.support.events import delivery
from tests.support.receiver import TLS, server_tls
from tests.support.waiting import until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
KEPT = 46


class Shop:
    """A receiver on threads of its own, so that it does something while nobody else does."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.port = self.listener.getsockname()[1]
        self.open: list[socket.socket] = []
        self.requests: list[bytes] = []
        self.together = threading.Barrier(KEPT)
        self.wait_for_others = True

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.open.append(connection)
                threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        with suppress(OSError):
            self.requests.append(read(connection))
            if self.wait_for_others:
                self.together.wait(10)
            connection.sendall(ANSWER)

    def close_all(self) -> None:
        """Nothing of them is read any more, and nothing is unread."""
        kept, self.open = self.open, []
        for connection in kept:
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def read(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, body = received.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]  # every request has it
    while len(body) < length:
        body += connection.recv(65_536)
    return body


@contextmanager
def shop() -> Iterator[Shop]:
    here = Shop()
    thread = threading.Thread(target=here.serve, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        here.listener.shutdown(socket.SHUT_RDWR)
        here.listener.close()
        thread.join(10)
        for connection in here.open:
            connection.close()


@pytest.mark.parametrize("seen", [True, False], ids=["seen in time", "not seen in time"])
async def test_however_many_kept_connections_were_closed_no_attempt_fails_and_none_is_made_twice(
    monkeypatch: pytest.MonkeyPatch, seen: bool
):
    if not seen:
        # The receiver's word arrives right after the look.
        monkeypatch.setattr(Answering, "is_idle", lambda _connection, *, secure: True)
    with shop() as receiver:
        targets = Targets({}, ["127.0.0.0/8"], Path("/"), lambda _reused: None)
        settings = {"type": "webhook", "url": f"http://127.0.0.1:{receiver.port}/", "profile": "none"}
        target = targets.build(Hook.model_validate({"name": "crm", "target": settings}))
        first = await asyncio.gather(*(target.attempt(delivery()) for _ in range(KEPT)))
        receiver.wait_for_others = False
        receiver.close_all()  # before the event loop can hear of it
        bodies = [b'{"n":%d}' % number for number in range(KEPT)]
        second = await asyncio.gather(*(target.attempt(delivery(body)) for body in bodies))
        await targets.close()
    assert {answer.fault for answer in first} == {None}
    assert [answer.fault for answer in second] == [None] * KEPT
    assert sorted(receiver.requests[KEPT:]) == sorted(bodies)


def finish(connection: socket.socket, how: str, go: threading.Event) -> None:
    """Answer one request, and end: without having read anything, or having read what may be acted on."""
    read(connection)
    connection.sendall(ANSWER)
    if how == "closed":
        go.wait(10)
    else:
        read(connection)
    if how == "read, reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("how", ["closed", "read, closed", "read, reset"])
async def test_only_of_a_request_that_was_closed_upon_it_is_known_that_nothing_arrived(
    how: str, secure: bool
):
    loop = asyncio.get_running_loop()
    go, ended = threading.Event(), threading.Event()

    def serve() -> None:
        with ExitStack() as stack:
            connection = stack.enter_context(closing(listener.accept()[0]))
            if secure:
                connection = stack.enter_context(server_tls().wrap_socket(connection, server_side=True))
            finish(connection, how, go)
        ended.set()

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        context = ssl.create_default_context(cafile=TLS / "ca.pem") if secure else None
        transport, protocol = await loop.create_connection(
            lambda: Answering(loop, Unseen(loop)),
            *listener.getsockname(),
            ssl=context,
            server_hostname="localhost" if secure else None,
        )
        protocol.expect_answer()
        transport.write(REQUEST)
        await protocol.read()
        if how == "closed":
            go.set()
            closed(transport.get_extra_info("socket").fileno())
        protocol.expect_answer()
        transport.write(REQUEST)
        await until(lambda: protocol.transport is None)
        thread.join(10)
    may_be_there = protocol.unarrived is None or protocol.unarrived < len(REQUEST)
    # With TLS, uvloop closes the socket before anybody can look.
    assert may_be_there if how != "closed" else secure or not may_be_there
    assert not protocol.begun
    assert ended.is_set()


def closed(descriptor: int) -> None:
    """Wait until the kernel has the other side's word, while the event loop cannot hear of it."""
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP)
    assert poll.poll(10_000)


async def test_a_request_that_was_read_is_made_once_an_attempt():
    with shop() as receiver:
        receiver.wait_for_others = False
        targets = Targets({}, ["127.0.0.0/8"], Path("/"), lambda _reused: None)
        settings = {"type": "webhook", "url": f"http://127.0.0.1:{receiver.port}/", "profile": "none"}
        target = targets.build(Hook.model_validate({"name": "crm", "target": settings}))
        assert (await target.attempt(delivery())).fault is None
        [kept] = receiver.open
        attempt = asyncio.create_task(target.attempt(delivery(b'{"b":2}')))
        assert await asyncio.to_thread(read, kept) == b'{"b":2}'
        kept.close()
        answer = await attempt
        await targets.close()
    assert (answer.fault, len(receiver.requests)) == (Fault.CONNECTION, 1)
