"""A supervised connection to the broker, which reconnects after any failure."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from aio_pika.abc import AbstractChannel
from aiormq import exceptions as amqp
from yarl import URL

from bridge.amqp.errors import Attempted, meaning, redacted, told
from bridge.amqp.reader import ReceivingConnection
from bridge.core.base import Backoff
from bridge.core.budget import Budget
from bridge.core.errors import BrokerRefused, BrokerUnavailable, LoginRefused
from bridge.core.ports import Grant, TokenProvider
from bridge.telemetry import events

# OAuth 2: a connection that logged in with a token receives the next token before that expires.


_LONGEST_RENEWAL_WAIT = 15.0
_ANSWER = 10.0
_LEAST_WAIT = 0.2
"""Minimum seconds between two renewals: a server may return the same token until it expires, with ever less time left."""


async def keep_token_fresh(
    connection: ReceivingConnection, role: str, grants: TokenProvider, grant: Grant
) -> str:
    """Renews the connection's token for as long as that succeeds; returns why it failed, once the token has expired.

    RabbitMQ keeps a connection with an expired token open and refuses every operation, as for a user without permissions
    (3.10). It is better closed, and opened again as soon as there is a token.
    """
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(max(grant.renew_at - loop.time(), _LEAST_WAIT))
        try:
            async with asyncio.timeout_at(grant.expires_at):
                grant = await _renewed(connection, role, grants, grant)
        except TimeoutError:
            return "the access token of this connection ended, and there was no new one"


async def _renewed(connection: ReceivingConnection, role: str, grants: TokenProvider, old: Grant) -> Grant:
    loop = asyncio.get_running_loop()
    backoff = Backoff(0.5, _LONGEST_RENEWAL_WAIT)
    while True:
        try:
            new = await grants.get(since=old.renew_at)
            async with asyncio.timeout(_ANSWER):
                await connection.update_secret(new.token, reason="the token ends soon")
        except (BrokerUnavailable, BrokerRefused, amqp.AMQPError, OSError, TimeoutError) as error:
            # A broker with an alarm does not read from publishing connections, so it does not read the new token either.
            what = str(error) or "the broker did not answer to the new token in time"
            left = round(old.expires_at - loop.time(), 1)
            events.broker.error("login.not_renewed", role=role, error=what, ends_in=left)
            await backoff.pause()
        else:
            return new


_LONGEST_WAIT = 5.0
"""Maximum seconds between two tries to connect: a broker that returns after a long outage is in use again within 15 s."""
_FEWEST_CHANNELS = 8
"""Minimum number of channels that a connection has to allow: for lanes, orphans, control messages, publishers, and passive
declarations.
"""
_SHORT = 10.0
"""Seconds: after a connection that lasted less, the next try waits."""
_TOGETHER = 2.0
"""Seconds within which connections that are opened together share one token."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of the broker and how to connect; several URLs are tried in turn.

    `tls` makes the TLS context of each new connection by amqps://, so that certificates can be replaced at run time; it may
    raise a ValueError. `grants` provides the tokens of `auth="oauth2"`. `where` is the path of the settings.
    """

    urls: Sequence[str]
    heartbeat: float = 15.0
    connect_timeout: float = 10.0
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    auth: Literal["plain", "external", "oauth2"] = "plain"
    grants: TokenProvider | None = None
    where: str = "broker"
    name: str = "amqp-bridge"


class LinkWatch(Protocol):
    """The observer of a connection."""

    def connected(self, role: str, address: str) -> None:
        """Called when the connection is open, for the first time or again."""

    def lost(self, role: str, error: str) -> None:
        """Called when the connection was lost or could not be opened; it is retried."""


class Silent:
    """The observer of a command's connection, which tells nobody."""

    def connected(self, role: str, address: str) -> None: ...

    def lost(self, role: str, error: str) -> None: ...


class Login(Protocol):
    """The credentials of the bridge, requested before each connection, since passwords are rotated."""

    async def address(self) -> Address:
        """Returns how to connect now; never raises."""

    def refused(self, role: str, why: str) -> None:
        """Called when the broker refused the login or access to the virtual host."""

    def taken(self, role: str) -> None:
        """Called when the broker accepted the login."""


@contextlib.contextmanager
def lost_not_cancelled() -> Iterator[None]:
    """Within this context a CancelledError means that the caller was cancelled; the loss of the connection raises
    BrokerUnavailable.

    aiormq 7.2 ends pending and later calls on a connection with a CancelledError when the broker stops responding. If that were
    not converted, the calling task would end as if it had been cancelled.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BrokerUnavailable("the connection was lost") from error


def _stay_cancelled() -> None:
    """Cancels the current task again: closing a channel may swallow a cancellation (aiormq 7.2)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def close_whole(channel: AbstractChannel) -> None:
    """Closes a channel completely, even if the caller is cancelled meanwhile.

    aiormq 7.2 sends a second Channel.Close when the first is cancelled, and the broker then closes the connection, with
    everything on it (3.10.8).
    """
    closing = asyncio.ensure_future(channel.close())
    # If the caller is gone, nobody retrieves the result; until then the channel, which the connection references, keeps the
    # task alive.
    closing.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    await asyncio.shield(closing)


class Link:
    """A connection for one role (consume, publish, topology), which reconnects for ever with jittered waits."""

    def __init__(
        self,
        role: str,
        address: Address,
        watch: LinkWatch,
        login: Login | None = None,
        budget: Budget | None = None,
    ) -> None:
        """`address` is used where no `login` provides one; `budget` counts consumed messages."""
        self.role = role
        self.budget = budget or Budget()
        self._address = address
        self._login = login
        self._watch = watch
        self._connection: ReceivingConnection | None = None
        self._grant: Grant | None = None
        self._ready = asyncio.Event()
        self._turn = 0
        self._most_channels = 65_535

    def another(self, role: str) -> "Link":
        """Returns another connection to the same broker."""
        return Link(role, self._address, self._watch, self._login, self.budget)

    @property
    def fair_share(self) -> int:
        """Returns how many channels one user may hold permanently: half of what the broker, or the protocol, allows."""
        return self._most_channels // 2

    @property
    def up(self) -> bool:
        """Returns whether the connection is open."""
        return self._ready.is_set()

    async def connect_once(self) -> None:
        """Connects, trying every URL once; raises BrokerRefused or BrokerUnavailable, with a text that says what to do."""
        if self._login is not None:
            self._address = await self._login.address()
        failure: Exception | None = None
        for _ in self._address.urls:
            url = self._address.urls[self._turn % len(self._address.urls)]
            self._turn += 1
            try:
                await self._open(url)
            except (BrokerRefused, BrokerUnavailable) as error:
                failure = error
                if self._login is not None and isinstance(error, LoginRefused):
                    self._login.refused(self.role, str(error))
            else:
                if self._login is not None:
                    self._login.taken(self.role)
                return
        assert failure is not None
        raise failure

    async def run(self) -> None:
        """Keeps the connection open until cancelled."""
        backoff = Backoff(0.2, _LONGEST_WAIT)
        try:
            while True:
                if self._connection is None:
                    try:
                        await self.connect_once()
                    except (BrokerUnavailable, BrokerRefused) as error:
                        self._watch.lost(self.role, str(error))
                        await backoff.pause()
                        continue
                made_at = time.monotonic()
                await self._until_lost()
                if time.monotonic() - made_at > _SHORT:
                    backoff.reset()
                else:
                    await backoff.pause()
        finally:
            await self.close()

    async def connection(self) -> ReceivingConnection:
        """Returns the open connection, waiting for it without a bound (the caller sets a timeout)."""
        while True:
            await self._ready.wait()
            if self._connection is not None and not self._connection.is_closed:
                return self._connection
            # The supervisor has not noticed the loss yet: let it run.
            await asyncio.sleep(0.01)

    async def place(self) -> tuple[str, str]:
        """Returns cluster name (empty if the broker sends none) and virtual host of the connection."""
        connection = await self.connection()
        told = connection.server_properties.get("cluster_name", "")
        name = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
        return name, connection.vhost

    @contextlib.asynccontextmanager
    async def channel(self, *, confirms: bool = False) -> AsyncIterator[AbstractChannel]:
        """A temporary channel: a channel error affects nothing else."""
        with lost_not_cancelled():
            connection = await self.connection()
            channel = await connection.open_channel(confirms=confirms)
            try:
                yield channel
            finally:
                with contextlib.suppress(Exception), lost_not_cancelled():
                    await close_whole(channel)
                _stay_cancelled()

    async def blocked(self) -> bool:
        """Returns whether the broker blocks this connection (memory or disk alarm)."""
        if self._connection is None or not self.up:
            return False
        return await self._connection.blocked()

    async def close(self) -> None:
        """Closes the connection with a close handshake, within a bound; the supervisor must have been cancelled before."""
        connection, self._connection = self._connection, None
        self._ready.clear()
        if connection is not None:
            with contextlib.suppress(Exception), lost_not_cancelled():
                async with asyncio.timeout(3):
                    await connection.close()

    async def _open(self, url: str) -> None:
        address = self._address
        target = URL(url).update_query(
            heartbeat=str(int(address.heartbeat)), name=f"{address.name} {self.role}"
        )
        if address.auth == "external":
            target = target.update_query(auth="external")
        grant = None
        if address.grants is not None:
            grant = await address.grants.get(since=asyncio.get_running_loop().time() - _TOGETHER)
            target = target.with_password(grant.token)
        connection = ReceivingConnection(target, context=await self._context(target), budget=self.budget)
        try:
            async with asyncio.timeout(address.connect_timeout):
                await connection.connect()
        except (amqp.AMQPError, OSError, TimeoutError, StopAsyncIteration) as error:
            # aiormq 7.2 raises StopAsyncIteration for a connection that ends during the handshake.
            with contextlib.suppress(Exception):
                await connection.close()
            auth = target.query.get("auth", address.auth).lower()
            tried = Attempted(url, address.where, auth, len(grant.token) if grant else 0)
            raise meaning(tried, error) from error
        if connection.most_channels < _FEWEST_CHANNELS:
            await connection.close()
            raise BrokerRefused(
                f"{redacted(url)}: the broker allows {connection.most_channels} channels for each connection, and the "
                f"bridge needs {_FEWEST_CHANNELS}: raise channel_max in its rabbitmq.conf"
            )
        self._most_channels = connection.most_channels
        self._connection, self._grant = connection, grant
        self._ready.set()
        self._watch.connected(self.role, redacted(url))

    async def _context(self, target: URL) -> ssl.SSLContext | None:
        """Returns a new TLS context on each call: certificates are replaced under a running bridge."""
        if target.scheme != "amqps":
            return None
        try:
            return await asyncio.to_thread(self._address.tls)
        except ValueError as error:
            raise BrokerUnavailable(f"{self._address.where}.tls: {error}") from error

    async def _until_lost(self) -> None:
        connection = self._connection
        assert connection is not None
        closing = connection.closing
        keeping = self._kept_logged_in(connection)
        try:
            await asyncio.wait(
                {closing, keeping} if keeping else {closing}, return_when=asyncio.FIRST_COMPLETED
            )
            reason = keeping.result() if keeping and keeping.done() else why_closed(closing)
        finally:
            if keeping:
                keeping.cancel()
                await asyncio.wait({keeping})
        await self.close()
        self._watch.lost(self.role, reason)

    def _kept_logged_in(self, connection: ReceivingConnection) -> "asyncio.Task[str] | None":
        grants, grant = self._address.grants, self._grant
        if grants is None or grant is None:
            return None
        return asyncio.create_task(keep_token_fresh(connection, self.role, grants, grant))


def why_closed(closing: "asyncio.Future[Any]") -> str:
    """Returns the reason for which a connection or channel was closed.

    aiormq 7.2 may set a CancelledError as the exception of its `closing` futures: awaiting one of them would end the waiting
    task as if it had been cancelled.
    """
    error = None if closing.cancelled() else closing.exception()
    return "closed" if error is None else told(error)
