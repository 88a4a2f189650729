"""The endpoint that webhooks are delivered to: a process of its own, as cheap as Python allows.

It answers every request with 200 on a connection that stays open and counts what arrives. It is told over
its standard input and tells over its standard output, one JSON object a line; it ends when its input does.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from functools import partial
from typing import Any, cast

import uvloop
from standardwebhooks import Webhook, WebhookVerificationError

from bench.traffic.tally import Order, Tally

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
_NO_LENGTH = b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_UNKNOWN = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_CHECK_EVERY = 100


class Endpoint:
    """All connections together, and the line to whoever started the process."""

    def __init__(self, secret: str) -> None:
        self._webhook = Webhook(secret)
        self.tally = Tally(Order(events=0))

    def arrived(self, head: bytes, body: bytes) -> int | None:
        """Counts one request; gives the event's number, or None for a body that is none of ours."""
        number = self.tally.arrived(body)
        if self.tally.requests % _CHECK_EVERY == 1:
            self._check(head, body)
        return number

    def answered(self, number: int) -> None:
        """Counts one delivery."""
        self.tally.answered(number)
        if (mark := self.tally.mark_reached()) is not None:
            tell({"reached": mark})

    def _check(self, head: bytes, body: bytes) -> None:
        self.tally.checked += 1
        try:
            self._webhook.verify(body, headers_of(head), json_parse=False)
        except (WebhookVerificationError, ValueError):
            self.tally.forged += 1

    def obey(self, command: dict[str, Any]) -> None:
        """Does what one line of standard input asks, and answers with one line."""
        match command:
            case {"order": order}:
                self.tally = Tally(Order(**order))
                tell({"answer": None})
            case {"ask": "count"}:
                tell({"answer": self.tally.done})
            case {"ask": "arrivals"}:
                tell({"answer": asdict(self.tally.arrivals())})


class Connection(asyncio.Protocol):
    """One connection: HTTP/1.1 with Content-Length, as much of it as a webhook needs."""

    def __init__(self, endpoint: Endpoint, loop: asyncio.AbstractEventLoop) -> None:
        self._endpoint = endpoint
        self._loop = loop
        self._rest = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports implement the interface without inheriting from it.
        self._transport = cast("asyncio.Transport", transport)
        self._endpoint.tally.connections += 1

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        while (end := data.find(b"\r\n\r\n") + 4) > 3:
            length = content_length(data[:end])
            if length is None:
                self._refuse(_NO_LENGTH)
                return
            if len(data) < end + length:
                break
            self._take(data[:end], data[end : end + length])
            data = data[end + length :]
        self._rest = data

    def _take(self, head: bytes, body: bytes) -> None:
        number = self._endpoint.arrived(head, body)
        if number is None:
            self._refuse(_UNKNOWN)
        elif wait := self._endpoint.tally.hang_seconds(number):
            self._loop.call_later(wait, self._answer, number)
        else:
            self._answer(number)

    def _answer(self, number: int) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(_ANSWER)
            self._endpoint.answered(number)

    def _refuse(self, answer: bytes) -> None:
        assert self._transport is not None
        self._transport.write(answer)
        self._transport.close()


def content_length(head: bytes) -> int | None:
    """The body's length in bytes, or None where the head does not tell it."""
    lower = head.lower()
    at = lower.find(_LENGTH)
    if at < 0:
        return None
    start = at + len(_LENGTH)
    return int(lower[start : lower.find(b"\r\n", start)])


def headers_of(head: bytes) -> dict[str, str]:
    """The request's headers, names in lower case."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def tell(what: dict[str, Any]) -> None:
    """One line to whoever started the process."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def serve(secret: str) -> None:
    """Listens on a free port of the loopback and obeys until the input ends."""
    loop = asyncio.get_running_loop()
    endpoint = Endpoint(secret)
    server = await loop.create_server(partial(Connection, endpoint, loop), "127.0.0.1", 0)
    tell({"port": server.sockets[0].getsockname()[1]})
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        endpoint.obey(json.loads(line))
    server.close()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
