"""The response side of a connection: aiohttp's protocol and parser, changed so that a received status counts.

aiohttp (3.14) drops a response with a framing error or not, depending on TCP segments: messages parsed from a segment
are lost with an error later in the same segment.
"""

import asyncio
import select
import socket
import struct
from asyncio import BaseTransport
from contextlib import suppress
from typing import Any

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpResponseParser
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD

from bridge.wire import answer_head

# The kernel's state of a connection: whether it is open, and whether the receiver has what was sent. A receiver that
# closes a kept-alive connection while a request is sent has not read it; a receiver that read the request and ended may
# have acted on it. Only TCP acknowledgements tell the two apart.


_INT, _LONG, _LONGS = struct.Struct("=I"), struct.Struct("=Q"), struct.Struct("=QQ")
_INFO_SIZE = 232
"""Bytes of struct tcp_info up to the fields read here (linux/tcp.h, Linux 4.19)."""
_BYTES_ACKED, _NOT_SENT, _BYTES_SENT = 120, 144, 200
_MOST_READY = 4096
"""Maximum connections that are found in one iteration."""


class Unseen:
    """Finds connections with input that the event loop has not seen yet: end of file, or unexpected bytes.

    All are polled together, once per iteration of the event loop: a system call for each request would release the
    interpreter lock each time, which costs 9 us of a delivery while the history commits. Linux only; elsewhere nothing
    is found, and the event loop notices a closed connection a little later.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._found: set[int] | None = None

    def watch(self, transport: BaseTransport, *, secure: bool) -> int:
        """Watches a connection until it is closed; returns its descriptor. TLS sends records of its own, so that with it
        only end of file counts.
        """
        sock = transport.get_extra_info("socket")
        number: int = -1 if sock is None else sock.fileno()
        if self._epoll is not None and number >= 0:
            self._epoll.register(number, select.EPOLLRDHUP if secure else select.EPOLLRDHUP | select.EPOLLIN)
            self._found = None
        return number

    def has(self, number: int) -> bool:
        """Returns whether the connection with this descriptor had such input when this iteration first asked."""
        if self._found is None:
            self._found = (
                set() if self._epoll is None else {each for each, _ in self._epoll.poll(0, _MOST_READY)}
            )
            self._loop.call_soon(self._forget)
        return number in self._found

    def close(self) -> None:
        """Ends the watching."""
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None

    def _forget(self) -> None:
        self._found = None


def unacknowledged(transport: BaseTransport | None) -> int | None:
    """Returns the unacknowledged bytes when the receiver closed its side; None: unknown.

    Unknown after a reset: a receiver that reads a request and resets at once does not acknowledge it either.
    """
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None:
        return None
    try:
        # uvloop's transport has no getsockopt. Detached, so that the descriptor stays open.
        whole = socket.socket(fileno=sock.fileno())
        try:
            info = whole.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
        finally:
            whole.detach()
        acked, (waiting,) = _LONG.unpack_from(info, _BYTES_ACKED)[0], _INT.unpack_from(info, _NOT_SENT)
        sent, again = _LONGS.unpack_from(info, _BYTES_SENT)
    except (AttributeError, OSError, ValueError, struct.error):
        return None
    # The first acknowledged one is the SYN.
    return int(sent - again - (acked - 1) + waiting)


KEPT = 16 * 1024
"""Maximum bytes of a response body that are kept."""
_PIECE = 16_384
"""Maximum bytes of responses that are parsed at a time."""
_MOST_ANSWERS = 20
"""Maximum responses queued on a connection beyond one piece: no client reads so many interim ones."""
_MOST_BYTES = 2 * 1024 * 1024
"""Maximum bytes of one response: heads and the drained part of a body are smaller."""
_EMPTY = frozenset({204, 304})
"""Statuses without a body, whatever the head declares."""

Parsed = tuple[Any, bool, bytes]
_NOTHING: Parsed = ((), False, b"")


class Answering(ResponseHandler):
    """One connection. Parses no more of a response than is read, because parsing blocks all other hooks.

    A quarter of a megabyte of interim responses can arrive at once and takes 60 ms. A chunk size may have endless
    leading zeros or extensions, which could use all CPU time until the attempt's timeout.
    """

    answer: "_AnswerParser | None" = None
    _watched: int | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop, unseen: Unseen) -> None:
        super().__init__(loop)
        self._unseen = unseen
        self._received = 0
        self.unarrived: int | None = None
        """Bytes not acknowledged when the receiver closed its side; None: unknown, or still open."""

    @property
    def begun(self) -> bool:
        """Returns whether any bytes arrived since the request."""
        return self._received > 0

    def expect_answer(self) -> None:
        """Called before each request; aiohttp's set_response_params without its constant parts."""
        self._received = 0
        self._read_bufsize = KEPT
        self._parser: Any = _AnswerParser(self)
        self.answer = self._parser

    def another_parser(self) -> HttpResponseParser:
        """Returns a new parser."""
        return HttpResponseParser(
            self,
            self._loop,
            KEPT,
            payload_exception=ClientPayloadError,
            read_until_eof=True,
            auto_decompress=False,
            max_line_size=answer_head.MOST_HEAD,
            max_field_size=answer_head.MOST_HEAD,
            max_headers=answer_head.MOST_FIELDS,
        )

    def is_idle(self, *, secure: bool) -> bool:
        """Returns whether this kept connection received nothing, neither end of file nor unexpected bytes."""
        if self.should_close or self.transport is None:
            return False
        if self._watched is None:
            self._watched = self._unseen.watch(self.transport, secure=secure)
        return not self._unseen.has(self._watched)

    def data_received(self, data: bytes) -> None:
        """Called by the transport. Input beyond the limits is dropped; the connection is closed anyway."""
        self._received += len(data)
        if len(data) <= _PIECE and self._received <= _MOST_BYTES:
            super().data_received(data)
            return
        for start in range(0, len(data), _PIECE):
            if len(self) > _MOST_ANSWERS or self.transport is None or self.transport.is_closing():
                return
            if self._received > _MOST_BYTES:
                self.transport.abort()
                return
            super().data_received(data[start : start + _PIECE])

    def give_up(self) -> None:
        """The timeout expired."""
        if self.answer is not None:
            self.answer.give_up("it did not end within the time limit")

    def eof_received(self) -> None:
        """The receiver closed its side; with TLS the socket is gone when connection_lost is called."""
        self.unarrived = unacknowledged(self.transport)
        super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called once, when the connection is closed."""
        if exc is None and self.unarrived is None:
            self.unarrived = unacknowledged(self.transport)
        super().connection_lost(exc)


class _AnswerParser:
    """The parser that replaces the protocol's and wraps it; fails only without a valid status line.

    Until the final head is parsed, its bytes are kept: if the strict parser rejects them, the complete head is parsed
    leniently, so that the result does not depend on TCP segmentation.
    """

    __slots__ = ("_head", "_looked", "_parser", "_payload", "_protocol", "_refused", "fault")

    def __init__(self, protocol: Answering) -> None:
        self.fault = ""
        self._protocol = protocol
        self._parser = protocol.another_parser()
        self._head: bytes | bytearray = b""
        self._looked = 0
        self._refused = False
        self._payload: Any = None

    def feed_data(self, data: bytes) -> Parsed:
        """Returns the responses that begin in these bytes, whether the protocol was upgraded, and the rest."""
        if self._payload is not None:
            return self._rest(data)
        parsed = None if self._refused else self._tried(data)
        if parsed is not None and self._payload is not None:
            return parsed
        self._head = self._head or bytearray()
        self._head += data
        if parsed is not None and len(self._head) <= answer_head.MOST_HEAD:
            return parsed
        self._refused = True
        return self._read_anew()

    def _tried(self, data: bytes) -> Parsed | None:
        """Returns the strict parser's result; None if it rejects the bytes."""
        try:
            parsed: Parsed = self._parser.feed_data(data)
        except Exception:  # noqa: BLE001 - on any error the lenient parser takes over
            return None
        return self._begin(parsed) if parsed[0] else parsed

    def feed_eof(self) -> None:
        """End of connection, which also ends a body without length."""
        if self._payload is not None and not self._payload.is_eof():
            with suppress(Exception):  # the parser's message about the incomplete body
                self._parser.feed_eof()
        self.give_up("it broke off")

    def give_up(self, fault: str) -> None:
        """Stop waiting: the received part is the whole response."""
        if self._payload is None:
            head, _ = answer_head.divided(bytes(self._head))
            if begun := self._mended(head, fault):
                self._protocol.feed_data((begun[0][0][0], EMPTY_PAYLOAD))
        elif not self._payload.is_eof() and self._payload.exception() is None:
            self._close(fault)
            self._payload.set_exception(ClientPayloadError())

    def pause_reading(self) -> None:
        """Called when the reader of the body does not keep up."""
        self._parser.pause_reading()

    def _begin(self, parsed: Parsed) -> Parsed:
        """Record where the final response began; bytes after it are unexpected."""
        messages, upgraded, tail = parsed
        for index, (message, payload) in enumerate(messages, 1):
            code = message.code
            if code < 200 and answer_head.is_interim(code):
                continue
            self._payload = payload
            self._head = b""
            if code in _EMPTY:
                self._expect_nothing(message)
            if index < len(messages):
                self._excess()
                return messages[:index], upgraded, tail
            break
        return parsed

    def _expect_nothing(self, message: Any) -> None:
        if message.chunked or message.headers.get("Content-Length", "0").strip() != "0":
            self._payload = EMPTY_PAYLOAD
            self._close("" if message.code == 304 else f"a {message.code} has no body, and it announces one")

    def _read_anew(self) -> Parsed:
        looked, self._looked = self._looked, len(self._head)
        if (
            looked
            and looked < self._looked <= answer_head.MOST_HEAD
            and not answer_head.is_ended(self._head, since=looked)
        ):
            return _NOTHING
        head, rest = answer_head.divided(bytes(self._head))
        begun: Parsed | None = None
        if len(head) > answer_head.MOST_HEAD:
            begun = self._mended(head[: answer_head.MOST_HEAD], "its head is too long")
        elif rest is not None:
            begun = self._parsed(head) or self._mended(head)
        elif not answer_head.is_hopeless(head):
            self._head = bytearray(head)
            self._looked = len(head)
            return _NOTHING
        if begun is None:
            raise HttpProcessingError(message="no status line")
        if rest:
            self._rest(rest)
        return begun

    def _mended(self, head: bytes, fault: str = "") -> Parsed | None:
        """Returns the result for a malformed head; None if it has no final status."""
        code = answer_head.status_of(head)
        if code is None or answer_head.is_interim(code):
            return None
        content, doubt = answer_head.mended(head, fault)
        self._close(doubt)
        return self._parsed(content) or self._parsed(answer_head.bare(code))

    def _parsed(self, head: bytes) -> Parsed | None:
        """Returns a new parser's result for a whole head; None if it rejects it."""
        self._parser = self._protocol.another_parser()
        parsed = self._tried(head)
        return parsed if self._payload is not None else None

    def _rest(self, data: bytes) -> Parsed:
        payload = self._payload
        if payload.is_eof() or payload.exception() is not None:
            if data:
                self._excess()
            return _NOTHING
        try:
            messages, upgraded, tail = self._parser.feed_data(data)
        except Exception:  # noqa: BLE001 - the status is valid; the reader of the body gets the error
            if payload.is_eof():
                self._excess()
            else:
                self._close("its body is not framed as HTTP has it")
                payload.set_exception(ClientPayloadError())
            return _NOTHING
        if messages:
            self._excess()
        return (), upgraded, tail

    def _excess(self) -> None:
        self._close("more comes than it announced")

    def _close(self, fault: str) -> None:
        self.fault = self.fault or fault
        self._protocol.force_close()
