"""Connections of aio-pika on which messages reach our consumers directly from the socket.

The hook-in point is the transport factory of aiormq, the client underneath. Its stream reader passes on all frames except those
of messages for consumers made with `ReceivingConnection.consume`.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import aio_pika
import aiormq
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, UnderlayConnection
from aiormq.abc import ExceptionType
from aiormq.connection import SSLContextProvider, TransportFactory
from aiormq.exceptions import AMQPConnectionError, InvalidFrameError
from yarl import URL

from bridge.amqp.frames import DeliveryFrameReader, Take
from bridge.core.budget import Budget
from bridge.core.errors import BrokerUnavailable

_HEARTBEAT = b"\x08\0\0\0\0\0\0\xce"
_SIGN_OF_LIFE = 1.0
_MOST_CHANNELS = 65_535
_PATIENCE = 5.0
_LOOK_AGAIN = 0.02


class _Channel(aio_pika.Channel):
    """A channel that leaves no callbacks behind on its connection."""

    async def close(self, exc: ExceptionType | None = None) -> None:
        """Closes the channel; aio-pika 10.2 leaves a callback behind for each channel that the broker closed before."""
        await super().close(exc)
        if (underlay := self._channel) is not None:
            underlay.channel.connection.closing.remove_done_callback(underlay.close_callback)


class _Underlay(aiormq.Connection):
    """The aiormq connection underneath, with two faults of version 7.2 fixed."""

    _observer: asyncio.Future[Any] | None = None
    unblocked = aiormq.Connection.ready

    @property
    def closing(self) -> asyncio.Future[Any]:
        """A future that is done when the connection has ended; aiormq makes another one on each access and keeps them all."""
        if self._observer is None:
            self._observer = super().closing
        return self._observer

    async def ready(self) -> None:
        """Waits until the broker accepts messages; aiormq waits for ever if the connection ends before."""
        unblocked = asyncio.ensure_future(self.unblocked())
        try:
            await asyncio.wait({unblocked, self.closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            unblocked.cancel()
        if self.is_closed:
            raise AMQPConnectionError("the connection was lost")


class _UnderlayConnection(UnderlayConnection):
    @classmethod
    async def make_connection(
        cls, url: URL, timeout: float | None = None, **kwargs: Any
    ) -> aiormq.abc.AbstractConnection:
        connection = _Underlay(url, **kwargs)
        async with asyncio.timeout(timeout):
            await connection.connect()
            await connection.ready()
        return connection


class ReceivingConnection(aio_pika.Connection):
    """A connection of aio-pika that passes on messages as they arrive, without a task for each."""

    CHANNEL_CLASS = _Channel
    PARAMETERS = ()

    def __init__(
        self, url: URL | str, *, context: ssl.SSLContext | None = None, budget: Budget | None = None
    ) -> None:
        """`budget`: while it is crowded, connections that have consumers are not read."""
        super().__init__(URL(url), ssl_context=context)
        self._takers: dict[bytes, Take] = {}
        self._opening: set[int] = set()
        self.kwargs["transport_factory"] = _SievedTransport(self._takers, budget or Budget())

    def __del__(self) -> None:
        """Does nothing: aio-pika's would start a task, on whichever thread collects the garbage."""

    async def connect(self, timeout: float | None = None) -> None:
        """Connects and logs in."""
        self.transport = await _UnderlayConnection.connect(
            self.url, self._on_connection_close, timeout, **self.kwargs
        )
        assert isinstance(self.transport.connection, _Underlay)
        self.underlay = self.transport.connection
        await self._on_connected()

    @property
    def is_closed(self) -> bool:
        """Returns whether the connection was closed or lost; aio-pika's property shows a loss only after a later close."""
        return super().is_closed or self.underlay.is_closed

    @property
    def closing(self) -> asyncio.Future[Any]:
        """A future that is done when the connection has ended."""
        return self.underlay.closing

    @property
    def server_properties(self) -> Mapping[str, Any]:
        """Returns the server properties that the broker sent."""
        return self.underlay.server_properties

    @property
    def vhost(self) -> str:
        """Returns the virtual host."""
        return self.underlay.vhost

    @property
    def most_channels(self) -> int:
        """Returns the maximum number of channels of the connection (`channel_max`)."""
        return self.underlay.connection_tune.channel_max or _MOST_CHANNELS

    async def blocked(self) -> bool:
        """Returns whether the broker blocks this connection (memory or disk alarm)."""
        try:
            async with asyncio.timeout(0.05):
                await self.underlay.unblocked()
        except TimeoutError:
            return True
        return False

    async def open_channel(self, *, confirms: bool = False) -> AbstractChannel:
        """Opens a channel as soon as the broker allows one more; raises BrokerUnavailable if none is freed in time.

        aiormq 7.2 opens more than the broker allows, and the broker then closes the connection (530). With `confirms` a publish
        raises if the message is returned.
        """
        number = await self._free_number()
        self._opening.add(number)
        try:
            channel = self.channel(number, publisher_confirms=confirms, on_return_raises=confirms)
            await channel.initialize()
        finally:
            self._opening.discard(number)
        return channel

    async def _free_number(self) -> int:
        until = self.loop.time() + _PATIENCE
        while not self.is_closed:
            for number in range(1, self.most_channels + 1):
                if number not in self.underlay.channels and number not in self._opening:
                    return number
            if self.loop.time() > until:
                raise BrokerUnavailable(
                    f"all {self.most_channels} channels are in use that the broker allows a connection (channel_max)"
                )
            await asyncio.sleep(_LOOK_AGAIN)
        raise BrokerUnavailable("the connection was lost")

    async def consume(
        self,
        channel: AbstractChannel,
        queue: str,
        consumer: str,
        take: Take,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Consumes under this tag, which must be new on the connection; `take` may be called before this returns.

        `forget` has to be called when the consumer has ended, and not before: after it, messages for the tag are not taken.
        """
        self._takers[consumer.encode()] = take
        try:
            consumed = await channel.get_queue(queue, ensure=False)
            await consumed.consume(_passed_by, consumer_tag=consumer, arguments=dict(arguments or {}))
        except BaseException:
            self.forget(consumer)
            raise

    def forget(self, consumer: str) -> None:
        """Removes a consumer that was cancelled, or whose channel is gone."""
        self._takers.pop(consumer.encode(), None)


class _SievedReader(asyncio.StreamReader):
    """The stream that the library reads: the broker's frames without our consumers' messages."""

    def __init__(self, takers: dict[bytes, Take], budget: Budget, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._takers = takers
        self._sieve = DeliveryFrameReader(takers, budget)
        self._budget = budget
        self._clock = loop.time
        self._schedule = loop.call_soon_threadsafe
        self._later = loop.call_later
        self._passed_on = 0.0
        self._socket: Any = None  # uvloop's transport (0.23) is not an instance of asyncio.Transport
        self._halted = False

    def set_transport(self, transport: asyncio.BaseTransport) -> None:
        """Called by the protocol once the socket is connected."""
        super().set_transport(transport)
        self._socket = transport

    def feed_data(self, data: bytes) -> None:  # type: ignore[override] # the base class says Iterable
        """Called by the transport with each chunk from the socket."""
        try:
            left = self._sieve.feed(data)
        except InvalidFrameError as error:
            left = b""
            self._sieve.finish()
            self.set_exception(error)
        if left:
            self._passed_on = self._clock()
            super().feed_data(left)
        elif self._takers and self._clock() - self._passed_on > _SIGN_OF_LIFE:
            self._tell_of_life()
        if self._budget.crowded and self._takers and not self._halted:
            self._halt()

    def feed_eof(self) -> None:
        """Called by the transport at the end of the stream: an incomplete frame is passed on, for the library to report."""
        if rest := self._sieve.finish():
            super().feed_data(rest)
        super().feed_eof()

    def _tell_of_life(self) -> None:
        # The library takes a connection without frames for dead, which heartbeats should prevent; but the broker sends none
        # while messages flow (AMQP 0-9-1 section 4.2.7: any traffic substitutes for one).
        self._passed_on = self._clock()
        super().feed_data(_HEARTBEAT)

    # ---- backpressure by memory -----------------------------------------------------------------------

    def _halt(self) -> None:
        """Leaves incoming bytes in the socket: the broker stops sending when that is full, and waits.

        Messages held here are finished nevertheless: acks and copies are sent, and their confirms arrive on another connection.
        """
        self._halted = True
        self._socket.pause_reading()
        self._budget.when_roomy(self._room_again)
        self._later(_SIGN_OF_LIFE, self._live_on)

    def _room_again(self) -> None:
        self._schedule(self._go_on)  # memory may be released on any thread

    def _go_on(self) -> None:
        self._halted = False
        if not self._socket.is_closing():
            self._socket.resume_reading()

    def _live_on(self) -> None:
        """Keeps the connection alive: heartbeats are unread in the socket too, and a loss is noticed when writing."""
        if self._halted and not self._socket.is_closing():
            self._tell_of_life()
            self._later(_SIGN_OF_LIFE, self._live_on)


class _SievedTransport(TransportFactory):
    """Connects as the library's own factories do, with the stream reader of this module."""

    def __init__(self, takers: dict[bytes, Take], budget: Budget) -> None:
        self._takers = takers
        self._budget = budget

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        provider: SSLContextProvider = kwargs.pop("ssl_context_provider")
        tls = await provider.get_context() if url.scheme == "amqps" else None
        if url.host is None or url.port is None:
            raise AMQPConnectionError("the URL names no host")
        loop = asyncio.get_running_loop()
        reader = _SievedReader(self._takers, self._budget, loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            transport, _ = await loop.create_connection(
                lambda: protocol, url.host, url.port, ssl=tls, **kwargs
            )
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _passed_by(message: AbstractIncomingMessage) -> None:
    raise AssertionError(f"message {message.delivery_tag} was not taken out of the stream")
