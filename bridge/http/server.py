"""The HTTP server: one socket, or a second one for everything but inlets and health."""

import asyncio
import errno
import logging
from collections.abc import Sequence

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CollectorRegistry

from bridge.core.errors import ListenFailed
from bridge.http.api import MOST_BODY, PREFIX, Api
from bridge.http.connections import IDLE, Connections
from bridge.http.health import Docs, Health, metrics_route
from bridge.http.problem import errors_as_problems
from bridge.settings.transport import host_and_port
from bridge.settings.tree import Http
from bridge.telemetry import events

_CLOSING = 5.0
_LINGERING = 2.0
"""Seconds for which the rest of a body is thrown away, so that its sender gets to read why it was refused."""

_MOST_HEADERS = 300
"""Headers of a request that are read at all; inlets tell of more than they pass on with 431, this comes to 400."""

_LONGEST_LINE = 60 * 1024
"""Of a request, its query included, which may hold an expression; a whole head is bounded beside."""

Routes = Sequence[web.AbstractRouteDef]


class HttpServer:
    """Serves from `start` to `stop`.

    `inlets` and health answer on `listen`. `api`, `admin` and /metrics answer there too, unless `admin_listen` gives
    them a socket of their own, on which everything answers.
    """

    def __init__(
        self,
        settings: Http,
        health: Health,
        registry: CollectorRegistry,
        *,
        inlets: Routes = (),
        admin: Routes = (),
        api: Api | None = None,
    ) -> None:
        open_routes = [*health.routes(), *inlets]
        described = [] if api is None else Docs().routes()
        every_route = [*open_routes, metrics_route(registry), *described, *admin]
        if settings.admin_listen is None:
            self._sockets = [_Socket("http", settings.listen, every_route, settings.connections, api)]
        else:
            self._sockets = [
                _Socket("http", settings.listen, open_routes, settings.connections),
                _Socket("admin", settings.admin_listen, every_route, settings.connections, api),
            ]

    @property
    def addresses(self) -> dict[str, str]:
        """The base URL of each socket, with the real port: `http`, and `admin` where there is one."""
        return {socket.purpose: socket.url for socket in self._sockets}

    async def start(self) -> None:
        """Listen; raises ListenFailed, with nothing left open, where an address cannot be had."""
        try:
            for socket in self._sockets:
                await socket.open()
        except ListenFailed:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close the sockets; requests under way get five seconds to end."""
        for socket in self._sockets:
            await socket.close()


class _Socket:
    """One listening address with its routes."""

    def __init__(self, purpose: str, listen: str, routes: Routes, most: int, api: Api | None = None) -> None:
        self.purpose = purpose
        self.url = ""
        self._listen = listen
        self._routes = routes
        self._most = most
        self._api = api
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        host, port = host_and_port(self._listen)
        self._runner = web.AppRunner(
            _application(self._routes, self._api),
            access_log=None,
            shutdown_timeout=_CLOSING,
            lingering_time=_LINGERING,
            max_headers=_MOST_HEADERS,
            max_line_size=_LONGEST_LINE,
            logger=_LOGGER,
            keepalive_timeout=IDLE,
            auto_decompress=False,  # signatures are over the bytes sent, and a small body may unpack to gigabytes
        )
        await self._runner.setup()
        try:
            await _Site(self._runner, host, port, self._most).start()
        except OSError as error:
            raise ListenFailed(_explained(self.purpose, self._listen, error)) from error
        host, port, *_ = self._runner.addresses[0]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        events.listening(self.purpose, self.url)

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
        """The address, as aiohttp tells it."""
        return f"http://{self._host or '0.0.0.0'}:{self._port}"  # noqa: S104 - told, not listened on

    async def start(self) -> None:
        """Listen."""
        await super().start()
        server = self._runner.server
        assert server is not None
        connections = Connections(server, self._most)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(connections, self._host, self._port, backlog=self._backlog)


def _worth_an_error(record: logging.LogRecord) -> bool:
    """What is no HTTP comes from anybody: one line, and no bytes of it, as a header may hold a secret."""
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, HttpProcessingError):
        return True
    remote = record.args[0] if isinstance(record.args, tuple) and record.args else None
    events.request_malformed(str(remote), type(error).__name__)
    return False


_LOGGER = logging.getLogger("bridge.http")
_LOGGER.addFilter(_worth_an_error)


def _application(routes: Routes, api: Api | None) -> web.Application:
    app = web.Application(middlewares=[errors_as_problems], client_max_size=MOST_BODY)
    app.add_routes(routes)
    if api is not None:
        app.add_subapp(PREFIX, api.application())
    app.on_response_prepare.append(_name_the_server)
    return app


async def _name_the_server(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "amqp-bridge"  # aiohttp would tell its own version and Python's


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
