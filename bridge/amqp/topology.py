"""The objects on the broker: the bridge's exchanges, ladder and lanes, and the queues of sources as their publishers declare
them.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog
from aio_pika.abc import AbstractChannel, AbstractQueue
from aiormq import exceptions as amqp
from pamqp.commands import Queue

from bridge.amqp.connection import Link
from bridge.core.base import Backoff
from bridge.core.errors import BridgeError, BrokerRefused, BrokerUnavailable
from bridge.core.survey import Kind, Right
from bridge.retry.policy import STEPS

log = structlog.get_logger(__name__)

DELIVERY_LIMIT = 100_000
"""Large and finite: without one, 4.x drops after 20 returns; `-1` was unreliable."""

_LOST = (amqp.AMQPError, OSError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the bridge's objects under one prefix (design of the topology: docs/architecture.md)."""

    prefix: str = "bridge"

    @property
    def lanes(self) -> str:
        """Returns the exchange for parking: the routing key is the hook's id; no alternate exchange."""
        return f"{self.prefix}.lanes"

    @property
    def requeue(self) -> str:
        """Returns the exchange through which copies come from the ladder back to their lanes."""
        return f"{self.prefix}.requeue"

    @property
    def orphans(self) -> str:
        """Returns the exchange and queue of copies that found no lane."""
        return f"{self.prefix}.orphans"

    @property
    def dead(self) -> str:
        """Returns the exchange and queue of messages that went over a lane's delivery limit."""
        return f"{self.prefix}.dead"

    @property
    def events(self) -> str:
        """Returns the queue of meta events."""
        return f"{self.prefix}.events"

    @property
    def control(self) -> str:
        """Returns the exchange of control messages between replicas."""
        return f"{self.prefix}.control"

    def lane(self, hook: str) -> str:
        """Returns the lane of this hook."""
        return f"{self.prefix}.lane.{hook}"

    def delay(self, step: int) -> str:
        """Returns the exchange and queue of one step of the ladder."""
        return f"{self.prefix}.delay.{step}"


def queue_arguments(kind: Literal["quorum", "classic"], dead_letter_exchange: str | None) -> dict[str, Any]:
    """Returns the arguments with which queues of this kind are declared; `dead_letter_exchange` None: no dead-lettering."""
    arguments: dict[str, Any] = {"x-queue-type": kind, "x-overflow": "reject-publish"}
    if dead_letter_exchange is not None:
        arguments["x-dead-letter-exchange"] = dead_letter_exchange
    if kind == "quorum":
        arguments["x-delivery-limit"] = DELIVERY_LIMIT
        if dead_letter_exchange is not None:
            # At-least-once without a dead-letter exchange drops silently at the limit (3.10.8).
            arguments["x-dead-letter-strategy"] = "at-least-once"
    return arguments


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of a durable exchange or queue. `type` is that of an exchange, `bindings` are exchanges and routing keys.

    `use` is the permission that the running bridge needs on it.
    """

    kind: Kind
    name: str
    type: Literal["fanout", "direct", ""] = ""
    use: Right | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    bindings: tuple[tuple[str, str], ...] = ()

    @property
    def made(self) -> str:
        """Returns in words how to declare it by hand; arguments as JSON."""
        told = [f"a durable {self.type} exchange" if self.kind == "exchange" else "a durable queue"]
        if self.arguments:
            told.append(f"with the arguments {json.dumps(self.arguments)}")
        bound = [f"{exchange} with the routing key {json.dumps(key)}" for exchange, key in self.bindings]
        return " ".join(told) + ("; bind it to " + " and to ".join(bound) if bound else "")


def planned(
    names: Names, queue_type: Literal["quorum", "classic"], hooks: Sequence[str]
) -> Iterator[Planned]:
    """Yields the plans of all shared objects and of the lanes of these hooks, each after the objects it is bound to."""
    plain = queue_arguments(queue_type, None)
    yield Planned("exchange", names.orphans, "fanout")
    yield Planned("exchange", names.dead, "fanout")
    yield Planned("exchange", names.lanes, "direct", "write")
    yield Planned("exchange", names.requeue, "direct", None, {"alternate-exchange": names.orphans})
    yield Planned("exchange", names.control, "fanout", "write")
    for step in STEPS:
        yield Planned("exchange", names.delay(step), "fanout", "write")
    for store in (names.orphans, names.dead):
        yield Planned("queue", store, "", "read", plain, ((store, ""),))
    yield Planned("queue", names.events, "", "read", plain)
    for step in STEPS:
        arguments = queue_arguments(queue_type, names.requeue) | {"x-message-ttl": step * 1000}
        yield Planned("queue", names.delay(step), "", None, arguments, ((names.delay(step), ""),))
    for hook in hooks:
        yield planned_lane(names, queue_type, hook)


def planned_lane(names: Names, queue_type: Literal["quorum", "classic"], hook: str) -> Planned:
    """Returns the plan of a hook's lane, bound to the lanes exchange last, so that a copy can always come back."""
    ways = (names.requeue, hook), (names.lanes, hook)
    return Planned("queue", names.lane(hook), "", "read", queue_arguments(queue_type, names.dead), ways)


async def declare(channel: AbstractChannel, plan: Planned, *, passive: bool) -> AbstractQueue | None:
    """Declares the object, or checks that it exists; returns the queue."""
    arguments = None if passive else dict(plan.arguments)
    if plan.kind == "queue":
        return await channel.declare_queue(plan.name, durable=True, passive=passive, arguments=arguments)
    await channel.declare_exchange(plan.name, plan.type, durable=True, passive=passive, arguments=arguments)
    return None


class Topology:
    """Declares and checks objects, each time on a temporary channel."""

    def __init__(
        self,
        link: Link,
        names: Names,
        *,
        queue_type: Literal["quorum", "classic"] = "quorum",
        verify_only: bool = False,
        lane_made: Callable[[str], None] = lambda _hook: None,
    ) -> None:
        """`lane_made(hook)` is called for each lane that was created, or found to exist instead."""
        self.names = names
        self._link = link
        self._queue_type = queue_type
        self._verify_only = verify_only
        self._lane_made = lane_made
        self._no_lanes: frozenset[str] = frozenset()
        self._lanes: set[str] = set()
        self._making = asyncio.Lock()

    async def ensure_base(self) -> None:
        """Declares (or in verify mode checks) all shared objects; raises BrokerRefused with what is missing."""
        with self._explained("declaring"):
            async with self._link.channel() as channel:
                for plan in planned(self.names, self._queue_type, ()):
                    await self._ensure(channel, plan)

    async def keep(self) -> None:
        """Declares the shared objects again on each new connection, until cancelled.

        A broker may come back without them: restored from an old backup, or started on an empty disk.
        """
        while True:
            connection = await self._link.connection()
            await asyncio.wait([connection.closing])
            self._lanes.clear()
            backoff = Backoff(0.5, 15.0)
            while True:
                try:
                    await self.ensure_base()
                    break
                except BridgeError as error:
                    log.warning("topology.not_ensured", error=str(error))
                    await backoff.pause()

    def make_no_lanes(self, hooks: frozenset[str]) -> None:
        """Replaces the set of deleted hooks: their lanes are not declared any more."""
        self._no_lanes = hooks
        self._lanes -= hooks

    def has_no_lane(self, hook: str) -> bool:
        """Returns whether the lane of the hook is not to be declared any more."""
        return hook in self._no_lanes

    async def ensure_lane(self, hook: str, *, anew: bool = False) -> None:
        """Declares the hook's lane on its first use; `anew` if it was found to be missing.

        Raises BrokerRefused for a deleted hook.
        """
        if hook in self._lanes and not anew:
            return
        async with self._making:
            if hook in self._lanes and not anew:
                return
            if hook in self._no_lanes:
                raise BrokerRefused(f"hook {hook} is deleted")
            lane = planned_lane(self.names, self._queue_type, hook)
            with self._explained(f"declaring {lane.name}"):
                async with self._link.channel() as channel:
                    await self._ensure(channel, lane)
            self._lanes.add(hook)
        self._lane_made(hook)

    async def unbind_lane(self, hook: str) -> None:
        """Removes the bindings of the lane, so that nothing is routed into it; its copies from the ladder become orphans."""
        lane = self.names.lane(hook)
        for exchange in (self.names.lanes, self.names.requeue):
            with self._explained(f"unbinding {lane}"), contextlib.suppress(amqp.ChannelNotFoundEntity):
                async with self._link.channel() as channel:
                    await (await channel.get_queue(lane, ensure=False)).unbind(exchange, hook)

    async def make(self, plan: Planned) -> None:
        """Declares an object with its bindings; raises BrokerRefused or BrokerUnavailable."""
        with self._explained(f"declaring {plan.name}"):
            async with self._link.channel() as channel:
                await self._ensure(channel, plan)

    async def delete(self, kind: Kind, name: str) -> None:
        """Deletes an exchange, or a queue with all its messages; the caller makes sure that it is empty.

        Quorum queues do not support `if-empty`: they close the connection over it (3.10.8).
        """
        with self._explained(f"deleting {name}"), contextlib.suppress(amqp.ChannelNotFoundEntity):
            async with self._link.channel() as channel:
                await (channel.queue_delete(name) if kind == "queue" else channel.exchange_delete(name))

    async def depth(self, queue: str) -> int | None:
        """Returns the number of ready messages in a queue, None if the queue does not exist; raises BrokerUnavailable."""
        try:
            async with self._link.channel() as channel:
                found = await self._found(channel, queue)
        except amqp.ChannelNotFoundEntity as error:
            if _home_node_down(error):
                raise BrokerUnavailable(str(error)) from error
            return None
        except _LOST as error:
            raise BrokerUnavailable(str(error)) from error
        return found.message_count or 0

    async def claim(self, queue: str) -> bool:
        """Declares an exclusive queue, held until the connection ends; returns False if another connection holds it.

        Raises BrokerRefused if it may not be declared.
        """
        try:
            async with self._link.channel() as channel:
                # Never a quorum queue, whatever the virtual host makes by default: those cannot be exclusive.
                await channel.declare_queue(queue, exclusive=True, arguments={"x-queue-type": "classic"})
        except amqp.ChannelLockedResource:
            return False
        except amqp.ChannelAccessRefused as error:
            raise BrokerRefused(self._advice(error)) from error
        except _LOST as error:
            raise BrokerUnavailable(f"cannot declare {queue}: {error}") from error
        return True

    async def depths(self, queues: Sequence[str]) -> dict[str, int]:
        """Returns the ready messages of each of these queues that exists; raises BrokerUnavailable."""
        return {queue: ready for queue, (ready, _) in (await self.counts(queues)).items()}

    async def counts(self, queues: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Returns the ready messages and the consumers of each of these queues that exists; raises BrokerUnavailable."""
        found: dict[str, tuple[int, int]] = {}
        waiting = list(queues)
        while waiting:
            try:
                async with self._link.channel() as channel:
                    while waiting:
                        queue = waiting.pop()
                        answer = await self._found(channel, queue)
                        found[queue] = answer.message_count or 0, answer.consumer_count or 0
            except amqp.ChannelClosed:
                continue  # missing or unavailable; the broker closed the channel: the others need a new one
            except _LOST as error:
                raise BrokerUnavailable(str(error)) from error
        return found

    async def _found(self, channel: AbstractChannel, queue: str) -> Queue.DeclareOk:
        """Declares the queue passively; actively, as its publishers do, if the broker might not be able to say that it is missing."""
        passive = self._verify_only or not is_cut_short(queue)
        return (await channel.declare_queue(queue, durable=True, passive=passive)).declaration_result

    async def prepare_events(self, queue: str) -> bool:
        """Returns whether the queue of meta events can be consumed; it is declared again if it was deleted."""
        try:
            async with self._link.channel() as channel:
                plan = Planned("queue", queue, arguments=queue_arguments(self._queue_type, None))
                await self._ensure(channel, plan)
        except _LOST as error:
            log.warning("events.not_available", queue=queue, error=str(error))
            return False
        return True

    async def declare_source(self, queue: str) -> bool:
        """Declares a queue with the fixed parameters: durable, not exclusive, not auto-delete, no arguments."""
        try:
            async with self._link.channel() as channel:
                await channel.declare_queue(queue, durable=True)
        except _LOST as error:
            log.warning("source.cannot_declare", queue=queue, error=str(error))
            return False
        return True

    async def _ensure(self, channel: AbstractChannel, plan: Planned) -> None:
        queue = await declare(channel, plan, passive=self._verify_only)
        if queue is not None and not self._verify_only:
            for exchange, key in plan.bindings:
                await queue.bind(exchange, key)

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (
            amqp.ChannelPreconditionFailed,
            amqp.ChannelAccessRefused,
            amqp.ChannelNotFoundEntity,
        ) as error:
            raise BrokerRefused(self._advice(error)) from error
        except _LOST as error:
            raise BrokerUnavailable(f"the connection was lost while {doing}: {error}") from error

    def _advice(self, error: Exception) -> str:
        if " limit in vhost" in str(error):  # 406 too (3.10.8: "queue limit in vhost '/' (20) is reached")
            return f"{error}: raise it (rabbitmqctl set_vhost_limits); the bridge has 13 queues and one for each hook"
        if isinstance(error, amqp.ChannelPreconditionFailed):
            return f"{error}: an object of ours exists with other arguments; delete it or set broker.prefix"
        if isinstance(error, amqp.ChannelAccessRefused):
            return f"{error}: grant configure, write and read on ^{self.names.prefix}\\. or set broker.topology to verify"
        if self._verify_only:
            return f"{error}: broker.topology is `verify`, so somebody must create it: `amqp-bridge doctor` lists all that is missing"
        return f"{error}: an object of ours was deleted"


_ERROR_TEXT = 255
"""Bytes that AMQP has for the text of an error."""


def is_cut_short(queue: str, besides: int = 55) -> bool:
    """Returns whether the broker might cut an error text with this name within a character; `besides`: bytes of the text
    beside the name, by default that of a missing queue.

    RabbitMQ 4 then closes the connection (541 INTERNAL_ERROR) in place of the channel (404, 406).
    """
    return not queue.isascii() and len(queue.encode()) + besides > _ERROR_TEXT


def _home_node_down(error: Exception) -> bool:
    """Returns whether the error means `home node of durable queue is down`, for which the broker also uses 404: only the text
    tells it apart.
    """
    return "home node" in str(error) or "inaccessible" in str(error)
