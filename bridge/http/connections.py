"""Connections of clients: no more at once than there is room for, and none that holds its place for nothing.

aiohttp (3.14) bounds neither how many there are nor how long a head may be in all, and lets a client that reads
nothing hold its answer for ever.
"""

import asyncio
import resource
from collections.abc import Callable
from typing import cast

from aiohttp.web_protocol import RequestHandler

IDLE = 75.0
"""Seconds for a whole head to arrive, from the connection or from the answer before: longer than proxies keep one."""
MOST_HEAD = 64 * 1024
"""Bytes of one head."""
_UNREAD = 60.0
_REFUSAL = b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n"
_FULL = _REFUSAL % b"503 Service Unavailable" + b"Retry-After: 1\r\n\r\n"
_TOO_LONG = _REFUSAL % b"431 Request Header Fields Too Large" + b"\r\n"


class Connections:
    """The protocol of each connection of a listening socket.

    Where all places are taken, the one goes that has waited longest for a head, those first that never sent one:
    so connections that are held open for nothing keep nobody out. Where requests are under way on all of them,
    a new one gets 503.
    """

    def __init__(self, make: Callable[[], RequestHandler], most: int, unread: float = _UNREAD) -> None:
        """`most` connections; `unread`: seconds in which a client must read something of what is sent to it."""
        self.unread = unread
        self._make = make
        self._most = min(most, _files() // 2)
        self._open: dict[_Connection, None] = {}

    def __call__(self) -> asyncio.Protocol:
        """What the event loop asks for each connection."""
        return _Connection(self, self._make)

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def enter(self, connection: "_Connection") -> bool:
        """A place for this one; False where there is none."""
        if len(self._open) >= self._most:
            waiting = [each for each in self._open if each.waits]
            if not waiting:
                return False
            longest = min(waiting, key=lambda each: (each.heard, each.since))
            self.leave(longest)
            longest.cut()
        self._open[connection] = None
        return True

    def leave(self, connection: "_Connection") -> None:
        """It needs its place no longer."""
        self._open.pop(connection, None)


class _Connection(asyncio.Protocol):
    """One connection: aiohttp's own protocol, with bounds around it."""

    __slots__ = ("_head", "_inner", "_make", "_places", "_transport", "_unread", "heard", "since")

    def __init__(self, places: Connections, make: Callable[[], RequestHandler]) -> None:
        self._places = places
        self._make = make
        self._inner: RequestHandler | None = None
        self._head = 0
        self._unread: asyncio.TimerHandle | None = None
        self.heard = False
        self.since = 0.0

    @property
    def waits(self) -> bool:
        """Whether it is the client's turn to send a head."""
        inner = self._inner
        # Of aiohttp's own (3.14): what it waits with for the next head, and the heads that were read.
        return inner is None or (inner._waiter is not None and not inner._messages)  # noqa: SLF001

    def cut(self) -> None:
        """End it at once."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # One of uvloop's (0.23) is no asyncio.Transport by its class.
        self._transport = cast("asyncio.Transport", transport)
        self.since = asyncio.get_running_loop().time()
        if not self._places.enter(self):
            self._transport.write(_FULL)
            self._transport.close()
            return
        self._inner = self._make()
        self._inner.connection_made(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._inner is None:
            return
        self._inner.data_received(data)
        if not self.waits:
            self._head, self.heard = 0, True
            self.since = asyncio.get_running_loop().time()
            return
        self._head += len(data)
        if self._head > MOST_HEAD:
            self._transport.write(_TOO_LONG)
            self._inner.force_close()

    def eof_received(self) -> None:
        if self._inner is not None:
            self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._places.leave(self)
        self._forget_unread()
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()
            self._unread = asyncio.get_running_loop().call_later(self._places.unread, self.cut)

    def resume_writing(self) -> None:
        self._forget_unread()
        if self._inner is not None:
            self._inner.resume_writing()

    def _forget_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


def _files() -> int:
    """How many files and sockets this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if soft == resource.RLIM_INFINITY else soft
