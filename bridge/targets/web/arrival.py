"""What the kernel knows of a connection: whether it is still one, and whether the receiver has what was sent.

A receiver that closes a kept-alive connection while a request is on its way answers nothing, and has not seen it. One
that read the request and ended may have done what it asks. Only TCP's acknowledgements tell them apart.
"""

import select
import socket
import struct
from asyncio import BaseTransport
from collections.abc import Callable

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
