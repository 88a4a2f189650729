"""PostgreSQL: a small pool of asyncpg connections."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import URL, Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from bridge.model.errors import HistoryUnavailable
from bridge.settings.transport import StorageTls
from bridge.storage.engines.faults import is_outage, unavailable
from bridge.storage.engines.secure import SecureConnector

T = TypeVar("T")

_CONNECT_SECONDS = 5
_CONNECTIONS = 4


class PostgresEngine:
    """A database on a server; connections are made when they are needed, and anew after they broke."""

    def __init__(self, url: URL, tls: StorageTls, *, timeout: float) -> None:
        """`url` may have the query parameter `sslmode` with libpq's values; `timeout` bounds a transaction in seconds."""
        self._timeout = timeout
        self._closed = False
        connector = SecureConnector(
            url,
            tls,
            timeout=_CONNECT_SECONDS,
            # The server gives up as well, so that no lock outlives our patience.
            server_settings={
                "application_name": "amqp-bridge",
                "statement_timeout": str(int(timeout * 1000)),
                "idle_in_transaction_session_timeout": str(int(timeout * 1000)),
                "jit": "off",
            },
        )
        self._engine = create_async_engine(
            url.set(drivername="postgresql+asyncpg", query={}),
            async_creator=connector.connect,
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=timeout,
            hide_parameters=True,
        )

    @property
    def dialect(self) -> Dialect:
        return self._engine.dialect

    async def write(self, work: Callable[[Connection], T], *, patient: bool = False) -> T:
        return await self._run(work, None if patient else self._timeout)

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._run(work, self._timeout)

    async def reclaim(self) -> None:
        """Autovacuum does it."""

    async def close(self) -> None:
        self._closed = True
        await self._engine.dispose()

    async def _run(self, work: Callable[[Connection], T], limit: float | None) -> T:
        if self._closed:
            raise HistoryUnavailable("the history is closed")
        try:
            async with asyncio.timeout(limit):
                return await self._twice(work)
        except Exception as error:
            if is_outage(error):
                raise unavailable(error) from error
            raise

    async def _twice(self, work: Callable[[Connection], T]) -> T:
        """Connections that the server or a firewall ended while they were idle show it only when they are used."""
        try:
            return await self._once(work)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return await self._once(work)

    async def _once(self, work: Callable[[Connection], T]) -> T:
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)
