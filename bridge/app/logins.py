"""The logins to brokers and database: read anew for each connection, and told of when they are refused for long."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from bridge.amqp.connection import Address
from bridge.checks.broker_address import broker_address
from bridge.core.errors import SettingsError
from bridge.settings.databases import PostgresServer
from bridge.settings.loading import renewed
from bridge.settings.tree import Settings
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

DATABASE = "database"
_TOLD_EVERY = 60.0


class Logins:
    """Those that are written now, in the file, the secrets directory or the file of variables."""

    def __init__(self, settings: Settings, read: Callable[[], Settings], refusals: "Refusals") -> None:
        """`read` gives the settings of now, as far as logins need them; raises SettingsError."""
        self._settings = settings
        self._read = read
        self._refusals = refusals
        self._addresses: dict[str, tuple[object, Address]] = {}
        self._turn = asyncio.Lock()
        self._fault = ""

    async def now(self) -> Settings:
        """The settings that the bridge was started with, with the logins of now; those of before where none can be read."""
        async with self._turn:
            try:
                self._settings = renewed(self._settings, await asyncio.to_thread(self._read))
                self._fault = ""
            except SettingsError as error:
                if str(error) != self._fault:
                    self._fault = str(error)
                    events.logins_not_read([str(problem) for problem in error.problems])
        return self._settings

    async def broker(self, name: str) -> Address:
        """How to connect to the broker of that name now; empty: the one that is consumed from."""
        settings = await self.now()
        where = settings.brokers[name] if name else settings.broker
        known = self._addresses.get(name)
        if known is None or known[0] != where:
            path = f"brokers.{name}" if name else "broker"
            # Connections that are made with the same login share its token.
            known = self._addresses[name] = where, broker_address(where, settings.broker, path)
        return known[1]

    def of_broker(self, name: str) -> "BrokerLogin":
        """The login of a connection to that broker."""
        return BrokerLogin(partial(self.broker, name), self._refusals)

    def of_database(self) -> "ConfiguredDatabaseLogin":
        """The login of connections to the database."""
        return ConfiguredDatabaseLogin(self, self._refusals)


class BrokerLogin:
    """See bridge.amqp.connection.Login."""

    def __init__(self, address: Callable[[], Awaitable[Address]], refusals: "Refusals") -> None:
        self._address = address
        self._refusals = refusals

    async def address(self) -> Address:
        return await self._address()

    def refused(self, role: str, why: str) -> None:
        self._refusals.refused(role, why)

    def taken(self, role: str) -> None:
        self._refusals.taken(role)


class ConfiguredDatabaseLogin:
    """See bridge.core.ports.DatabaseLogin."""

    def __init__(self, logins: Logins, refusals: "Refusals") -> None:
        self._logins = logins
        self._refusals = refusals

    async def now(self) -> tuple[str | None, str | None]:
        database = (await self._logins.now()).storage.database
        assert isinstance(database, PostgresServer)
        return database.user, database.password

    def refused(self, why: str) -> None:
        self._refusals.refused(DATABASE, why)

    def taken(self) -> None:
        self._refusals.taken(DATABASE)


class Refusals:
    """Who has been refused since when; what lasts is told in the log, by a metric and in /health/ready."""

    def __init__(self, metrics: Metrics, broker_after: float, database_after: float) -> None:
        """`broker_after`, `database_after`: seconds after which it is told."""
        self._metrics = metrics
        self._after = {DATABASE: database_after}
        self._broker_after = broker_after
        self._since: dict[str, float] = {}
        self._told_at: dict[str, float] = {}

    def refused(self, role: str, why: str) -> None:
        """The other side refused this role's login once more."""
        now = time.monotonic()
        since = self._since.setdefault(role, now)
        if not self._lasts(role, now):
            return
        self._metrics.rare.login_refused.labels(role).set(1)
        if now - self._told_at.get(role, float("-inf")) >= _TOLD_EVERY:
            self._told_at[role] = now
            events.login_refused(role, now - since, why)

    def taken(self, role: str) -> None:
        """The other side took it."""
        if self._since.pop(role, None) is not None:
            self._told_at.pop(role, None)
            self._metrics.rare.login_refused.labels(role).set(0)

    def problems(self) -> list[str]:
        """Each refusal that lasts."""
        now = time.monotonic()
        return [
            f"the login of the connection {role!r} has been refused for {now - since:.0f} s: see login.refused in the log"
            for role, since in sorted(self._since.items())
            if self._lasts(role, now)
        ]

    def _lasts(self, role: str, now: float) -> bool:
        return now - self._since[role] >= self._after.get(role, self._broker_after)
