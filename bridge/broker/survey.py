"""What a broker really grants and holds: looked at without changing anything that stays."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Literal

from aiormq import exceptions as amqp
from aiormq.abc import AbstractChannel

from bridge.broker.link import Address, Link
from bridge.broker.refusals import redacted
from bridge.broker.topology import Names, queue_arguments
from bridge.model.errors import BrokerRefused, BrokerUnavailable
from bridge.ports.survey import Endpoint, FoundObject, FoundSource, Kind, Rights
from bridge.rules.retry.ladder import STEPS

_REFUSED = amqp.ChannelAccessRefused
_OTHER = (amqp.ChannelPreconditionFailed, amqp.ChannelLockedResource)
_NO_PRIORITY = {"x-priority": "none"}
"""Nobody can consume with this: the broker answers 403 where he may not read, and 406 where he may."""


class _Silent:
    """One short connection needs nobody to count it."""

    def connected(self, role: str, address: str) -> None:
        """It is open."""

    def lost(self, role: str, error: str) -> None:
        """It is gone."""


@asynccontextmanager
async def reached(address: Address) -> AsyncIterator[tuple[tuple[Endpoint, ...], Link | None]]:
    """Each address of the broker as it answers by itself, and a connection to the first that can be used."""
    found: list[Endpoint] = []
    links: list[Link] = []
    try:
        for url in address.urls:
            link = Link("doctor", replace(address, urls=[url]), _Silent())
            try:
                await link.connect_once()
            except (BrokerRefused, BrokerUnavailable) as error:
                found.append(Endpoint(redacted(url), str(error)))
            else:
                links.append(link)
                found.append(await _introduced(redacted(url), link))
        yield tuple(found), links[0] if links else None
    finally:
        for link in links:
            await link.close()


async def _introduced(address: str, link: Link) -> Endpoint:
    told = (await link.connection()).server_properties
    product, version, cluster = (str(told.get(name, "")) for name in ("product", "version", "cluster_name"))
    return Endpoint(address, "", product, version, cluster)


class Survey:
    """Looks at one broker over one connection; every step on a channel that may die without harm."""

    def __init__(self, link: Link, names: Names, queue_type: Literal["quorum", "classic"]) -> None:
        self._link = link
        self._names = names
        self._queue_type = queue_type

    async def rights(self) -> Rights:
        """Tried out on an exchange and a queue made for it, which go with the connection.

        Where these must not be made, on our own ones as far as they exist. Raises BrokerUnavailable.
        """
        try:
            return await self._tried(f"{self._names.prefix}.doctor.{secrets.token_hex(4)}")
        except _REFUSED as error:
            write, read = await self._writable(), await self._readable(self._names.dead)
            return Rights(configure=False, write=write, read=read, said=_text(error))

    async def _tried(self, name: str) -> Rights:
        write = read = True
        said = ""
        async with self._link.channel(confirms=True) as channel:
            await channel.queue_declare(name, exclusive=True, auto_delete=True)
            await channel.exchange_declare(name, exchange_type="fanout", auto_delete=True)
        try:
            async with self._link.channel(confirms=True) as channel:
                await channel.basic_publish(b"", exchange=name)
        except _REFUSED as error:
            write, said = False, _text(error)
        try:
            async with self._link.channel() as channel:
                await channel.basic_get(name, no_ack=True)
        except _REFUSED as error:
            read, said = False, _text(error)
        async with self._link.channel() as channel:
            await channel.exchange_delete(name)
            await channel.queue_delete(name)
        return Rights(configure=True, write=write, read=read, said=said)

    async def _writable(self) -> bool | None:
        """Whether one may publish to the lanes: with a key that none has, nothing arrives."""
        try:
            async with self._link.channel(confirms=True) as channel:
                await channel.basic_publish(
                    b"",
                    exchange=self._names.lanes,
                    routing_key=f"doctor {secrets.token_hex(8)}",
                    mandatory=True,
                )
        except _REFUSED:
            return False
        except (amqp.PublishError, amqp.DeliveryError):
            return True
        except amqp.AMQPError:
            return None
        return True

    async def _readable(self, queue: str) -> bool | None:
        """Whether one may consume from it, without taking a message."""
        try:
            async with self._link.channel() as channel:
                await channel.basic_qos(prefetch_count=1)
                await channel.basic_consume(queue, _untaken, arguments=dict(_NO_PRIORITY))
        except _REFUSED:
            return False
        except amqp.ChannelPreconditionFailed:
            return True
        except amqp.AMQPError:
            return None
        return True

    async def source(self, queue: str) -> FoundSource:
        """The queue of a source, compared with the fixed parameters of its publishers. Raises BrokerUnavailable."""
        try:
            async with self._link.channel() as channel:
                answer = await channel.queue_declare(queue, passive=True)
        except amqp.ChannelNotFoundEntity as error:
            away = "home node" in str(error) or "inaccessible" in str(error)
            return FoundSource(queue, None if away else False, said=_text(error))
        except (*_OTHER, _REFUSED) as error:
            return FoundSource(queue, None, said=_text(error))
        kept, said = await self._kept(queue)
        depth, consumers = answer.message_count or 0, answer.consumer_count or 0
        return FoundSource(queue, True, depth, consumers, kept, await self._readable(queue), said)

    async def _kept(self, queue: str) -> tuple[bool | None, str]:
        try:
            async with self._link.channel() as channel:
                await channel.queue_declare(queue, durable=True)
        except _OTHER as error:
            return False, _text(error)
        except _REFUSED as error:
            return None, _text(error)
        return True, ""

    async def objects(self, hooks: Sequence[str]) -> tuple[FoundObject, ...]:
        """All that is ours, with the lanes of these hooks as far as they have one. Raises BrokerUnavailable."""
        names = self._names
        exchanges = [(names.orphans, "fanout"), (names.dead, "fanout"), (names.lanes, "direct")]
        exchanges += [(names.requeue, "direct"), (names.control, "fanout")]
        exchanges += [(names.delay(step), "fanout") for step in STEPS]
        found = [await self._exchange(name, kind) for name, kind in exchanges]
        found += [
            await self._queue(name, self._arguments(None))
            for name in (names.orphans, names.dead, names.events)
        ]
        for step in STEPS:
            arguments = self._arguments(names.requeue) | {"x-message-ttl": step * 1000}
            found.append(await self._queue(names.delay(step), arguments))
        lanes = [await self._queue(names.lane(hook), self._arguments(names.dead)) for hook in hooks]
        return (*found, *(lane for lane in lanes if lane.state != "missing"))

    async def _exchange(self, name: str, kind: str) -> FoundObject:
        needs_alternate = name == self._names.requeue
        alternate: dict[str, Any] | None = (
            {"alternate-exchange": self._names.orphans} if needs_alternate else None
        )

        async def declare(channel: AbstractChannel, *, passive: bool) -> int:
            await channel.exchange_declare(
                name,
                exchange_type=kind,
                durable=True,
                passive=passive,
                arguments=None if passive else alternate,
            )
            return 0

        return await self._compared("exchange", name, declare)

    async def _queue(self, name: str, arguments: dict[str, Any]) -> FoundObject:
        async def declare(channel: AbstractChannel, *, passive: bool) -> int:
            answer = await channel.queue_declare(
                name, durable=True, passive=passive, arguments=None if passive else arguments
            )
            return answer.message_count or 0

        return await self._compared("queue", name, declare)

    async def _compared(self, kind: Kind, name: str, declare: Any) -> FoundObject:
        """Looked for first: only what is there is declared, which tells how it differs and changes nothing."""
        depth = 0
        try:
            for passive in (True, False):
                async with self._link.channel() as channel:
                    depth = await declare(channel, passive=passive)
        except amqp.ChannelNotFoundEntity as error:
            away = "home node" in str(error) or "inaccessible" in str(error)
            return FoundObject(kind, name, "unknown" if away else "missing", depth, _text(error))
        except _OTHER as error:
            return FoundObject(kind, name, "other", depth, _text(error))
        except _REFUSED as error:
            return FoundObject(kind, name, "unknown", depth, _text(error))
        return FoundObject(kind, name, "right", depth)

    def _arguments(self, dead_letter_exchange: str | None) -> dict[str, Any]:
        return queue_arguments(self._queue_type, dead_letter_exchange)


async def _untaken(_: object) -> None:
    """Nothing is consumed in earnest; what came all the same goes back with the channel."""


def _text(error: BaseException) -> str:
    return " ".join(str(part) for part in error.args) or type(error).__name__
