"""The waiting places of deliveries on the broker: publishing into lanes and onto the ladder, and consuming lanes."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import uuid_utils

from bridge.amqp.codec import read_table, write_table
from bridge.amqp.connection import Link
from bridge.amqp.consumer import ConsumeChannel
from bridge.amqp.publisher import ConfirmedPublisher
from bridge.amqp.topology import Topology
from bridge.core.budget import NOTHING, Held, Turn
from bridge.core.delivery import Delivery
from bridge.core.errors import BridgeError, BrokerRefused, Unroutable
from bridge.core.event import Message
from bridge.core.ports import Outgoing, Receive
from bridge.retry.policy import next_step
from bridge.wire.copies import PREFIX, Authenticator, write_copy

_LARGE = 1_048_576
"""Bytes from which on a body is signed in a thread: its signature takes too long for the event loop."""


class BrokerCopies:
    """The publisher of copies; see bridge.core.ports.Copies."""

    def __init__(
        self,
        publisher: ConfirmedPublisher,
        topology: Topology,
        authenticator: Authenticator,
        delayed: Callable[[int], None],
        turn: Turn | None = None,
    ) -> None:
        """`authenticator` signs every copy; `delayed(step)` is called for every copy put on the ladder; `turn` is the share of
        the event loop for encoding copies.
        """
        self._turn = turn or Turn()
        self._publisher = publisher
        self._authenticator = authenticator
        self._delayed = delayed
        self._topology = topology
        self._names = topology.names

    async def park(self, delivery: Delivery) -> None:
        """Publishes a copy to the hook's lane, declaring the lane if it is missing."""
        await self._put(self._names.lanes, delivery)

    async def delay(self, delivery: Delivery, seconds: float) -> None:
        """Publishes a copy to the step of the ladder that fits; a short wait is served by the lane's consumer."""
        step = next_step(seconds)
        if step is None:
            await self.park(delivery)
            return
        await self._put(self._names.delay(step), delivery)
        self._delayed(step)

    async def set_aside(self, orphan: Message) -> None:
        """Publishes a copy of an unknown hook to the end of the queue of orphans."""
        ours = {name: value for name, value in orphan.headers.items() if name.startswith(PREFIX)}
        message_id = str(uuid_utils.uuid7())
        await self._publisher.publish(
            Outgoing(self._names.orphans, orphan.routing_key, message_id, orphan.body, ours, orphan)
        )

    async def _put(self, exchange: str, delivery: Delivery) -> None:
        if self._topology.has_no_lane(delivery.hook):
            # The copy belongs to a deleted hook: it goes where late copies from the ladder are handled.
            exchange = self._names.orphans
            await self._publish(exchange, delivery)
            return
        try:
            await self._topology.ensure_lane(delivery.hook)
            await self._publish(exchange, delivery)
        except (Unroutable, BrokerRefused):
            # The lane, or an exchange on the way to it, was deleted since it was declared.
            await self._topology.ensure_base()
            await self._topology.ensure_lane(delivery.hook, anew=True)
            await self._publish(exchange, delivery)

    async def _publish(self, exchange: str, delivery: Delivery) -> None:
        await self._turn.own()
        message = delivery.event.message
        headers = as_read(write_copy(delivery))
        sign = partial(self._authenticator.sign, headers, message, message.body)
        await self._publisher.publish(
            Outgoing(
                exchange=exchange,
                routing_key=delivery.hook,
                # Unique per publish: aiormq matches returned messages by id, and would confuse two with equal ids.
                message_id=str(uuid_utils.uuid7()),
                body=message.body,
                headers=sign() if len(message.body) < _LARGE else await asyncio.to_thread(sign),
                like=message,
            )
        )


def as_read(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the headers as they will be read back: the signature covers these, as a table cannot hold every value."""
    if all(name.isascii() and _stays(value) for name, value in headers.items()):
        return headers
    return read_table(write_table(headers), 0)[0]


def _stays(value: Any) -> bool:
    """Returns whether a value is read as it is written, without writing it."""
    match value:
        case str():
            return value.isascii()
        case Mapping():
            return not value
        case _:
            return isinstance(value, int) and -(2**63) <= value < 2**63


# The consumers on lanes: a hundred share a channel, or more if the broker allows few channels.


LANES_PER_CHANNEL = 100
_OTHERS = 3
"""Channels of the connection for other uses than lanes and sources; sources have the other half."""


class ChannelLanes:
    """Distributes lane consumers over supervised channels; see bridge.pipeline.lanes.LaneConsumers."""

    def __init__(
        self,
        link: Link,
        topology: Topology,
        watch: Callable[[str, bool | None], None],
        lost: Callable[[str], None] = lambda _why: None,
    ) -> None:
        """`watch` and `lost` as for ConsumeChannel."""
        self._lost = lost
        self._link = link
        self._topology = topology
        self._watch = watch
        self.channels: dict[ConsumeChannel, asyncio.Task[None]] = {}

    async def consume(self, hook: str, prefetch: int, receive: Receive) -> None:
        """Consumes the hook's lane with this prefetch from now on."""
        self._with_room().subscribe(self._topology.names.lane(hook), prefetch, receive)

    async def leave(self, hook: str) -> None:
        """Stops consuming the lane; tickets given out stay valid."""
        lane = self._topology.names.lane(hook)
        for channel in self.channels:
            if lane in channel:
                await channel.unsubscribe(lane)

    async def resize(self, hook: str, prefetch: int) -> None:
        """Changes the prefetch of the lane; messages held here stay."""
        lane = self._topology.names.lane(hook)
        for channel in self.channels:
            if lane in channel:
                channel.resize(lane, prefetch)

    def held(self, hook: str) -> Held:
        """Returns what is held here of the lane."""
        lane = self._topology.names.lane(hook)
        return next((channel.held(lane) for channel in self.channels if lane in channel), NOTHING)

    async def renew(self, hook: str) -> None:
        """Consumes the lane with a new tag."""
        lane = self._topology.names.lane(hook)
        for channel in self.channels:
            if lane in channel:
                await channel.renew(lane)

    async def depths(self, hooks: Sequence[str]) -> dict[str, int]:
        """Returns the ready messages of each of these hooks' lanes that exists."""
        names = {self._topology.names.lane(hook): hook for hook in hooks}
        return {names[lane]: depth for lane, depth in (await self._topology.depths(list(names))).items()}

    def up(self, hook: str) -> bool:
        """Returns whether the broker has confirmed a consumer on this lane."""
        lane = self._topology.names.lane(hook)
        return any(channel.up(lane) for channel in self.channels)

    async def close(self) -> None:
        """Flushes and closes all channels."""
        for channel, task in self.channels.items():
            await channel.close()
            task.cancel()
        await asyncio.gather(*self.channels.values(), return_exceptions=True)

    def _with_room(self) -> ConsumeChannel:
        for channel in self.channels:
            if len(channel) < LANES_PER_CHANNEL:
                return channel
        # With fewer channels than lanes need, more lanes share one. The rest is for sources, orphans and control messages.
        if self.channels and len(self.channels) >= self._link.fair_share - _OTHERS:
            return min(self.channels, key=len)
        channel = ConsumeChannel(self._link, self._prepare, self._watch, self._lost, holds="lanes")
        self.channels[channel] = asyncio.create_task(channel.run(), name="lanes")
        return channel

    async def _prepare(self, lane: str) -> bool:
        """Declares again a lane that was deleted at run time: retries on the ladder will come back to it."""
        hook = lane.removeprefix(self._topology.names.lane(""))
        try:
            # The declaration also waits for a lane that is being created: 3.10 answers a consumer on a quorum queue without a
            # leader by closing the whole connection (541 INTERNAL_ERROR). A lane that may not be declared here may exist.
            with contextlib.suppress(BrokerRefused):
                await self._topology.ensure_lane(hook)
            if await self._topology.depth(lane) is None:
                await self._topology.ensure_lane(hook, anew=True)
        except BridgeError:
            return False
        return True
