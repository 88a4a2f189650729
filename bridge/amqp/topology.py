"""What stands on the broker: our exchanges, the ladder, the lanes; and sources, by their publishers' rules."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog
from aio_pika.abc import AbstractChannel, AbstractQueue
from aiormq import exceptions as amqp

from bridge.amqp.connection import Link
from bridge.core.base import Backoff
from bridge.core.errors import BridgeError, BrokerRefused, BrokerUnavailable
from bridge.core.survey import Kind, Right
from bridge.retry.ladder import STEPS

log = structlog.get_logger(__name__)

DELIVERY_LIMIT = 100_000
"""Large and finite: without one, 4.x drops after 20 returns; `-1` was unreliable."""

_LOST = (amqp.AMQPError, OSError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of our objects under one prefix (design of the topology: docs/architecture.md)."""

    prefix: str = "bridge"

    @property
    def lanes(self) -> str:
        """The exchange that parks: routing key is the hook id, no alternate exchange."""
        return f"{self.prefix}.lanes"

    @property
    def requeue(self) -> str:
        """The exchange through which the ladder comes back to the lanes."""
        return f"{self.prefix}.requeue"

    @property
    def orphans(self) -> str:
        """Exchange and queue of what came back for a lane that is gone."""
        return f"{self.prefix}.orphans"

    @property
    def dead(self) -> str:
        """Exchange and queue of what went over a lane's delivery limit."""
        return f"{self.prefix}.dead"

    @property
    def events(self) -> str:
        """The queue of what the bridge tells of itself."""
        return f"{self.prefix}.events"

    @property
    def control(self) -> str:
        """The exchange on which replicas hear of changed hooks."""
        return f"{self.prefix}.control"

    def lane(self, hook: str) -> str:
        """The queue of what waits for this hook."""
        return f"{self.prefix}.lane.{hook}"

    def delay(self, step: int) -> str:
        """Exchange and queue of one step of the ladder."""
        return f"{self.prefix}.delay.{step}"


def queue_arguments(kind: Literal["quorum", "classic"], dead_letter_exchange: str | None) -> dict[str, Any]:
    """What our queues of this kind are declared with; None: it dead-letters nowhere."""
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
    """An exchange or a queue, durable. `type` is that of an exchange, `bindings` are exchanges and routing keys.

    `use` is the right that the bridge takes while it runs.
    """

    kind: Kind
    name: str
    type: Literal["fanout", "direct", ""] = ""
    use: Right | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    bindings: tuple[tuple[str, str], ...] = ()

    @property
    def made(self) -> str:
        """How it is made by hand, in words; arguments as JSON."""
        told = [f"a durable {self.type} exchange" if self.kind == "exchange" else "a durable queue"]
        if self.arguments:
            told.append(f"with the arguments {json.dumps(self.arguments)}")
        bound = [f"{exchange} with the routing key {json.dumps(key)}" for exchange, key in self.bindings]
        return " ".join(told) + ("; bind it to " + " and to ".join(bound) if bound else "")


def planned(
    names: Names, queue_type: Literal["quorum", "classic"], hooks: Sequence[str]
) -> Iterator[Planned]:
    """All shared objects and the lanes of these hooks, each after what it is bound to."""
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
    """The lane of a hook: first the way back from the ladder, then the way in, so that no copy may return to nowhere."""
    ways = (names.requeue, hook), (names.lanes, hook)
    return Planned("queue", names.lane(hook), "", "read", queue_arguments(queue_type, names.dead), ways)


async def declare(channel: AbstractChannel, plan: Planned, *, passive: bool) -> AbstractQueue | None:
    """Declare it, or see whether it is there; returns the queue."""
    arguments = None if passive else dict(plan.arguments)
    if plan.kind == "queue":
        return await channel.declare_queue(plan.name, durable=True, passive=passive, arguments=arguments)
    await channel.declare_exchange(plan.name, plan.type, durable=True, passive=passive, arguments=arguments)
    return None


class Topology:
    """Declares and looks at queues, each time on a channel that may die without harm."""

    def __init__(
        self,
        link: Link,
        names: Names,
        *,
        queue_type: Literal["quorum", "classic"] = "quorum",
        verify_only: bool = False,
        lane_made: Callable[[str], None] = lambda _hook: None,
    ) -> None:
        """`lane_made(hook)` hears of each lane that was made, or found while it was to be made."""
        self.names = names
        self._link = link
        self._queue_type = queue_type
        self._verify_only = verify_only
        self._lane_made = lane_made
        self._no_lanes: frozenset[str] = frozenset()
        self._lanes: set[str] = set()
        self._making = asyncio.Lock()

    async def ensure_base(self) -> None:
        """Make (or in verify mode look for) all shared objects; raises BrokerRefused with what is missing."""
        with self._explained("declaring"):
            async with self._link.channel() as channel:
                for plan in planned(self.names, self._queue_type, ()):
                    await self._ensure(channel, plan)

    async def keep(self) -> None:
        """Look after the shared objects anew whenever the connection is new, until cancelled.

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
        """These hooks are deleted, and no others: their lanes are not made any more."""
        self._no_lanes = hooks
        self._lanes -= hooks

    def has_no_lane(self, hook: str) -> bool:
        """Its lane is not to be made any more."""
        return hook in self._no_lanes

    async def ensure_lane(self, hook: str, *, anew: bool = False) -> None:
        """Make the hook's lane, at its first use; `anew` where it turned out to be gone.

        Raises BrokerRefused for that of a hook that is deleted.
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
        """Nothing reaches the lane any more; what comes back from the ladder for it goes to the orphans."""
        lane = self.names.lane(hook)
        for exchange in (self.names.lanes, self.names.requeue):
            with self._explained(f"unbinding {lane}"), contextlib.suppress(amqp.ChannelNotFoundEntity):
                async with self._link.channel() as channel:
                    await (await channel.get_queue(lane, ensure=False)).unbind(exchange, hook)

    async def delete_lane(self, hook: str) -> None:
        """Delete the lane with all that it holds: see first that this is nothing.

        Quorum queues know no `if-empty`: they close the connection over it (3.10.8).
        """
        lane = self.names.lane(hook)
        with self._explained(f"deleting {lane}"), contextlib.suppress(amqp.ChannelNotFoundEntity):
            async with self._link.channel() as channel:
                await channel.queue_delete(lane)

    async def depth(self, queue: str) -> int | None:
        """Messages ready in a queue, None where there is no such queue; raises BrokerUnavailable."""
        try:
            async with self._link.channel() as channel:
                found = (await channel.get_queue(queue)).declaration_result
        except amqp.ChannelNotFoundEntity as error:
            if _home_node_down(error):
                raise BrokerUnavailable(str(error)) from error
            return None
        except _LOST as error:
            raise BrokerUnavailable(str(error)) from error
        return found.message_count or 0

    async def claim(self, queue: str) -> bool:
        """Hold an exclusive queue for as long as the connection lives; False where another one holds it.

        Raises BrokerRefused where it may not be made.
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
        """Messages ready in each of these queues that is there; raises BrokerUnavailable."""
        return {queue: ready for queue, (ready, _) in (await self.counts(queues)).items()}

    async def counts(self, queues: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Messages ready and consumers of each of these queues that is there; raises BrokerUnavailable."""
        found: dict[str, tuple[int, int]] = {}
        waiting = list(queues)
        while waiting:
            try:
                async with self._link.channel() as channel:
                    while waiting:
                        queue = waiting.pop()
                        answer = (await channel.get_queue(queue)).declaration_result
                        found[queue] = answer.message_count or 0, answer.consumer_count or 0
            except amqp.ChannelClosed:
                continue  # missing, or not to be had now; the broker closed the channel: the others on a new one
            except _LOST as error:
                raise BrokerUnavailable(str(error)) from error
        return found

    async def prepare_events(self, queue: str) -> bool:
        """The queue of the bridge's own events can be consumed; made anew where somebody deleted it."""
        try:
            async with self._link.channel() as channel:
                plan = Planned("queue", queue, arguments=queue_arguments(self._queue_type, None))
                await self._ensure(channel, plan)
        except _LOST as error:
            log.warning("events.not_available", queue=queue, error=str(error))
            return False
        return True

    async def declare_source(self, queue: str) -> bool:
        """Declare a queue with the fixed parameters: durable, not exclusive, not auto-delete, no arguments."""
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
        if " limit in vhost" in str(error):  # 406, too (3.10.8: "queue limit in vhost '/' (20) is reached")
            return f"{error}: raise it (rabbitmqctl set_vhost_limits); the bridge has 13 queues and one for each hook"
        if isinstance(error, amqp.ChannelPreconditionFailed):
            return f"{error}: an object of ours exists with other arguments; delete it or set broker.prefix"
        if isinstance(error, amqp.ChannelAccessRefused):
            return f"{error}: grant configure, write and read on ^{self.names.prefix}\\. or set broker.topology to verify"
        if self._verify_only:
            return f"{error}: broker.topology is `verify`, so somebody must create it: `amqp-bridge doctor` lists all that is missing"
        return f"{error}: an object of ours was deleted"


def _home_node_down(error: Exception) -> bool:
    """404 also means `home node of durable queue is down`: the broker tells them apart by text alone."""
    return "home node" in str(error) or "inaccessible" in str(error)
