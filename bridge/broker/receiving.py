"""Connections on which messages reach our consumers straight from the socket.

The seam is the library's own: a transport factory. Its stream reader passes on all frames but those of messages
for consumers made with `ReceivingConnection.consume`.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import aiormq
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.connection import SSLContextProvider, TransportFactory
from aiormq.exceptions import AMQPConnectionError, InvalidFrameError
from yarl import URL

from bridge.broker.sieve import MessageSieve, Take

_HEARTBEAT = b"\x08\0\0\0\0\0\0\xce"
_SIGN_OF_LIFE = 1.0


class ReceivingConnection(aiormq.Connection):
    """A connection of the library's that hands messages over as they arrive, without a task for each."""

    def __init__(self, url: URL | str, *, context: ssl.SSLContext | None = None) -> None:
        self._takers: dict[bytes, Take] = {}
        super().__init__(url, context=context, transport_factory=_SievedTransport(self._takers))

    async def consume(
        self,
        channel: AbstractChannel,
        queue: str,
        consumer: str,
        take: Take,
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Consume under this tag, which must be new on the connection; `take` may be called before this returns.

        When the consumer has ended it must be forgotten, and not before: then nothing more comes for it.
        """
        self._takers[consumer.encode()] = take
        try:
            await channel.basic_consume(
                queue, _passed_by, consumer_tag=consumer, arguments=dict(arguments or {})
            )
        except BaseException:
            self.forget(consumer)
            raise

    def forget(self, consumer: str) -> None:
        """The consumer was cancelled, or its channel is gone."""
        self._takers.pop(consumer.encode(), None)


class _SievedReader(asyncio.StreamReader):
    """What the library reads: the broker's frames without our consumers' messages."""

    def __init__(self, takers: dict[bytes, Take], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._takers = takers
        self._sieve = MessageSieve(takers)
        self._clock = loop.time
        self._passed_on = 0.0

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
            # The library takes a connection without frames for dead; that is what heartbeats are for, and the
            # broker sends none while messages flow (AMQP 0-9-1 section 4.2.7: any traffic stands for one).
            self._passed_on = self._clock()
            super().feed_data(_HEARTBEAT)

    def feed_eof(self) -> None:
        """Called by the transport at the end: half a frame is for the library to complain about."""
        if rest := self._sieve.finish():
            super().feed_data(rest)
        super().feed_eof()


class _SievedTransport(TransportFactory):
    """Connects as the library's own factories do, only with our reader."""

    def __init__(self, takers: dict[bytes, Take]) -> None:
        self._takers = takers

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        provider: SSLContextProvider = kwargs.pop("ssl_context_provider")
        tls = await provider.get_context() if url.scheme == "amqps" else None
        if url.host is None or url.port is None:
            raise AMQPConnectionError("the URL names no host")
        loop = asyncio.get_running_loop()
        reader = _SievedReader(self._takers, loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            transport, _ = await loop.create_connection(
                lambda: protocol, url.host, url.port, ssl=tls, **kwargs
            )
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _passed_by(delivered: DeliveredMessage) -> None:
    raise AssertionError(f"message {delivered.delivery_tag} was not taken out of the stream")
