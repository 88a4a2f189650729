"""What a plugin of Apprise may dial while it sends for us, how long, and what it met there.

Apprise hands out neither sockets nor answers: its plugins call requests, smtplib and paho-mqtt by themselves. So
each call runs in a thread of ours that is marked with a Call, and

- an audit hook (PEP 578) sees the address of every connect() of that thread, whichever library makes it and
  after all name resolution, so neither DNS nor a redirect leads past the address gate;
- the sockets it connected can be shut down from outside, which ends a thread that waits for a silent server;
- what Apprise writes into its log is kept with the exception it speaks of, and goes nowhere else: it holds tokens.

Threads without a Call are not touched.
"""

import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from bridge.rules.wire.address import AddressGate
from bridge.targets.notify.written import Written
from bridge.targets.web.pool import BlockedAddress

_MOST_LINES = 20
_LONGEST_LINE = 500
_marked = threading.local()


class Reply(NamedTuple):
    """An HTTP answer that a plugin got; `body` is its beginning, `retry_after` as its header says."""

    code: int
    retry_after: str
    body: bytes


class Call:
    """One URL's turn in one attempt, from the thread that sends it to the attempt that waits for it.

    `deadline` is on the monotonic clock. `had` are the pieces of the message that arrived, now or earlier. `asks_for` is
    the target of its requests, where it is known.
    """

    def __init__(
        self,
        gate: AddressGate,
        deadline: float,
        had: frozenset[str] = frozenset(),
        asks_for: Written | None = None,
    ) -> None:
        self._gate = gate
        self.asks_for = asks_for
        self.deadline = deadline
        self.had = set(had)
        self.refusal = ""
        self.replies: list[Reply] = []
        self.error: OSError | None = None
        self.lines: list[str] = []
        self.limited: set[str] = set()
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._ended = False

    def left(self) -> float:
        """Seconds to the deadline; TimeoutError when it has passed or the call was cut."""
        left = self.deadline - time.monotonic()
        if left <= 0 or self._ended:
            raise TimeoutError("no time left")
        return left

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Mark the current thread with this call."""
        _marked.call = self
        try:
            yield
        finally:
            _marked.call = None
            self._close()

    def dialling(self, dialled: socket.socket, address: Any) -> None:
        """Refuse an address (BlockedAddress), or remember the socket so that it can be cut."""
        host = address[0] if isinstance(address, tuple) else "a local socket"
        if reason := self._gate.refusal(str(host)):
            self.refusal = reason
            raise BlockedAddress(reason)
        # A descriptor of our own: TLS takes the socket object apart, and a number alone may be anyone's later.
        own = socket.socket(dialled.family, dialled.type, dialled.proto, fileno=os.dup(dialled.fileno()))
        with self._lock:
            if not self._ended:
                self._sockets.append(own)
                return
        own.close()
        raise TimeoutError("no time left")

    def cut(self) -> None:
        """End what the thread waits for on the network; it may be called from any thread."""
        with self._lock:
            self._ended = True
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def told(self, record: logging.LogRecord) -> None:
        """Keep a line of Apprise's log and the exception at hand."""
        raised = sys.exc_info()[1]
        if isinstance(raised, OSError):
            self.error = raised
        if record.levelno >= logging.WARNING and len(self.lines) < _MOST_LINES:
            self.lines.append(record.getMessage()[:_LONGEST_LINE])

    def _close(self) -> None:
        with self._lock:
            self._ended = True
            for one in self._sockets:
                one.close()
            self._sockets.clear()


def current() -> Call | None:
    """The call that the current thread works for."""
    return getattr(_marked, "call", None)


@contextlib.contextmanager
def lifted() -> Iterator[None]:
    """For what a library connects within its own process: paho-mqtt wakes its thread over a loopback socket."""
    call = current()
    _marked.call = None
    try:
        yield
    finally:
        _marked.call = call


class _Listener(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if call := current():
            call.told(record)


def _audit(event: str, details: tuple[Any, ...]) -> None:
    # Every audit event of the process comes through here: nothing may be slower than this comparison.
    if event == "socket.connect" and (call := current()) is not None:
        call.dialling(details[0], details[1])


def _install() -> None:
    sys.addaudithook(_audit)
    apprise = logging.getLogger("apprise")
    apprise.addHandler(_Listener())
    apprise.setLevel(logging.DEBUG)
    apprise.propagate = False
    # It logs the paths of requests at DEBUG, and at WARNING those of odd answers; paths hold tokens.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


_install()
