"""The HTTP server: one listening socket, or a second one for all routes but inlets and health."""

import asyncio
import errno
import logging
import resource
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler
from prometheus_client import CollectorRegistry

from bridge.core.errors import ListenFailed
from bridge.http.api import MOST_BODY, PREFIX, Api
from bridge.http.documents import errors_as_problems
from bridge.http.health import Docs, Health, metrics_route
from bridge.settings.transport import host_and_port
from bridge.settings.tree import Http
from bridge.telemetry import events

# The connections of clients: their number is bounded, and none is kept open without requests. aiohttp (3.14) limits neither
# their number nor the size of a request head, and lets a client that reads nothing hold its response for ever.


IDLE = 75.0
"""Seconds for a whole request head to arrive, after the connection or the previous response: longer than proxies keep
connections.
"""
MOST_HEAD = 64 * 1024
"""Maximum bytes of one request head."""
_UNREAD = 60.0
_REFUSAL = b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n"
_FULL = _REFUSAL % b"503 Service Unavailable" + b"Retry-After: 1\r\n\r\n"
_TOO_LONG = _REFUSAL % b"431 Request Header Fields Too Large" + b"\r\n"


class Connections:
    """The factory of the protocol of each connection of a listening socket.

    If the limit is reached, the connection that has waited longest for a head is closed, those without any request first: so
    idle connections exclude nobody. If requests are in progress on all of them, a new one gets 503.
    """

    def __init__(self, make: Callable[[], RequestHandler], most: int, unread: float = _UNREAD) -> None:
        """`most`: maximum number of connections; `unread`: seconds within which a client must read some of what is sent."""
        self.unread = unread
        self._make = make
        self._most = min(most, _files() // 2)
        self._open: dict[_Connection, None] = {}

    def __call__(self) -> asyncio.Protocol:
        """Returns a new protocol; called by the event loop for each connection."""
        return _Connection(self, self._make)

    def __len__(self) -> int:
        """Returns the number of open connections."""
        return len(self._open)

    def enter(self, connection: "_Connection") -> bool:
        """Registers the connection; returns False if the limit is reached."""
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
        """Unregisters the connection."""
        self._open.pop(connection, None)


class _Connection(asyncio.Protocol):
    """A connection: aiohttp's own protocol, with limits around it."""

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
        """Returns whether the client has to send a head."""
        inner = self._inner
        # Attributes of aiohttp (3.14): the future with which it waits for the next head, and the heads that were read.
        return inner is None or (inner._waiter is not None and not inner._messages)  # noqa: SLF001

    def cut(self) -> None:
        """Aborts the connection."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transport (0.23) is not an instance of asyncio.Transport.
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
    """Returns the number of files and sockets that this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1_000_000 if soft == resource.RLIM_INFINITY else soft


_CLOSING = 5.0
_LINGERING = 2.0
"""Seconds for which the rest of a body is discarded, so that its sender can read why it was refused."""

_MOST_HEADERS = 300
"""Maximum headers of a request that are parsed; inlets answer 431 for more than they pass on, this limit leads to 400."""

_LONGEST_LINE = 60 * 1024
"""Maximum bytes of the request line, with a query that may hold an expression; the whole head has its own limit."""

Routes = Sequence[web.AbstractRouteDef]
Mounted = Mapping[str, Callable[[], web.Application]]
"""What makes the applications of a socket, by the prefix of their paths."""
UI_PREFIX = "/ui"


class HttpServer:
    """Serves from `start` to `stop`.

    `inlets` and health are served on `listen`. `api`, `admin` and /metrics are served there too, unless `admin_listen` gives
    them their own socket, on which everything is served.
    """

    def __init__(
        self,
        settings: Http,
        health: Health,
        registry: CollectorRegistry,
        *,
        want_examples: Callable[[], None] = lambda: None,
        inlets: Routes = (),
        admin: Routes = (),
        api: Api | None = None,
        ui: Callable[[], web.Application] | None = None,
    ) -> None:
        """`want_examples`: see `metrics_route`; `ui` makes the application of the operator UI, served beside the API."""
        open_routes = [*health.routes(), *inlets]
        described = [] if api is None else Docs(ui=ui is not None).routes()
        every_route = [*open_routes, metrics_route(registry, want_examples), *described, *admin]
        applications = {} if api is None else {PREFIX: api.application}
        if ui is not None:
            applications[UI_PREFIX] = ui
        if settings.admin_listen is None:
            self._sockets = [
                _Socket("http", settings.listen, every_route, settings.connections, applications)
            ]
        else:
            self._sockets = [
                _Socket("http", settings.listen, open_routes, settings.connections),
                _Socket("admin", settings.admin_listen, every_route, settings.connections, applications),
            ]

    @property
    def addresses(self) -> dict[str, str]:
        """Returns the base URL of each socket, with its actual port: `http`, and `admin` if there is one."""
        return {socket.purpose: socket.url for socket in self._sockets}

    async def start(self) -> None:
        """Starts to listen; raises ListenFailed, with nothing left open, if an address is unavailable."""
        try:
            for socket in self._sockets:
                await socket.open()
        except ListenFailed:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Closes the sockets; requests in progress get five seconds to end."""
        for socket in self._sockets:
            await socket.close()


class _Socket:
    """A listening address with its routes."""

    def __init__(
        self, purpose: str, listen: str, routes: Routes, most: int, mounted: Mounted = MappingProxyType({})
    ) -> None:
        self.purpose = purpose
        self.url = ""
        self._listen = listen
        self._routes = routes
        self._most = most
        self._mounted = mounted
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        host, port = host_and_port(self._listen)
        self._runner = web.AppRunner(
            _application(self._routes, self._mounted),
            access_log=None,
            shutdown_timeout=_CLOSING,
            lingering_time=_LINGERING,
            max_headers=_MOST_HEADERS,
            max_line_size=_LONGEST_LINE,
            logger=_LOGGER,
            keepalive_timeout=IDLE,
            auto_decompress=False,  # signatures cover the bytes sent, and a small body may inflate to gigabytes
        )
        await self._runner.setup()
        try:
            await _Site(self._runner, host, port, self._most).start()
        except OSError as error:
            raise ListenFailed(_explained(self.purpose, self._listen, error)) from error
        host, port, *_ = self._runner.addresses[0]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        events.process.info("http.listening", purpose=self.purpose, address=self.url)

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None


class _Site(web.BaseSite):
    """A TCPSite whose connections are bounded."""

    def __init__(self, runner: web.AppRunner, host: str | None, port: int, most: int) -> None:
        super().__init__(runner)
        self._host = host
        self._port = port
        self._most = most

    @property
    def name(self) -> str:
        """Returns the address in aiohttp's notation."""
        return f"http://{self._host or '0.0.0.0'}:{self._port}"  # noqa: S104 - told, not listened on

    async def start(self) -> None:
        """Starts to listen."""
        await super().start()
        server = self._runner.server
        assert server is not None
        connections = Connections(server, self._most)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(connections, self._host, self._port, backlog=self._backlog)


def _worth_an_error(record: logging.LogRecord) -> bool:
    """Returns False for malformed HTTP, which anybody can send; logs it as one line without its bytes."""
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, HttpProcessingError):
        return True
    remote = record.args[0] if isinstance(record.args, tuple) and record.args else None
    events.process.info("http.malformed", remote=str(remote), kind=type(error).__name__)
    return False


_LOGGER = logging.getLogger("bridge.http")
_LOGGER.addFilter(_worth_an_error)


def _application(routes: Routes, mounted: Mounted) -> web.Application:
    app = web.Application(middlewares=[errors_as_problems], client_max_size=MOST_BODY)
    app.add_routes(routes)
    for prefix, make in mounted.items():
        app.add_subapp(prefix, make())
    app.on_response_prepare.append(_name_the_server)
    return app


async def _name_the_server(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "amqp-bridge"  # aiohttp would send its own version and Python's


def _explained(purpose: str, listen: str, error: OSError) -> str:
    setting = "http.admin_listen" if purpose == "admin" else "http.listen"
    match error.errno:
        case errno.EADDRINUSE:
            reason = "another program listens there; stop it or choose another port"
        case errno.EACCES:
            reason = "this user may not; choose a port from 1024 up"
        case errno.EADDRNOTAVAIL:
            reason = "this machine has no such address; 0.0.0.0 means every one it has"
        case _:
            reason = error.strerror or str(error)
    return f"cannot listen on {listen} ({setting}): {reason}"
