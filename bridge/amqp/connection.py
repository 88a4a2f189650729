"""One supervised connection to the broker: it comes back from everything by itself."""

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

# A connection that logged in with a token gets the next one before that ends.


_LONGEST_RENEWAL_WAIT = 15.0
_ANSWER = 10.0
_LEAST_WAIT = 0.2
"""A server may give the same token until it ends, with ever less time left."""


async def keep_token_fresh(
    connection: ReceivingConnection, role: str, grants: TokenProvider, grant: Grant
) -> str:
    """Renew the connection's token for as long as that works; returns why it ended, with the token's end.

    RabbitMQ leaves such a connection open and refuses whatever it asks for, as it does to a user without rights
    (3.10). It had better be gone, and made anew as soon as there is a token.
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
    """The next token, which the broker has taken."""
    loop = asyncio.get_running_loop()
    backoff = Backoff(0.5, _LONGEST_RENEWAL_WAIT)
    while True:
        try:
            new = await grants.get(since=old.renew_at)
            async with asyncio.timeout(_ANSWER):
                await connection.update_secret(new.token, reason="the token ends soon")
        except (BrokerUnavailable, BrokerRefused, amqp.AMQPError, OSError, TimeoutError) as error:
            # A broker with an alarm does not read what publishers send, this included.
            what = str(error) or "the broker did not answer to the new token in time"
            events.token_not_renewed(role, what, old.expires_at - loop.time())
            await backoff.pause()
        else:
            return new


_LONGEST_WAIT = 5.0
"""Seconds between two tries: a broker that is back after long is in use again well within 15 s."""
_FEWEST_CHANNELS = 8
"""A connection has to allow: lanes, strays, words among replicas, publishers, and a look at a queue now and then."""
_SHORT = 10.0
"""Seconds: after a connection that did not last so long the next one waits."""
_TOGETHER = 2.0
"""Seconds in which connections that are made together share one token."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is and how to connect; several URLs are tried in turn.

    `tls` makes the context of each new connection by amqps://, so that certificates may be exchanged; it may raise
    a ValueError. `grants` gives the tokens of `auth="oauth2"`. `where` is the path of the settings.
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
    """Who wants to know what happens to a connection."""

    def connected(self, role: str, address: str) -> None:
        """It is open (again)."""

    def lost(self, role: str, error: str) -> None:
        """It went away, or could not be made; tried again by itself."""


class Login(Protocol):
    """Who the bridge is to the broker: asked for before each connection, since passwords are exchanged."""

    async def address(self) -> Address:
        """How to connect now; never raises."""
        ...

    def refused(self, role: str, why: str) -> None:
        """The broker refused the login, or the right to use the virtual host."""
        ...

    def taken(self, role: str) -> None:
        """The broker took it."""
        ...


@contextlib.contextmanager
def lost_not_cancelled() -> Iterator[None]:
    """Within this, only who is cancelled himself sees a CancelledError; a lost connection is BrokerUnavailable.

    aiormq 7.2 ends the calls that are pending on a connection, and later ones on it, with a CancelledError when
    the broker falls silent. Unless it is told apart, the calling task ends as if somebody had cancelled it.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BrokerUnavailable("the connection was lost") from error


def _stay_cancelled() -> None:
    """Closing a channel may swallow the cancellation of the task that waits for it (aiormq 7.2)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def close_whole(channel: AbstractChannel) -> None:
    """Close a channel to the end, also where the caller is cancelled meanwhile.

    aiormq 7.2 sends a second Channel.Close when the first is given up, and over that the broker closes the
    connection, with all that others do on it (3.10.8).
    """
    closing = asyncio.ensure_future(channel.close())
    # Nobody may be left to hear how it ended; until then the channel, which the connection holds, keeps it alive.
    closing.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    await asyncio.shield(closing)


class Link:
    """A connection for one role (consume, publish, topology), reconnecting for ever with jittered waits."""

    def __init__(
        self,
        role: str,
        address: Address,
        watch: LinkWatch,
        login: Login | None = None,
        budget: Budget | None = None,
    ) -> None:
        """`address`: how to connect where no `login` says it anew; `budget`: what messages that are consumed count in."""
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
        """One more connection to the same broker."""
        return Link(role, self._address, self._watch, self._login, self.budget)

    @property
    def fair_share(self) -> int:
        """How many channels one use of the connection may hold for long: half of what the broker allows.

        As much as the protocol knows until it was connected.
        """
        return self._most_channels // 2

    @property
    def up(self) -> bool:
        """Connected right now."""
        return self._ready.is_set()

    async def connect_once(self) -> None:
        """Connect, trying every URL once; raises BrokerRefused or BrokerUnavailable with what to do."""
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
        """Keep the connection up until cancelled."""
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
        """The live connection, waiting for it as long as it takes (bound the call yourself)."""
        while True:
            await self._ready.wait()
            if self._connection is not None and not self._connection.is_closed:
                return self._connection
            # The supervisor has not seen the loss yet: let it.
            await asyncio.sleep(0.01)

    async def place(self) -> tuple[str, str]:
        """Where it leads, as the broker tells: the name of its cluster, empty where it tells none, and the vhost."""
        connection = await self.connection()
        told = connection.server_properties.get("cluster_name", "")
        name = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
        return name, connection.vhost

    @contextlib.asynccontextmanager
    async def channel(self, *, confirms: bool = False) -> AsyncIterator[AbstractChannel]:
        """A throw-away channel: an error of the broker's kills it and nothing else."""
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
        """The broker has stopped reading what this connection publishes (memory or disk alarm)."""
        if self._connection is None or not self.up:
            return False
        return await self._connection.blocked()

    async def close(self) -> None:
        """Close politely, within a bound; the supervisor must have been cancelled."""
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
            # StopAsyncIteration is what aiormq 7.2 makes of a connection that ends during the handshake.
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
        """Read anew each time: certificates are exchanged under a running bridge."""
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
    """What ended a connection or channel.

    aiormq 7.2 may set a CancelledError as the exception of its `closing` futures: awaiting one of them would
    end the waiting task as if that had been cancelled.
    """
    error = None if closing.cancelled() else closing.exception()
    return "closed" if error is None else told(error)
