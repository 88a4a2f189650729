"""The pool of HTTP connections that all webhooks share, with the SSRF protection in front of it."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler

from bridge.core.target import Tls
from bridge.settings.transport import load_certificate, named
from bridge.targets.webhook.response import Answering, Unseen
from bridge.wire.address_gate import AddressGate

# Name resolution that dead name servers cannot block.


_THREADS = 64


class Resolver(AbstractResolver):
    """The system's resolver in its own threads.

    A lookup at a dead name server blocks its thread for many seconds, even after the attempt ended. The event loops
    have few threads: uvloop 4, asyncio the number of processors plus 4.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="resolver")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Returns the addresses of a name. Raises OSError (socket.gaierror) if there are none."""
        look_up = partial(
            socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
        )
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
            # If Python has no IPv6, such an address is a number followed by raw bytes.
            if isinstance(address[0], str)
        ]

    async def close(self) -> None:
        """Stop new lookups; those in progress end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


_BLOCKED = 90_001
_IDLE_SECONDS = 60.0
_DNS_SECONDS = 30

Stamp = tuple[tuple[int, int] | None, ...]
"""The modification times of the files of TLS settings."""


class BlockedAddress(OSError):
    """The SSRF protection refused a connection. Its errno is unique, so no kernel error equals it."""

    def __init__(self, reason: str) -> None:
        super().__init__(_BLOCKED, reason)


def is_blocked(error: OSError) -> bool:
    """Returns whether every address of a name was refused by the SSRF protection.

    Only the errno of BlockedAddress is left if several addresses were tried: aiohappyeyeballs merges errors with one
    errno into a plain OSError.
    """
    return error.errno == _BLOCKED


class Pool:
    """The pool of keep-alive connections by gate, host, port, TLS identity and proxy; limited only by hooks'
    concurrency.

    Hooks with the same allowlist share connections, others never do: a kept connection leads where its own gate
    admitted. `on_connection` is called for each request with whether its connection was reused. The pool opens on first
    use, on the running event loop.
    """

    def __init__(self, gate: AddressGate, on_connection: Callable[[bool], None]) -> None:
        self.gate = gate
        self.on_connection = on_connection
        self._contexts: dict[Tls, ssl.SSLContext | bool] = {}
        self._loaded: dict[ssl.SSLContext, tuple[Tls, Stamp]] = {}
        self._open: dict[AddressGate, _Connector] = {}
        self._resolver = Resolver()

    def connector(self, gate: AddressGate) -> "_Connector":
        """Returns the connector of the running event loop with this gate."""
        if gate not in self._open:
            self._open[gate] = _Connector(
                self._renew,
                limit=0,
                keepalive_timeout=_IDLE_SECONDS,
                ttl_dns_cache=_DNS_SECONDS,
                socket_factory=partial(_vetted_socket, gate),
                resolver=self._resolver,
            )
        return self._open[gate]

    def tls(self, settings: Tls) -> ssl.SSLContext | bool:
        """Returns aiohttp's `ssl` argument; the same object for the same settings, so that connections are shared.

        Replaced files are reloaded for the next connection if they are valid. Raises ValueError, naming the file that
        cannot be used.
        """
        if settings not in self._contexts:
            stamp = _stamp(settings)
            self._contexts[settings] = context = tls_context(settings)
            if isinstance(context, ssl.SSLContext):
                self._loaded[context] = settings, stamp
        return self._contexts[settings]

    async def close(self) -> None:
        """Close all connections."""
        while self._open:
            _, connector = self._open.popitem()
            await connector.close()
            connector.unseen.close()
        await self._resolver.close()

    def _renew(self, context: object) -> None:
        """Reload certificates before they expire; connections are keyed by this context."""
        if not isinstance(context, ssl.SSLContext) or context not in self._loaded:
            return
        settings, stamp = self._loaded[context]
        if (now := _stamp(settings)) == stamp:
            return
        try:
            tls_context(settings)  # half of a pair that is being written would break the one in use
            _load(context, settings)
        except ValueError:
            return  # the loaded files stay in use, and the next connection checks again
        self._loaded[context] = settings, now


class Route(aiohttp.ClientRequest):
    """The properties of a request that the connector needs; one object per webhook, reused for all its requests."""

    @cached_property
    def connection_key(self) -> Any:
        """Returns the pool's key of these connections; aiohttp would compute it for each request."""
        return super().connection_key


class _Connector(aiohttp.TCPConnector):
    """A connector that tracks unused connections; `before` is called with the `ssl` of each new one."""

    def __init__(self, before: Callable[[object], None], **options: Any) -> None:
        super().__init__(**options)
        self._before = before
        self.unseen = Unseen(self._loop)
        self._factory = cast(
            "partial[ResponseHandler]", partial(Answering, loop=self._loop, unseen=self.unseen)
        )
        self.fresh: set[ResponseHandler] = set()

    async def _create_connection(self, req: Any, *args: Any, **kwargs: Any) -> ResponseHandler:
        self._before(req.ssl)
        protocol = await super()._create_connection(req, *args, **kwargs)
        self.fresh.add(protocol)
        return protocol


def _vetted_socket(gate: AddressGate, address: Any) -> socket.socket:
    # Called with the address that is connected next, after name resolution: DNS rebinding cannot change it between
    # check and connection.
    family, kind, protocol, _, target = address
    if reason := gate.refusal(target[0]):
        raise BlockedAddress(reason)
    return socket.socket(family, kind, protocol)


def literal_refusal(gate: AddressGate, host: str) -> str | None:
    """Returns why the gate refuses this address; None for names, which are checked once resolved."""
    return gate.refusal(host) if _is_ip(host) else None


def tls_context(settings: Tls) -> ssl.SSLContext | bool:
    """Returns the TLS context of these settings; True and False are aiohttp's, with and without verification.

    Raises ValueError, naming the file that cannot be used.
    """
    if settings.client_key and not settings.client_cert:
        raise ValueError("client_key needs client_cert")
    if not settings.ca_bundle and not settings.client_cert:
        return settings.verify
    with named(f"ca_bundle {settings.ca_bundle}"):
        context = ssl.create_default_context(cafile=settings.ca_bundle)
    context.set_alpn_protocols(["http/1.1"])
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _load_client(context, settings)
    return context


def _load(context: ssl.SSLContext, settings: Tls) -> None:
    if settings.ca_bundle:
        with named(f"ca_bundle {settings.ca_bundle}"):
            context.load_verify_locations(settings.ca_bundle)
    _load_client(context, settings)


def _load_client(context: ssl.SSLContext, settings: Tls) -> None:
    if settings.client_cert:
        load_certificate(context, "client_cert", settings.client_cert, settings.client_key)


def _stamp(settings: Tls) -> Stamp:
    """Returns a value that changes with any of the files."""
    return tuple(
        _changed_at(path) for path in (settings.ca_bundle, settings.client_cert, settings.client_key) if path
    )


def _changed_at(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _is_ip(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
        except (OSError, ValueError):
            continue
        return True
    return False
