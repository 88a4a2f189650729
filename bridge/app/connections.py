"""The connections to the brokers in the settings."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from bridge.amqp.connection import Address, Link, LinkWatch, Login
from bridge.checks.broker import broker_address
from bridge.core.budget import Budget, usual_budget
from bridge.core.errors import SettingsError
from bridge.settings.databases import PostgresServer
from bridge.settings.loading import renewed
from bridge.settings.tree import Settings
from bridge.telemetry import events as telemetry_events
from bridge.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Links:
    """The connections to the broker, one for each role, and one for each further broker."""

    consume: Link
    publish: Link
    topology: Link
    others: Mapping[str, Link]
    ends: "RepeatedEnds"
    more: list[Link] = field(default_factory=list)
    """Further connections for sources that do not fit on the first, or whose messages end the connection."""

    def all(self) -> list[Link]:
        """Returns all connections."""
        return [self.consume, self.publish, self.topology, *self.others.values(), *self.more]

    def spread(self, sources: int) -> list[Link]:
        """Provides channels for the consumers of `sources` sources; returns the connections needed beside the first.

        Each source has its own channel, so that a channel error affects no other source, and a broker may allow few channels
        (`channel_max`). The first connection must be open.
        """
        needed = (sources - 1) // self.consume.fair_share
        self.more.extend(self.consume.another(f"consume:{number + 2}") for number in range(needed))
        return self.more

    def of_source(self, position: int) -> Link:
        """Returns the connection for the consumer of the source at this position."""
        return [self.consume, *self.more][position // self.consume.fair_share]


def make_links(settings: Settings, metrics: Metrics, login: Callable[[str], Login] | None = None) -> Links:
    """Returns the connections that the settings ask for, none of them open yet; all but one count in one memory budget.

    The exception is the connection for the topology, which receives little and has to be read even when memory is short.
    `login` returns the credentials for a broker by name; the name is empty for the broker that is consumed from.
    """
    budget = Budget(settings.limits.memory or usual_budget())
    ends = RepeatedEnds()
    watch = _LinkWatch(metrics, ends)
    of: Callable[[str], Login | None] = login or (lambda _name: None)
    broker = settings.broker
    address = broker_address(broker, broker)
    return Links(
        consume=Link("consume", address, watch, of(""), budget),
        publish=Link("publish", address, watch, of(""), budget),
        topology=Link("topology", address, watch, of("")),
        others={
            name: Link(
                f"publish:{name}", broker_address(other, broker, f"brokers.{name}"), watch, of(name), budget
            )
            for name, other in settings.brokers.items()
        },
        ends=ends,
    )


_SOON = 30.0
"""Seconds within which the end of a new connection is attributed to what it was opened for; channels wait up to 15 s."""
_OFTEN = 3
_WITHIN = 60.0
_CRASH = "INTERNAL_ERROR"


class RepeatedEnds:
    """Detects connections that end again and again soon after they were opened.

    For example, with RabbitMQ 3.10 and its plugin for AMQP 1.0, a message whose id is not text ends every connection that
    consumes it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.crashed: asyncio.Queue[str] = asyncio.Queue()
        """The roles in which the broker ended connections over an error of its own."""
        self._alone: dict[str, str] = {}
        self._clock = clock
        self._made_at: dict[str, float] = {}
        self._ends: dict[str, deque[float]] = {}
        self._why: dict[str, str] = {}

    def consumes_alone(self, role: str, source: str) -> None:
        """Notes that nothing but the messages of this source comes through the connection."""
        self._alone[role] = source

    def made(self, role: str) -> None:
        """Notes that the connection is open."""
        self._made_at[role] = self._clock()

    def ended(self, role: str, why: str) -> None:
        """Notes that the connection was lost, or could not be opened."""
        now, made_at = self._clock(), self._made_at.pop(role, float("-inf"))
        if now - made_at > _SOON:
            return
        ends = self._ends.setdefault(role, deque(maxlen=_OFTEN))
        ends.append(now)
        if len(ends) < _OFTEN or now - ends[0] > _WITHIN:
            return
        self._why[role] = why
        telemetry_events.connection_ends_again(role, why, self._suspect(role))
        if _CRASH in why:
            self.crashed.put_nowait(role)

    def problems(self) -> list[str]:
        """Returns a text for each connection that keeps ending."""
        since = self._clock() - _WITHIN
        return [self._problem(role) for role in sorted(self._why) if self._ends[role][-1] > since]

    def _problem(self, role: str) -> str:
        told = f"the connection {role!r} ends again and again soon after it was made: {self._why[role]}"
        suspect = self._suspect(role)
        return (
            f"{told}; it consumes the source {suspect!r} alone, so look at the first messages of its queue"
            if suspect
            else told
        )

    def _suspect(self, role: str) -> str:
        return self._alone.get(role, "")


class _LinkWatch(LinkWatch):
    """Counts connections, and logs when one is lost or opened."""

    def __init__(self, metrics: Metrics, ends: RepeatedEnds) -> None:
        self._rare = metrics.rare
        self._ends = ends
        self._lost_at: dict[str, float] = {}

    def connected(self, role: str, address: str) -> None:
        self._rare.connection(role).set(1)
        away = 0.0
        if role in self._lost_at:
            away = time.monotonic() - self._lost_at.pop(role)
            self._rare.reconnects.labels(role).inc()
        telemetry_events.connection_back(role, address, away)
        self._ends.made(role)

    def lost(self, role: str, error: str) -> None:
        self._rare.connection(role).set(0)
        self._lost_at.setdefault(role, time.monotonic())
        telemetry_events.connection_lost(role, error, 0.0)
        self._ends.ended(role, error)


# The credentials for brokers and database: read again for each connection; refusals that persist are reported.


DATABASE = "database"
_TOLD_EVERY = 60.0


class Logins:
    """The current credentials from the settings file, the secrets directory or the file of variables."""

    def __init__(self, settings: Settings, read: Callable[[], Settings], refusals: "Refusals") -> None:
        """`read` returns the current settings, as far as credentials need them; raises SettingsError."""
        self._settings = settings
        self._read = read
        self._refusals = refusals
        self._addresses: dict[str, tuple[object, Address]] = {}
        self._turn = asyncio.Lock()
        self._fault = ""

    async def now(self) -> Settings:
        """Returns the settings at the start, with the current credentials; with the previous ones if reading fails."""
        async with self._turn:
            try:
                self._settings = renewed(self._settings, await asyncio.to_thread(self._read))
                self._fault = ""
            except SettingsError as error:
                if str(error) != self._fault:
                    self._fault = str(error)
                    telemetry_events.logins_not_read([str(problem) for problem in error.problems])
        return self._settings

    async def broker(self, name: str) -> Address:
        """Returns how to connect to the broker of that name now; empty: the broker that is consumed from."""
        settings = await self.now()
        where = settings.brokers[name] if name else settings.broker
        known = self._addresses.get(name)
        if known is None or known[0] != where:
            path = f"brokers.{name}" if name else "broker"
            # Connections with the same credentials share a token.
            known = self._addresses[name] = where, broker_address(where, settings.broker, path)
        return known[1]

    def of_broker(self, name: str) -> "BrokerLogin":
        """Returns the credentials of a connection to that broker."""
        return BrokerLogin(partial(self.broker, name), self._refusals)

    def of_database(self) -> "ConfiguredDatabaseLogin":
        """Returns the credentials of connections to the database."""
        return ConfiguredDatabaseLogin(self, self._refusals)


class BrokerLogin:
    """The implementation of bridge.amqp.connection.Login."""

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
    """The implementation of bridge.core.ports.DatabaseLogin."""

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
    """Tracks refused logins by role; those that persist are reported in the log, by a metric and in /health/ready."""

    def __init__(self, metrics: Metrics, broker_after: float, database_after: float) -> None:
        """`broker_after`, `database_after`: seconds after which a refusal is reported."""
        self._metrics = metrics
        self._after = {DATABASE: database_after}
        self._broker_after = broker_after
        self._since: dict[str, float] = {}
        self._told_at: dict[str, float] = {}

    def refused(self, role: str, why: str) -> None:
        """Notes that the server refused the login of this role once more."""
        now = time.monotonic()
        since = self._since.setdefault(role, now)
        if not self._lasts(role, now):
            return
        self._metrics.rare.login_refused.labels(role).set(1)
        if now - self._told_at.get(role, float("-inf")) >= _TOLD_EVERY:
            self._told_at[role] = now
            telemetry_events.login_refused(role, now - since, why)

    def taken(self, role: str) -> None:
        """Notes that the server accepted the login of this role."""
        if self._since.pop(role, None) is not None:
            self._told_at.pop(role, None)
            self._metrics.rare.login_refused.labels(role).set(0)

    def problems(self) -> list[str]:
        """Returns a text for each refusal that persists."""
        now = time.monotonic()
        return [
            f"the login of the connection {role!r} has been refused for {now - since:.0f} s: see login.refused in the log"
            for role, since in sorted(self._since.items())
            if self._lasts(role, now)
        ]

    def _lasts(self, role: str, now: float) -> bool:
        return now - self._since[role] >= self._after.get(role, self._broker_after)
