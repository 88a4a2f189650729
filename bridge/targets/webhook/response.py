"""What comes from a receiver: aiohttp's protocol and parser, held to this: a status that was read counts.

aiohttp (3.14) gives up an answer whose framing is at fault, or not, as its TCP segments happen to fall: what was
parsed of a segment is lost with an error in the same segment.
"""

import asyncio
import select
import socket
import struct
from asyncio import BaseTransport
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpResponseParser
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD

from bridge.wire.answer_head import (
    MOST_FIELDS,
    MOST_HEAD,
    bare,
    divided,
    is_ended,
    is_hopeless,
    is_interim,
    mended,
    status_of,
)

# What the kernel knows of a connection: whether it is still one, and whether the receiver has what was sent.
# A receiver that closes a kept-alive connection while a request is on its way answers nothing, and has not seen
# it. One that read the request and ended may have done what it asks. Only TCP's acknowledgements tell them
# apart.


_INT, _LONG, _LONGS = struct.Struct("=I"), struct.Struct("=Q"), struct.Struct("=QQ")
_INFO_SIZE = 232
"""Bytes of struct tcp_info up to what is read here (linux/tcp.h, Linux 4.19)."""
_BYTES_ACKED, _NOT_SENT, _BYTES_SENT = 120, 144, 200
_GONE = select.POLLERR | select.POLLHUP | getattr(select, "POLLRDHUP", 0)


def news_of(transport: BaseTransport, *, secure: bool) -> Callable[[int], object]:
    """What to call to know what came from the receiver that the event loop has not heard of; 0: without waiting.

    Its closing is such a thing. So are bytes that nobody asked for, but with TLS, which has words of its own.
    """
    poll = select.poll()
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        poll.register(sock.fileno(), _GONE if secure else _GONE | select.POLLIN)
    return poll.poll


def unacknowledged(transport: BaseTransport | None) -> int | None:
    """How much of what was sent had not arrived when the receiver closed its side; None: the kernel does not tell.

    Of a reset it is not told: whoever reads a request and resets at once has not acknowledged it either.
    """
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None:
        return None
    try:
        # uvloop's has no getsockopt. Detached, so that the descriptor stays open.
        whole = socket.socket(fileno=sock.fileno())
        try:
            info = whole.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
        finally:
            whole.detach()
        acked, (waiting,) = _LONG.unpack_from(info, _BYTES_ACKED)[0], _INT.unpack_from(info, _NOT_SENT)
        sent, again = _LONGS.unpack_from(info, _BYTES_SENT)
    except (AttributeError, OSError, ValueError, struct.error):
        return None
    # The first that is acknowledged is the SYN.
    return int(sent - again - (acked - 1) + waiting)


KEPT = 16 * 1024
"""Bytes of an answer's body that are kept."""
_PIECE = 16_384
"""Bytes of answers that are parsed at a time."""
_MOST_ANSWERS = 20
"""That may wait on a connection beyond what one piece brings: nobody reads so many interim ones."""
_MOST_BYTES = 2 * 1024 * 1024
"""Of one answer, whatever they are: heads that are taken and the part of a body that is read are smaller."""
_EMPTY = frozenset({204, 304})
"""Statuses whose answers have no body, whatever their head says."""

Parsed = tuple[Any, bool, bytes]
_NOTHING: Parsed = ((), False, b"")


class Answering(ResponseHandler):
    """One connection. Parses no more of an answer than anybody reads, for what it parses holds up all other hooks.

    A quarter of a megabyte of interim answers comes in one piece, and takes 60 ms. The size of a chunk may have zeros
    before it without end, or extensions behind it, and all the bridge's time until the attempt's is over.
    """

    _answer: "_AnswerParser | None" = None
    _news: Callable[[int], object] | None = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._received = 0
        self.unarrived: int | None = None
        """Bytes that had not arrived when the receiver closed its side; None: not known, or it did not."""

    @property
    def begun(self) -> bool:
        """Whether anything came since the request."""
        return self._received > 0

    @property
    def fault(self) -> str:
        """What is wrong with the framing of the answer; a connection that has one is not used again."""
        return self._answer.fault if self._answer is not None else ""

    def expect_answer(self) -> None:
        """Called before each request; aiohttp's set_response_params without what is the same each time."""
        self._received = 0
        self._read_bufsize = KEPT
        self._parser: Any = _AnswerParser(self)
        self._answer = self._parser

    def another_parser(self) -> HttpResponseParser:
        """One that has seen nothing yet."""
        return HttpResponseParser(
            self,
            self._loop,
            KEPT,
            payload_exception=ClientPayloadError,
            read_until_eof=True,
            auto_decompress=False,
            max_line_size=MOST_HEAD,
            max_field_size=MOST_HEAD,
            max_headers=MOST_FIELDS,
        )

    def is_idle(self, *, secure: bool) -> bool:
        """Whether nothing came on this kept connection, neither its end nor bytes that nobody asked for."""
        if self.should_close or self.transport is None:
            return False
        if self._news is None:
            self._news = news_of(self.transport, secure=secure)
        return not self._news(0)

    def data_received(self, data: bytes) -> None:
        """Called by the transport. What is left out comes on a connection that is closed for what went before."""
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
        """The time is over."""
        if self._answer is not None:
            self._answer.give_up("it did not end within the time limit")

    def eof_received(self) -> None:
        """The receiver ends its side; over TLS the socket is not there any more when the connection is lost."""
        self.unarrived = unacknowledged(self.transport)
        super().eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called once."""
        if exc is None and self.unarrived is None:
            self.unarrived = unacknowledged(self.transport)
        super().connection_lost(exc)


class _AnswerParser:
    """Stands where the protocol has its parser, and asks it; fails only where there was no status line.

    Until the final head is parsed, what came is kept: where the parser refuses it, it is read anew once it is whole,
    as other clients read it, so that nothing depends on how it was cut into segments.
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
        """The answers that begin in these bytes, whether the protocol is another from now on, and what is left."""
        if self._payload is not None:
            return self._rest(data)
        parsed = None if self._refused else self._tried(data)
        if parsed is not None and self._payload is not None:
            return parsed
        self._head = self._head or bytearray()
        self._head += data
        if parsed is not None and len(self._head) <= MOST_HEAD:
            return parsed
        self._refused = True
        return self._read_anew()

    def _tried(self, data: bytes) -> Parsed | None:
        """What the parser makes of it; None if it refuses."""
        try:
            parsed: Parsed = self._parser.feed_data(data)
        except Exception:  # noqa: BLE001 - whatever it is, what came is read anew
            return None
        return self._begin(parsed) if parsed[0] else parsed

    def feed_eof(self) -> None:
        """The connection ended; so does a body that ends with it."""
        if self._payload is not None and not self._payload.is_eof():
            with suppress(Exception):  # of what a body lacks, in words of the parser
                self._parser.feed_eof()
        self.give_up("it broke off")

    def give_up(self, fault: str) -> None:
        """No more is waited for: what came of the answer is all of it."""
        if self._payload is None:
            head, _ = divided(bytes(self._head))
            if begun := self._mended(head, fault):
                self._protocol.feed_data((begun[0][0][0], EMPTY_PAYLOAD))
        elif not self._payload.is_eof() and self._payload.exception() is None:
            self._close(fault)
            self._payload.set_exception(ClientPayloadError())

    def pause_reading(self) -> None:
        """Whoever reads the body does not keep up."""
        self._parser.pause_reading()

    def _begin(self, parsed: Parsed) -> Parsed:
        """Note where the final answer began; what comes behind it, nobody asked for."""
        messages, upgraded, tail = parsed
        for index, (message, payload) in enumerate(messages, 1):
            code = message.code
            if code < 200 and is_interim(code):
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
        if looked and looked < self._looked <= MOST_HEAD and not is_ended(self._head, since=looked):
            return _NOTHING
        head, rest = divided(bytes(self._head))
        begun: Parsed | None = None
        if len(head) > MOST_HEAD:
            begun = self._mended(head[:MOST_HEAD], "its head is too long")
        elif rest is not None:
            begun = self._parsed(head) or self._mended(head)
        elif not is_hopeless(head):
            self._head = bytearray(head)
            self._looked = len(head)
            return _NOTHING
        if begun is None:
            raise HttpProcessingError(message="no status line")
        if rest:
            self._rest(rest)
        return begun

    def _mended(self, head: bytes, fault: str = "") -> Parsed | None:
        """What is made of a head that is at fault; None where it has no final status."""
        code = status_of(head)
        if code is None or is_interim(code):
            return None
        content, doubt = mended(head, fault)
        self._close(doubt)
        return self._parsed(content) or self._parsed(bare(code))

    def _parsed(self, head: bytes) -> Parsed | None:
        """What a new parser makes of a whole head; None if it refuses."""
        self._parser = self._protocol.another_parser()
        parsed = self._tried(head)
        return parsed if self._payload is not None else None

    def _rest(self, data: bytes) -> Parsed:
        """The body, as far as it goes."""
        payload = self._payload
        if payload.is_eof() or payload.exception() is not None:
            if data:
                self._excess()
            return _NOTHING
        try:
            messages, upgraded, tail = self._parser.feed_data(data)
        except Exception:  # noqa: BLE001 - the status stands; who reads the body is told
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
