"""The survey of a broker: its permissions and objects, examined without any lasting change."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Literal

import aio_pika
from aiormq import exceptions as amqp

from bridge.amqp.connection import Address, Link, Silent
from bridge.amqp.errors import redacted
from bridge.amqp.kinds import kind_of, taken_by
from bridge.amqp.topology import Names, Planned, declare, planned
from bridge.core.errors import BrokerRefused, BrokerUnavailable
from bridge.core.survey import BrokerEndpoint, FoundObject, FoundSource, Right, Rights

_REFUSED = amqp.ChannelAccessRefused
_OTHER = (amqp.ChannelPreconditionFailed, amqp.ChannelLockedResource)
_NO_PRIORITY = {"x-priority": "none"}
"""Arguments with which a consumer always fails: the broker answers 403 without the read permission, and 406 with it."""


@asynccontextmanager
async def reached(address: Address) -> AsyncIterator[tuple[tuple[BrokerEndpoint, ...], Link | None]]:
    """Yields the result of connecting to each address of the broker, and a connection to the first that works."""
    found: list[BrokerEndpoint] = []
    links: list[Link] = []
    try:
        for url in address.urls:
            link = Link("doctor", replace(address, urls=[url]), Silent())
            try:
                await link.connect_once()
            except (BrokerRefused, BrokerUnavailable) as error:
                found.append(BrokerEndpoint(redacted(url), str(error)))
            else:
                links.append(link)
                found.append(await _introduced(redacted(url), link))
        yield tuple(found), links[0] if links else None
    finally:
        for link in links:
            await link.close()


async def _introduced(address: str, link: Link) -> BrokerEndpoint:
    told = (await link.connection()).server_properties
    product, version = (str(told.get(name, "")) for name in ("product", "version"))
    return BrokerEndpoint(address, "", product, version, *await link.place())


class Survey:
    """Examines one broker over one connection; every step uses a temporary channel."""

    def __init__(self, link: Link, names: Names, queue_type: Literal["quorum", "classic"]) -> None:
        self._link = link
        self._names = names
        self._queue_type = queue_type

    async def rights(self) -> Rights:
        """Returns the permissions, tested on an exchange and a queue that are deleted with the connection.

        If these must not be declared, the bridge's own objects are used, as far as they exist. Raises BrokerUnavailable.
        """
        default = await self._writable("")
        try:
            tried = await self._tried(f"{self._names.prefix}.doctor.{secrets.token_hex(4)}")
        except _REFUSED as error:
            write, read = await self._writable(self._names.lanes), await self._readable(self._names.dead)
            tried = Rights(configure=False, write=write, read=read, said=_text(error))
        return replace(tried, default_exchange=default)

    async def _tried(self, name: str) -> Rights:
        write = read = True
        said = ""
        async with self._link.channel(confirms=True) as channel:
            # Never a quorum queue, whatever the virtual host makes by default: those cannot be exclusive.
            await channel.declare_queue(
                name, exclusive=True, auto_delete=True, arguments={"x-queue-type": "classic"}
            )
            await channel.declare_exchange(name, "fanout", auto_delete=True)
        try:
            async with self._link.channel(confirms=True) as channel:
                exchange = await channel.get_exchange(name, ensure=False)
                await exchange.publish(aio_pika.Message(b""), "", mandatory=False)
        except _REFUSED as error:
            write, said = False, _text(error)
        try:
            async with self._link.channel() as channel:
                await (await channel.get_queue(name, ensure=False)).get(no_ack=True, fail=False)
        except _REFUSED as error:
            read, said = False, _text(error)
        async with self._link.channel() as channel:
            await channel.exchange_delete(name)
            await channel.queue_delete(name)
        return Rights(configure=True, write=write, read=read, said=said)

    async def _writable(self, exchange: str) -> bool | None:
        """Returns whether one may publish to the exchange, without doing so: the broker checks the permission before the
        properties, and refuses (406) a negative expiration.
        """
        try:
            async with self._link.channel(confirms=True) as channel:
                refused = aio_pika.Message(b"", expiration=-1, user_id="doctor")
                asked = await channel.get_exchange(exchange, ensure=False)
                await asked.publish(refused, f"doctor {secrets.token_hex(8)}", mandatory=False)
        except _REFUSED:
            return False
        except (amqp.ChannelPreconditionFailed, amqp.PublishError, amqp.DeliveryError):
            return True
        except amqp.AMQPError:
            return None
        return True

    async def _readable(self, queue: str) -> bool | None:
        """Returns whether one may consume from the queue, without taking a message."""
        try:
            async with self._link.channel() as channel:
                await channel.set_qos(prefetch_count=1)
                asked = await channel.get_queue(queue, ensure=False)
                await asked.consume(_untaken, arguments=dict(_NO_PRIORITY))
        except _REFUSED:
            return False
        except amqp.ChannelPreconditionFailed:
            return True
        except amqp.AMQPError:
            return None
        return True

    async def source(self, queue: str) -> FoundSource:
        """Returns the queue of a source, compared with its publishers' declaration. Raises BrokerUnavailable."""
        try:
            async with self._link.channel() as channel:
                found = (await channel.get_queue(queue)).declaration_result
        except amqp.ChannelNotFoundEntity as error:
            away = "home node" in str(error) or "inaccessible" in str(error)
            return FoundSource(queue, None if away else False, said=_text(error))
        except _REFUSED as error:  # since 4.3.1 even a passive declaration needs a permission
            return FoundSource(queue, None, readable=False, said=_text(error))
        except _OTHER as error:
            return FoundSource(queue, None, said=_text(error))
        kept, said = await self._kept(queue)
        depth, consumers = found.message_count or 0, found.consumer_count or 0
        kind, _ = await kind_of(self._link, queue, may_declare=kept is not None)
        if kind.type == "classic" and consumers and not depth:
            kind = replace(kind, taken=await taken_by(self._link, queue))
        readable = await self._readable(queue)
        return FoundSource(queue, True, depth, consumers, kept, readable, said, kind)

    async def _kept(self, queue: str) -> tuple[bool | None, str]:
        try:
            async with self._link.channel() as channel:
                await channel.declare_queue(queue, durable=True)
        except _OTHER as error:
            return False, _text(error)
        except _REFUSED as error:
            return None, _text(error)
        return True, ""

    async def objects(self, hooks: Sequence[str]) -> tuple[FoundObject, ...]:
        """Returns all objects of the bridge, with the lanes of these hooks, existing or not. Raises BrokerUnavailable."""
        return tuple([await self._looked_at(each) for each in planned(self._names, self._queue_type, hooks)])

    async def _looked_at(self, plan: Planned) -> FoundObject:
        found = await self.compared(plan)
        granted: bool | None = None
        if plan.use is not None and found.state in {"right", "unknown"}:
            granted = await (self._writable if plan.use == "write" else self._readable)(plan.name)
        refused = found.refused if granted is not False or plan.use is None else (*found.refused, plan.use)
        return replace(found, use=plan.use, refused=refused)

    async def compared(self, plan: Planned, *, passive: bool = False) -> FoundObject:
        """Returns an object compared with its plan; `passive`: only whether it exists.

        It is declared only if it exists, which shows differences and changes nothing.
        """
        depth, made = 0, plan.made
        declared = False
        try:
            for declared in (False,) if passive else (False, True):
                async with self._link.channel() as channel:
                    queue = await declare(channel, plan, passive=not declared)
                    depth = queue.declaration_result.message_count or 0 if queue else 0
        except amqp.ChannelNotFoundEntity as error:
            away = "home node" in str(error) or "inaccessible" in str(error)
            return FoundObject(
                plan.kind, plan.name, "unknown" if away else "missing", depth, _text(error), made
            )
        except _OTHER as error:
            return FoundObject(plan.kind, plan.name, "other", depth, _text(error), made)
        except _REFUSED as error:
            refused: tuple[Right, ...] = ("configure",) if declared else ()
            return FoundObject(plan.kind, plan.name, "unknown", depth, _text(error), made, refused=refused)
        return FoundObject(plan.kind, plan.name, "right", depth, made=made)


async def _untaken(_: object) -> None:
    """Ignores a message: it is returned when the channel closes."""


def _text(error: BaseException) -> str:
    return " ".join(str(part) for part in error.args) or type(error).__name__
