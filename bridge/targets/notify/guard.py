"""Isolation of Apprise's plugins: SSRF protection, timeouts, and capture of responses.

Apprise exposes neither sockets nor responses: its plugins call requests, smtplib and paho-mqtt themselves. Therefore
each call runs in a thread of the bridge that is marked with a Call, and

- an audit hook (PEP 578) checks the address of every connect() of that thread, in any library and after name
  resolution, so neither DNS nor a redirect bypasses the SSRF protection;
- the thread's sockets can be shut down from outside, which ends a thread that waits for a silent server;
- Apprise's log records are kept with the exception they belong to, and are not emitted: they contain tokens.

Threads without a Call are not affected.
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

# A bounded pool of threads for blocking calls, which the process never has to join.


T = TypeVar("T")


class TooManyHang(Exception):
    """At least half of the threads are still blocked by attempts that ended long ago."""


class Crew:
    """A pool of up to `size` daemon threads, one for each call.

    concurrent.futures would join its threads when Python exits. A caller that stops waiting (by timeout or
    cancellation) abandons its thread, which occupies its slot until it ends.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._places = asyncio.Semaphore(size)
        self._left: set[asyncio.Future[None]] = set()

    @property
    def left(self) -> int:
        """Returns the number of abandoned threads."""
        return len(self._left)

    async def run(self, work: Callable[[], T]) -> T:
        """Returns or raises the result of `work`, run in a thread once a slot is free.

        Raises TooManyHang at once while half of the slots are held by abandoned threads.
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
            except Exception as raised:  # noqa: BLE001 - passed on to the awaiting task
                error = raised
            # The loop may be closed: the bridge does not wait for blocked threads.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(end, error)

        try:
            threading.Thread(target=in_thread, name=self._name, daemon=True).start()
        except RuntimeError:  # the system cannot start another thread
            self._places.release()
            raise
        return ended

    def _forget(self, ended: "asyncio.Future[None]") -> None:
        self._left.discard(ended)
        if not ended.cancelled():
            ended.exception()  # The result is not awaited any more; an unretrieved exception would be logged.


# The request target of json://, xml:// and form:// exactly as in the URL. Apprise decodes paths and queries and encodes
# them again, and so do requests and urllib3: %40 and %7E become characters, %c3 becomes %C3, // becomes /. A receiver
# that compares or verifies the request target expects the bytes of the URL.


_SCHEMES = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})
_PARTS = re.compile(r"[^:/?#]*://[^/?#]*(?P<path>[^?#]*)(?:[^?]*\?(?P<query>.*))?", re.DOTALL)
_PARAMETER = re.compile(r"(?:-|%2[dD])(?P<sent>.*)", re.DOTALL)
"""Query options are for Apprise; options with a hyphen before their name are sent, without the hyphen."""


class PathAndQuery(NamedTuple):
    """Path and query; the query None: Apprise's."""

    path: str
    query: str | None

    def instead_of(self, made: str) -> str:
        """Returns the request target to send in place of Apprise's."""
        query = made.partition("?")[2] if self.query is None else self.query
        return f"{self.path}?{query}" if query else self.path


def written(url: str, scheme: str, method: str) -> PathAndQuery | None:
    """Returns the request target of the URL; None if the service uses another one, or the URL is invalid.

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
    whole = PathAndQuery(parts["path"] or "/", query)
    return whole if TARGET.fullmatch(whole.path + (query or "")) else None


_MOST_LINES = 20
_LONGEST_LINE = 500
_marked = threading.local()


class PluginResponse(NamedTuple):
    """An HTTP response that a plugin received; `body` is its beginning, `retry_after` its header."""

    code: int
    retry_after: str
    body: bytes


class PluginCall:
    """The state of one URL in one attempt, shared by the sending thread and the waiting attempt.

    `deadline` is on the monotonic clock. `had` are the pieces of the message that were delivered, now or earlier.
    `asks_for` is the request target, if known.
    """

    def __init__(
        self,
        gate: AddressGate,
        deadline: float,
        had: frozenset[str] = frozenset(),
        asks_for: PathAndQuery | None = None,
    ) -> None:
        self._gate = gate
        self.asks_for = asks_for
        self.deadline = deadline
        self.had = set(had)
        self.refusal = ""
        self.replies: list[PluginResponse] = []
        self.error: OSError | None = None
        self.lines: list[str] = []
        self.limited: set[str] = set()
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._ended = False

    def left(self) -> float:
        """Returns the seconds to the deadline. Raises TimeoutError if it has passed or the call was cut."""
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
        """Refuse an address (BlockedAddress), or register the socket so that it can be shut down."""
        host = address[0] if isinstance(address, tuple) else "a local socket"
        if reason := self._gate.refusal(str(host)):
            self.refusal = reason
            raise BlockedAddress(reason)
        # A duplicated descriptor: TLS detaches the socket object, and a bare number may be reused by another socket.
        own = socket.socket(dialled.family, dialled.type, dialled.proto, fileno=os.dup(dialled.fileno()))
        with self._lock:
            if not self._ended:
                self._sockets.append(own)
                return
        own.close()
        raise TimeoutError("no time left")

    def cut(self) -> None:
        """Shut down the thread's sockets. Thread-safe."""
        with self._lock:
            self._ended = True
            for one in self._sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def told(self, record: logging.LogRecord) -> None:
        """Keep a record of Apprise's log and the current exception."""
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


def current() -> PluginCall | None:
    """Returns the call of the current thread."""
    return getattr(_marked, "call", None)


@contextlib.contextmanager
def lifted() -> Iterator[None]:
    """Suspends the checks for a library's own sockets: paho-mqtt wakes its thread over loopback."""
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
    # Called for every audit event of the process: the common case must be this one comparison.
    if event == "socket.connect" and (call := current()) is not None:
        call.dialling(details[0], details[1])


def _install() -> None:
    sys.addaudithook(_audit)
    apprise = logging.getLogger("apprise")
    apprise.addHandler(_Listener())
    apprise.setLevel(logging.DEBUG)
    apprise.propagate = False
    # urllib3 logs request paths at DEBUG and those of malformed responses at WARNING; paths contain tokens.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


_install()
