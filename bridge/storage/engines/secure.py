"""Connections to PostgreSQL, encrypted and verified unless somebody decided otherwise."""

import asyncio
import ssl
from dataclasses import replace
from functools import partial
from typing import Any

import asyncpg

from bridge.model.errors import HistoryUnavailable
from bridge.ports.login import DatabaseLogin
from bridge.rules.wire.loopback import is_loopback
from bridge.settings.certificates import tls_context
from bridge.settings.databases import AddressTls, PostgresServer
from bridge.settings.transport import StorageTls
from bridge.storage.engines.faults import told
from bridge.telemetry import events

_EXPIRED = 10
_ANOTHER_NAME = frozenset({62, 63, 64})
_CONNECT_SECONDS = 5.0

Raw = "asyncpg.Connection[asyncpg.Record]"


class SecureConnector:
    """Makes connections to one server. Certificates and login are read anew for each, so that they may be exchanged.

    Whoever sits in between can make a server look like one without TLS, unless TLS is required. A server on this
    machine need not prove who it is, unless TLS is required or `verify` says so.
    """

    def __init__(self, server: PostgresServer, tls: StorageTls, login: DatabaseLogin) -> None:
        """`server` may say of TLS what it wants, which then decides; `login` has its user and password of now."""
        self._server = server
        self._login = login
        self._tls = server.tls or _as_set(server, tls)
        # Nobody sits between here and a socket's other end, or decided already what he thinks of that.
        self._warned = near(server) or server.tls is not None
        given = server.parameters
        self._given: dict[str, Any] = {
            "host": list(server.hosts) or None,
            "port": list(server.ports) or None,
            "database": server.database,
            "timeout": float(given.get("connect_timeout", _CONNECT_SECONDS)),
            "target_session_attrs": given.get("target_session_attrs", "any"),
            "passfile": given.get("passfile"),
        }
        self._settings = {"application_name": given.get("application_name", "amqp-bridge")}
        if "options" in given:
            self._settings["options"] = given["options"]

    async def connect(self, settings: dict[str, str], **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection of the driver's, with these `settings` of the server; raises HistoryUnavailable."""
        user, password = await self._login.now()
        connect = partial(
            asyncpg.connect,
            **self._given,
            user=user,
            password=password,
            server_settings={**self._settings, **settings},
            **options,
        )
        try:
            connection = await self._secured(connect)
        except HistoryUnavailable:
            raise
        except asyncpg.InvalidAuthorizationSpecificationError as error:
            self._login.refused(told(error))
            raise HistoryUnavailable(f"{told(error)}; check user and password in storage.url") from error
        except asyncpg.ProtocolViolationError as error:
            if _of_a_login(error):
                self._login.refused(told(error))
            raise HistoryUnavailable(f"{told(error)}; {_POOLERS}") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise HistoryUnavailable(told(error)) from error
        self._login.taken()
        return connection

    async def _secured(self, connect: Any) -> "asyncpg.Connection[asyncpg.Record]":
        if self._tls.off or self._server.on_sockets:
            return await connect(ssl=False)
        try:
            return await connect(ssl=await self._context())
        except ssl.SSLError as error:
            raise HistoryUnavailable(_refusal(error)) from error
        except ConnectionError as error:
            # asyncpg 0.31 has no error of its own for a server that answers that it has no TLS.
            if type(error) is not ConnectionError:
                raise
            if self._tls.required:
                raise HistoryUnavailable(
                    "the server offers no TLS, which storage.tls or sslmode asks for: switch it on there (ssl = on)"
                ) from error
        if not self._warned:
            self._warned = True
            events.database_in_the_open(", ".join(self._server.hosts))
        return await connect(ssl=False)

    async def _context(self) -> ssl.SSLContext:
        try:
            return await asyncio.to_thread(tls_context, self._tls.files, names=self._tls.names)
        except ValueError as error:
            raise HistoryUnavailable(f"TLS (storage.tls, or sslmode in storage.url): {error}") from error


_POOLERS = (
    "a pooler such as PgBouncer says so of a login (check user and password in storage.url) as of startup parameters that "
    "it does not pass on (leave `options` out of storage.url: ALTER ROLE ... SET does the same)"
)
"""PgBouncer 1.18 has one SQLSTATE for all that it refuses."""


def _of_a_login(error: asyncpg.ProtocolViolationError) -> bool:
    """Whether a pooler refused user or password, or was itself refused by the server; only its words tell."""
    said = str(error).lower()
    return any(
        word in said for word in ("authentication", "auth failed", "login", "no such user", "password")
    )


def near(server: PostgresServer) -> bool:
    """What goes to the server does not leave this machine."""
    return all(host.startswith("/") or is_loopback(host) for host in server.hosts)


def _as_set(server: PostgresServer, tls: StorageTls) -> AddressTls:
    required = tls.mode == "require" or tls.ca is not None or tls.cert is not None
    asked = AddressTls(tls, off=tls.mode == "off", required=required, names=True)
    if near(server) and not required and "verify" not in tls.model_fields_set:
        # Nobody sits in between, and Debian's server shows a certificate that it made for itself.
        return replace(asked, files=tls.model_copy(update={"verify": False}))
    return asked


def _refusal(error: ssl.SSLError) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS with the server failed ({error.reason or error}); see storage.tls"
    if error.verify_code == _EXPIRED:
        mend = "the server needs a new one"
    elif error.verify_code in _ANOTHER_NAME:
        mend = "write in storage.url a name that stands in the certificate"
    else:
        mend = (
            "give the certificate of its authority (or its own, if self-signed) in storage.tls.ca; sslmode=require in "
            "storage.url does without verification, storage.tls: {mode: off} without TLS"
        )
    return f"the server's certificate is not accepted: {error.verify_message}; {mend}"
