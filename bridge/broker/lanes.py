"""Where deliveries wait on the broker: parking into a lane, and the ladder's way back to it."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import uuid_utils

from bridge.broker.publisher import ConfirmedPublisher
from bridge.broker.tables import read_table, write_table
from bridge.broker.topology import Topology
from bridge.model.delivery import Delivery
from bridge.model.errors import BrokerRefused, Unroutable
from bridge.model.event import Message
from bridge.ports.broker import Outgoing
from bridge.ports.turn import Turn
from bridge.rules.retry.ladder import next_step
from bridge.rules.wire.authenticity import Authenticator
from bridge.rules.wire.copies import PREFIX, write_copy

_LARGE = 1_048_576
"""Bytes whose signature takes longer than others should wait."""


class BrokerCopies:
    """Publishes copies of deliveries; see bridge.ports.broker.Copies."""

    def __init__(
        self,
        publisher: ConfirmedPublisher,
        topology: Topology,
        authenticator: Authenticator,
        delayed: Callable[[int], None],
        turn: Turn | None = None,
    ) -> None:
        """`authenticator` signs every copy; `delayed(step)` hears of every copy put on the ladder; `turn` is what copies
        that are made take of.
        """
        self._turn = turn or Turn()
        self._publisher = publisher
        self._authenticator = authenticator
        self._delayed = delayed
        self._topology = topology
        self._names = topology.names

    async def park(self, delivery: Delivery) -> None:
        """Put a copy at the end of the hook's lane, making the lane where it is missing."""
        await self._put(self._names.lanes, delivery)

    async def delay(self, delivery: Delivery, seconds: float) -> None:
        """Put a copy on the step of the ladder that fits; a short wait is waited for at the lane."""
        step = next_step(seconds)
        if step is None:
            await self.park(delivery)
            return
        await self._put(self._names.delay(step), delivery)
        self._delayed(step)

    async def set_aside(self, orphan: Message) -> None:
        """Put a copy of an unknown hook at the end of the queue of orphans."""
        ours = {name: value for name, value in orphan.headers.items() if name.startswith(PREFIX)}
        message_id = str(uuid_utils.uuid7())
        await self._publisher.publish(
            Outgoing(self._names.orphans, orphan.routing_key, message_id, orphan.body, ours, orphan)
        )

    async def _put(self, exchange: str, delivery: Delivery) -> None:
        if self._topology.has_no_lane(delivery.hook):
            # It belongs to a hook that is deleted: where those are looked after that come from the ladder too late.
            exchange = self._names.orphans
            await self._publish(exchange, delivery)
            return
        try:
            await self._topology.ensure_lane(delivery.hook)
            await self._publish(exchange, delivery)
        except (Unroutable, BrokerRefused):
            # Somebody deleted the lane since it was made, or what lies on the way to it.
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
                # Unique per publish: aiormq matches returns by it, a repeated one gets another's fate.
                message_id=str(uuid_utils.uuid7()),
                body=message.body,
                headers=sign() if len(message.body) < _LARGE else await asyncio.to_thread(sign),
                like=message,
            )
        )


def as_read(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    """The headers as they will be read from the broker: that is what is signed, for a table cannot hold every value."""
    return headers if all(map(_stays, headers.values())) else read_table(write_table(headers), 0)[0]


def _stays(value: Any) -> bool:
    """Whether it is read as it is written, told without writing it."""
    match value:
        case str():
            return value.isascii()
        case Mapping():
            return not value
        case _:
            return isinstance(value, int) and -(2**63) <= value < 2**63
