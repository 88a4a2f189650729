"""What a plugin of Apprise may dial while it sends for us, how long, and what it met there.

Apprise hands out neither sockets nor answers: its plugins call requests, smtplib and paho-mqtt by themselves. So
each call runs in a thread of ours that is marked with a Call, and

- an audit hook (PEP 578) sees the address of every connect() of that thread, whichever library makes it and
  after all name resolution, so neither DNS nor a redirect leads past the address gate;
- the sockets it connected can be shut down from outside, which ends a thread that waits for a silent server;
- what Apprise writes into its log is kept with the exception it speaks of, and goes nowhere else: it holds tokens.

Threads without a Call are not touched.
"""

import asyncio
import contextlib
import logging
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

from bridge.targets.webhook.address import TARGET
from bridge.targets.webhook.pool import BlockedAddress
from bridge.wire.address_gate import AddressGate

# Threads for what blocks, a bounded number of them, that nobody ever has to wait for.


T = TypeVar("T")


class TooManyHang(Exception):
    """Half of the threads or more still work for attempts that ended long ago."""


class Crew:
    """Up to `size` daemon threads at once, one for each piece of work.

    Not concurrent.futures: that joins its threads when Python exits. Whoever stops waiting for its work (by a
    timeout, by being cancelled) leaves a thread behind that holds its place until it ends by itself.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._places = asyncio.Semaphore(size)
        self._left: set[asyncio.Future[None]] = set()

    @property
    def left(self) -> int:
        """Threads that nobody waits for any more."""
        return len(self._left)

    async def run(self, work: Callable[[], T]) -> T:
        """What `work`, run in a thread once there is a place for it, returns or raises.

        Raises TooManyHang at once while half of the places are held by threads left behind.
        """
        if self.left * 2 >= max(self._size, 2):
            raise TooManyHang(f"{self.left} earlier notifications of this hook still hang")
        await self._places.acquire()
        outcome: list[T] = []
        ended = self._start(lambda: outcome.append(work()))
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError:
            if not ended.done():
                self._left.add(ended)
                ended.add_done_callback(self._forget)
            raise
        return outcome[0]

    def _start(self, work: Callable[[], None]) -> "asyncio.Future[None]":
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()

        def end(error: BaseException | None) -> None:
            self._places.release()
            ended.set_exception(error) if error else ended.set_result(None)

        def in_thread() -> None:
            error: BaseException | None = None
            try:
                work()
            except Exception as raised:  # noqa: BLE001 - handed over to who waits
                error = raised
            # The loop may be gone: the bridge does not wait for what hangs.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(end, error)

        try:
            threading.Thread(target=in_thread, name=self._name, daemon=True).start()
        except RuntimeError:  # the system has no thread left to give
            self._places.release()
            raise
        return ended

    def _forget(self, ended: "asyncio.Future[None]") -> None:
        self._left.discard(ended)
        if not ended.cancelled():
            ended.exception()  # Nobody asks any more; unasked it would be logged.


# The request target of json://, xml:// and form:// as it stands in the URL.
# Apprise decodes paths and queries and encodes them again, requests and urllib3 do so once more: %40 and %7E
# become characters, %c3 becomes %C3, // becomes /. A receiver that compares or verifies what it was asked for
# means the bytes that were written.


_SCHEMES = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
_PARTS = re.compile(r"[^:/?#]*://[^/?#]*(?P<path>[^?#]*)(?:[^?]*\?(?P<query>.*))?", re.DOTALL)
_PARAMETER = re.compile(r"(?:-|%2[dD])(?P<sent>.*)", re.DOTALL)
"""Options in the query are Apprise's own; those with a hyphen before their name are sent, without the hyphen."""


class Written(NamedTuple):
    """Path and query; the query None: what Apprise makes of it."""

    path: str
    query: str | None

    def instead_of(self, made: str) -> str:
        """The target to send in place of the one that was made of it."""
        query = made.partition("?")[2] if self.query is None else self.query
        return f"{self.path}?{query}" if query else self.path


def written(url: str, scheme: str, method: str) -> Written | None:
    """What the URL says of the target; None where the service asks for something else, or it is no valid URL.

    With GET Apprise puts the message into the query.
    """
    parts = _PARTS.match(url.strip())
    if scheme not in _SCHEMES or parts is None:
        return None
    sent = [
        found["sent"]
        for option in re.split("[&;]", parts["query"] or "")
        if (found := _PARAMETER.match(option))
    ]
    query = None if method == "GET" and scheme.startswith("form") else "&".join(sent)
    whole = Written(parts["path"] or "/", query)
    return whole if TARGET.fullmatch(whole.path + (query or "")) else None


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
