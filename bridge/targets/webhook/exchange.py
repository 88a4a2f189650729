"""One HTTP request and its response over a pooled connection.

This drives aiohttp's connector, protocol and parser directly: ClientSession.post prepares so much for each request that
it costs 73 us of CPU, this costs 22 us (same machine, aiohttp 3.14, Python 3.11).
"""

import asyncio
import errno
import math
import ssl
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader

from bridge.core.delivery import Answer, Fault
from bridge.targets.webhook.pool import Pool, Route, is_blocked
from bridge.targets.webhook.response import KEPT, Answering
from bridge.wire.address_gate import AddressGate
from bridge.wire.headers import retry_after

# The conversion of HTTP errors to Answers. The texts contain host and port, never path, query or user.


class OutOfTime(Exception):
    """The deadline of the attempt passed before a status was received."""


def answer_for(error: Exception) -> Answer:
    """Returns the Answer of an attempt that ended with `error`; BUG for an unexpected exception."""
    fault = Fault.CONNECTION
    match error:  # most specific first: aiohttp's errors inherit from one another
        case OutOfTime():
            fault, text = Fault.TIMEOUT, "no answer within the time limit"
        case TimeoutError():
            fault, text = Fault.TIMEOUT, "no connection within the time limit"
        case aiohttp.ClientConnectorError():
            fault, text = _not_connected(error)
        case HttpProcessingError():
            text = "the answer is no valid HTTP"
        case aiohttp.ClientHttpProxyError():
            text = f"the proxy answered {error.status}"
        case aiohttp.ServerDisconnectedError():
            text = "the connection was closed without an answer"
        case OSError() | aiohttp.ClientError() if isinstance(error.__cause__, ssl.SSLError):
            # A TLS alert after the handshake (TLS 1.3: "certificate required") arrives as the cause of a reset.
            fault, text = Fault.TLS, f"TLS failed: {_tls_reason(error.__cause__)}"
        case OSError() | aiohttp.ClientError():
            text = (error.strerror if isinstance(error, OSError) else None) or "the connection broke"
        case _:
            fault, text = Fault.BUG, f"{type(error).__name__}: {error}"
    return Answer(fault=fault, error=text)


def _not_connected(error: aiohttp.ClientConnectorError) -> tuple[Fault, str]:
    where = f"{error.host}:{error.port}"
    match error:
        case aiohttp.ClientConnectorDNSError():
            return Fault.DNS, f"{error.host}: {error.os_error.strerror or 'not found'}"
        case aiohttp.ClientConnectorCertificateError(certificate_error=bad):
            text = bad.verify_message if isinstance(bad, ssl.SSLCertVerificationError) else str(bad)
            return Fault.TLS, f"the certificate of {where} is not accepted: {text}"
        case aiohttp.ClientConnectorSSLError():
            return Fault.TLS, f"TLS with {where} failed: {_tls_reason(error.os_error)}"
        case aiohttp.ClientProxyConnectionError():
            where = f"proxy {where}"
    cause = error.os_error
    # asyncio reports a peer that closes during the TLS handshake without an error message.
    fault, text = Fault.CONNECTION, cause.strerror or str(cause) or "closed while connecting"
    if is_blocked(cause):
        fault, text = Fault.BLOCKED_ADDRESS, f"{cause.strerror}"
    elif isinstance(cause, TimeoutError):
        fault, text = Fault.TIMEOUT, "no connection"
    elif isinstance(cause, ConnectionRefusedError):
        fault, text = Fault.REFUSED, "connection refused"
    return fault, f"{where}: {text}"


def _tls_reason(error: Exception) -> str:
    return (error.reason if isinstance(error, ssl.SSLError) else None) or str(error)


_DRAINED = 64 * 1024
"""Maximum bytes of a response body that are drained to keep the connection; a longer one closes it."""
_LINGER = 5.0
"""Maximum seconds for a receiver to read the rest of the body after it responded."""
_MOST_INTERIM = 20
_WARY = 3600.0
"""Seconds without keep-alive after unexpected bytes on a connection."""


class HttpResponse(NamedTuple):
    """A receiver's response; `body` is its beginning, `fault` an error of its framing, `waits` its Retry-After."""

    code: int
    headers: Mapping[str, str]
    body: bytes
    fault: str = ""
    waits: Sequence[str] = ()

    def retry_after(self, now: float) -> float | None:
        """Returns the seconds of Retry-After, if any; `now` is in Unix seconds."""
        return retry_after(self.waits, now, date=self.headers.get("Date", "")) if self.waits else None


class _Deadline:
    """A timer that closes the connection once; asyncio.timeout costs 5 us more."""

    __slots__ = ("passed", "protocol", "transport")

    def __init__(self, protocol: Answering, transport: asyncio.Transport) -> None:
        self.protocol = protocol
        self.transport = transport
        self.passed = False

    def __call__(self) -> None:
        self.passed = True
        self.protocol.give_up()
        self.transport.abort()
        self.protocol.set_exception(aiohttp.ServerDisconnectedError())


class Exchange:
    """Requests along one route; `timeout` in seconds covers connecting, sending and the whole response."""

    def __init__(
        self, pool: Pool, gate: AddressGate, route: Route, connect_timeout: float, timeout: float
    ) -> None:
        self._pool = pool
        self._connector = pool.connector(gate)
        self._route = route
        self._loop = asyncio.get_running_loop()
        self._secure = route.is_ssl() or (route.proxy is not None and route.proxy.scheme == "https")
        self._keeps_from = 0.0
        self._timeout = timeout
        # A little less than the whole time, so that steps before it need no timeout of their own.
        self._longest_connect = min(connect_timeout, timeout * 0.999)
        self._connect = _connect_timeout(self._longest_connect)

    def deadline(self) -> float:
        """Returns the deadline of an attempt that begins now, by the event loop's clock."""
        return self._loop.time() + self._timeout

    async def send(self, request: bytes, rest: bytes = b"", *, deadline: float | None = None) -> HttpResponse:
        """Send the request and return the whole response. Raises exceptions that `answer_for` converts.

        `deadline` is by the event loop's clock; None: that of an attempt that begins now. `rest` is a second part of the request, sent without copying. A
        receiver may close a kept-alive connection while the request is sent. If it is certain that nothing of the
        request arrived, it is sent again at once over a new connection, because other kept connections are as old. A
        request that may have been read is left to the hook's retries.
        """
        if deadline is None:
            deadline = self.deadline()
        connection, protocol, reused = await self._open(self._connect_within(deadline))
        try:
            return await self._over(connection, protocol, (request, rest), deadline)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not reused or not _never_arrived(len(request) + len(rest), protocol, error):
                raise
        connection, protocol, _ = await self._open(self._connect_within(deadline), new=True)
        return await self._over(connection, protocol, (request, rest), deadline)

    def _connect_within(self, deadline: float) -> aiohttp.ClientTimeout:
        left = deadline - self._loop.time()
        return self._connect if left >= self._longest_connect else _connect_timeout(left)

    async def _open(
        self, timeout: aiohttp.ClientTimeout, *, new: bool = False
    ) -> tuple[Connection, Answering, bool]:
        """Returns a connection, and whether it was reused; `new` closes the kept ones."""
        connector = self._connector
        while True:
            connection = await connector.connect(self._route, traces=[], timeout=timeout)
            protocol = cast("Answering", connection.protocol)
            if connector.fresh and protocol in connector.fresh:
                connector.fresh.discard(protocol)
                self._pool.on_connection(False)
                return connection, protocol, False
            if not new and self._is_usable(protocol):
                self._pool.on_connection(True)
                return connection, protocol, True
            connection.close()

    def _is_usable(self, protocol: Answering) -> bool:
        """Returns whether the idle connection received no bytes, which would answer the next request."""
        if self._keeps_from and self._loop.time() < self._keeps_from:
            return False
        return protocol.is_idle(secure=self._secure)

    async def _over(
        self, connection: Connection, protocol: Answering, request: tuple[bytes, bytes], deadline: float
    ) -> HttpResponse:
        transport = protocol.transport
        assert transport is not None
        cut = _Deadline(protocol, transport)
        timer = self._loop.call_at(deadline, cut)
        try:
            protocol.expect_answer()
            head, rest = request
            transport.write(head)
            if rest:
                transport.write(rest)
            reply, ended = await _answer(protocol)
        except BaseException as error:
            transport.abort()
            connection.close()
            if isinstance(error, HttpProcessingError):
                # The receiver may send more than it announced, too late to be noticed before the next request is sent.
                self._keeps_from = self._loop.time() + _WARY
            if cut.passed and isinstance(error, Exception):
                raise OutOfTime from error
            raise
        finally:
            timer.cancel()
        self._release(connection, transport, ended=ended, sound=not reply.fault)
        return reply

    def _release(
        self, connection: Connection, transport: asyncio.Transport, *, ended: bool, sound: bool
    ) -> None:
        if not ended:
            transport.abort()
            connection.close()
        elif transport.get_write_buffer_size():
            # The receiver responded before it read the body. Closing waits for the rest to be sent.
            self._loop.call_later(_LINGER, transport.abort)
            connection.close()
        elif sound:
            connection.release()
        else:
            connection.close()


async def _answer(protocol: Answering) -> tuple[HttpResponse, bool]:
    """Returns the response, and whether its body was read to the end."""
    for _ in range(_MOST_INTERIM):
        message, payload = await protocol.read()
        if message.code >= 200 or message.code == 101:
            break
    else:
        raise HttpProcessingError(message="interim answers without end")
    body, ended = await _read(payload)
    waits = message.headers.getall("Retry-After", ())
    fault = protocol.answer.fault if protocol.answer is not None else ""
    return HttpResponse(message.code, message.headers, body, fault, waits), ended


async def _read(payload: StreamReader) -> tuple[bytes, bool]:
    """Returns the beginning of the body, and whether its end was reached."""
    if payload.is_eof():
        return payload.read_nowait()[:KEPT], True
    kept = bytearray()
    seen = 0
    try:
        while chunk := await payload.readany():
            seen += len(chunk)
            kept += chunk[: KEPT - len(kept)]
            if seen > _DRAINED:
                return bytes(kept), False
    except (aiohttp.ClientError, HttpProcessingError):
        return bytes(kept), False  # the status is valid; the protocol knows the error
    return bytes(kept), True


def _connect_timeout(seconds: float) -> aiohttp.ClientTimeout:
    # Above ceil_threshold aiohttp rounds up to whole seconds.
    return aiohttp.ClientTimeout(connect=max(seconds, 0.001), ceil_threshold=math.inf)


def _never_arrived(size: int, protocol: Answering, error: Exception) -> bool:
    """Returns whether the receiver had closed the connection before any of the request's `size` bytes arrived."""
    if protocol.begun:
        return False
    if isinstance(error, OSError):
        return error.errno == errno.EPIPE  # known to be closed when the request was written
    # With TLS more bytes than the request are sent: its records are larger.
    return protocol.unarrived is not None and protocol.unarrived >= size
