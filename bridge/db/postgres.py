"""The engine for PostgreSQL: a small pool of asyncpg connections."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import asyncpg
import structlog
from sqlalchemy import Connection, Dialect, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_

from bridge.core.errors import HistoryUnavailable
from bridge.core.ports import DatabaseLogin
from bridge.db.engine import is_outage, told, unavailable
from bridge.settings.databases import AddressTls, PostgresServer
from bridge.settings.transport import StorageTls, tls_context
from bridge.telemetry import events as telemetry_events
from bridge.wire.address_gate import is_loopback

# The connections to PostgreSQL, encrypted and verified unless configured otherwise.


_EXPIRED = 10
_ANOTHER_NAME = frozenset({62, 63, 64})
_CONNECT_SECONDS = 5.0

Raw = "asyncpg.Connection[asyncpg.Record]"


class SecureConnector:
    """Opens connections to one server. Certificates and credentials are read again for each, so that they can be rotated.

    A man in the middle can make a server appear to have no TLS, unless TLS is required. A server on this machine need not
    present a trusted certificate, unless TLS is required or `verify` is set.
    """

    def __init__(self, server: PostgresServer, tls: StorageTls, login: DatabaseLogin) -> None:
        """`server` may contain TLS options, which then take precedence; `login` provides the present user and password."""
        self._server = server
        self._login = login
        self._tls = server.tls or _as_set(server, tls)
        # No warning for a local server, or if the address has TLS options: then the operator has decided.
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
        """Opens a connection of the driver with these `settings` of the server; raises HistoryUnavailable."""
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
            # asyncpg 0.31 has no own error type for a server that answers that it has no TLS.
            if type(error) is not ConnectionError:
                raise
            if self._tls.required:
                raise HistoryUnavailable(
                    "the server offers no TLS, which storage.tls or sslmode asks for: switch it on there (ssl = on)"
                ) from error
        if not self._warned:
            self._warned = True
            telemetry_events.process.warning(
                "storage.unencrypted",
                host=", ".join(self._server.hosts),
                remedy="switch TLS on there (ssl = on), or set storage.tls.mode",
            )
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
"""PgBouncer 1.18 has one SQLSTATE for everything that it refuses."""


def _of_a_login(error: asyncpg.ProtocolViolationError) -> bool:
    """Returns whether a pooler refused user or password, or was itself refused by the server; only the error text tells."""
    said = str(error).lower()
    return any(
        word in said for word in ("authentication", "auth failed", "login", "no such user", "password")
    )


def near(server: PostgresServer) -> bool:
    """Returns whether the connection stays on this machine."""
    return all(host.startswith("/") or is_loopback(host) for host in server.hosts)


def _as_set(server: PostgresServer, tls: StorageTls) -> AddressTls:
    required = tls.mode == "require" or tls.ca is not None or tls.cert is not None
    asked = AddressTls(tls, off=tls.mode == "off", required=required, names=True)
    if near(server) and not required and "verify" not in tls.model_fields_set:
        # A local connection has no man in the middle, and Debian's server has a self-signed certificate.
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


T = TypeVar("T")
log = structlog.get_logger(__name__)

_CONNECTIONS = 4
_WORTH_TELLING = 16
"""Granularity in seconds of timeouts beyond the usual one: so few different statements are prepared."""
_FREEING = 5.0
_PATIENT_NAME = "amqp-bridge, patient"
_FREE = f"""
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
AND application_name = current_setting('application_name') AND application_name <> '{_PATIENT_NAME}'
AND wait_event = 'ClientRead' AND state_change < clock_timestamp() - make_interval(secs => %(seconds)s)
AND xact_start IS NOT NULL
"""  # noqa: S608 - made of constants
"""Ends sessions of replicas that are idle within a transaction (a stopped process, a paused machine), while others wait for
their locks. The server's own limits do not always suffice: between a statement's preparation and its run the session counts as
active, and in versions 10 to 16 no limit applies while the server reads from the client.
"""


class PostgresEngine:
    """A database on a server; connections are opened when needed, and again after they broke.

    Behind a pooler that may give each transaction another server process, nothing is kept there beyond a transaction: prepared
    statements have no names, and limits are set in each transaction.
    """

    def __init__(
        self, server: PostgresServer, tls: StorageTls, *, timeout: float, login: DatabaseLogin | None = None
    ) -> None:
        """`timeout` bounds a transaction in seconds; `login`: by default that of the address."""
        self._timeout = timeout
        self._closed = False
        self._connector = SecureConnector(server, tls, login or _OfAddress(server))
        self._looking = asyncio.Lock()
        self._freeing: asyncio.Task[None] | None = None
        self.pooled: bool | None = None
        """Whether a pooler stands before the server; None: nobody looked yet."""
        # The server has limits as well, so that no lock outlives the client's timeout. It ends a session that is idle within a
        # transaction in half of the time: another replica that waits for its locks has the other half.
        self._limits = {
            "statement_timeout": str(int(timeout * 1000)),
            "idle_in_transaction_session_timeout": str(int(timeout * 500)),
            "jit": "off",
        }
        self._engine = create_async_engine(
            "postgresql+asyncpg://",
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=timeout,
            hide_parameters=True,
        )
        event.listen(self._engine.sync_engine, "do_connect", self._connect)
        event.listen(self._engine.sync_engine, "begin", self._limit)

    @property
    def dialect(self) -> Dialect:
        return self._engine.dialect

    async def write(
        self, work: Callable[[Connection], T], *, patient: bool = False, longer: float = 0.0
    ) -> T:
        if longer < _WORTH_TELLING:
            return await self._run(work, None if patient else self._timeout + longer)

        told = int(self._timeout) + (int(longer) // _WORTH_TELLING + 1) * _WORTH_TELLING

        def with_time(connection: Connection) -> T:
            # While the server waits for the rest of a large message, it counts the time on the statement, and takes the
            # transaction for idle (version 15).
            names = ("statement_timeout", "idle_in_transaction_session_timeout")
            limits = dict.fromkeys(names, f"{told}s") | {"application_name": _PATIENT_NAME}
            connection.exec_driver_sql(_set_config(limits))
            return work(connection)

        return await self._run(with_time, self._timeout + longer)

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._run(work, self._timeout)

    async def reclaim(self) -> None:
        """Does nothing: autovacuum reclaims space."""

    async def close(self) -> None:
        self._closed = True
        if self._freeing is not None:
            self._freeing.cancel()
            await asyncio.gather(self._freeing, return_exceptions=True)
        await self._engine.dispose()

    async def _run(self, work: Callable[[Connection], T], limit: float | None) -> T:
        if self._closed:
            raise HistoryUnavailable("the history is closed")
        try:
            async with asyncio.timeout(limit):
                return await self._twice(work)
        except Exception as error:
            if isinstance(error, TimeoutError) and (self._freeing is None or self._freeing.done()):
                self._freeing = asyncio.create_task(self._free(), name="free what a replica holds")
            if is_outage(error):
                raise unavailable(error) from error
            raise

    async def _free(self) -> None:
        """Ends sessions of the bridge that hold locks for too long; a failure is ignored."""
        with suppress(Exception):
            async with asyncio.timeout(_FREEING), self._engine.begin() as connection:
                ended = await connection.exec_driver_sql(_FREE % {"seconds": self._timeout})
                if found := ended.scalar():
                    log.warning(
                        "history.sessions_ended",
                        sessions=found,
                        reason="they stood still within a transaction",
                    )

    async def _twice(self, work: Callable[[Connection], T]) -> T:
        """Retries once: a connection that the server or a firewall closed while it was idle fails only when it is used."""
        try:
            return await self._once(work)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return await self._once(work)

    async def _once(self, work: Callable[[Connection], T]) -> T:
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    # ---- connections ------------------------------------------------------------------------------------

    def _connect(self, dialect: Any, _record: Any, _arguments: Any, _keywords: Any) -> Any:
        """Opens a connection in place of the dialect's own way."""
        made = await_(self._made())

        async def have() -> "asyncpg.Connection[asyncpg.Record]":
            return made

        # Without a cache and a name the driver uses the unnamed prepared statement, which lives within the transaction only.
        statements = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: ""}
        return dialect.loaded_dbapi.connect(async_creator_fn=have, **(statements if self.pooled else {}))

    async def _made(self) -> "asyncpg.Connection[asyncpg.Record]":
        async with self._looking:
            if self.pooled is None:
                self.pooled = await self._look()
        if self.pooled:
            return await self._connector.connect({}, statement_cache_size=0)
        return await self._connector.connect(self._limits)

    async def _look(self) -> bool:
        """Returns whether a pooler is in between: it reports an invented process number of the server."""
        connection = await self._connector.connect({}, statement_cache_size=0)
        try:
            async with connection.transaction():
                number = await connection.fetchval("SELECT pg_backend_pid()")
        except asyncpg.PostgresError as error:
            raise HistoryUnavailable(
                f"{told(error)}; if PgBouncer stands before it: pool_mode is to be session or transaction"
            ) from error
        finally:
            await connection.close()
        if number == connection.get_server_pid():
            return False
        telemetry_events.process.info(
            "storage.pooled",
            effect="no prepared statements are kept there, limits are set in each transaction",
        )
        return True

    def _limit(self, connection: Connection) -> None:
        """Sets the limits within the transaction, which otherwise are set when the connection is opened."""
        if self.pooled:
            connection.exec_driver_sql(_set_config(self._limits))


def _set_config(settings: Mapping[str, str]) -> str:
    """Returns one statement that sets all settings until the transaction ends."""
    return "SELECT " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())


class _OfAddress:
    """The credentials in the address, fixed for the lifetime of the process."""

    def __init__(self, server: PostgresServer) -> None:
        self._login = server.user, server.password

    async def now(self) -> tuple[str | None, str | None]:
        return self._login

    def refused(self, why: str) -> None:
        """Does nothing: the caller gets the error."""

    def taken(self) -> None:
        """Does nothing."""
