"""The parts that all others need: the adapters to the broker, and what is told of the bridge."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uuid_utils

from bridge.access.service import Access
from bridge.access.store import SqlAccess
from bridge.amqp.connection import Link
from bridge.amqp.consumer import ConsumeChannel
from bridge.amqp.control import FanoutControl
from bridge.amqp.lanes import BrokerCopies, ChannelLanes
from bridge.amqp.publisher import ConfirmedPublisher
from bridge.amqp.topology import Names, Topology
from bridge.app.connections import Links
from bridge.app.consumption import MetricsAdapter, SourceConsumers
from bridge.core.budget import Budget, Turn
from bridge.formats.parse import Bounds
from bridge.history.history import SqlHistory
from bridge.hooks.in_force import AutomaticPauses
from bridge.hooks.store import SqlHooks
from bridge.meta_events.monitor import BRIDGE, BackgroundQueue, HookEvents, MetaEventPublisher
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.pipeline.monitors import LadderWatch
from bridge.pipeline.watch import FilterErrors, PipelineWatch
from bridge.settings.tree import Settings
from bridge.telemetry.metrics import Metrics
from bridge.wire.authenticity import MessageKeys

if TYPE_CHECKING:
    from bridge.telemetry.tracing import Tracing


def new_id() -> str:
    """Returns a UUIDv7: such ids sort by the time of their creation."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True, slots=True)
class Resources:
    """What all parts are made from. `history_id` identifies the database; `keys` sign the bridge's own messages; `base`: the
    folder of relative paths of scripts; `served`: the target types attempted here, None for all; `replica_id` identifies this
    run of the process; `tracing` is None where traces are off.
    """

    settings: Settings
    history: SqlHistory
    history_id: str
    links: Links
    metrics: Metrics
    store: SqlHooks
    keys: MessageKeys
    base: Path
    served: frozenset[str] | None
    replica_id: str
    tracing: "Tracing | None" = None

    @property
    def names(self) -> Names:
        """Returns the names of the bridge's objects on the broker."""
        return Names(self.settings.broker.prefix)

    @property
    def bounds(self) -> Bounds:
        """Returns the limits of parsing."""
        return Bounds(self.settings.limits.inflated, self.settings.limits.values)

    @property
    def budget(self) -> Budget:
        """Returns the memory budget."""
        return self.links.consume.budget

    @property
    def longest_hold(self) -> float:
        """Returns the maximum seconds that a copy waits here: well before the broker's consumer timeout."""
        return self.settings.broker.consumer_timeout / 4

    @property
    def alone(self) -> bool:
        """Returns whether the history serves one process only, as SQLite does."""
        return self.settings.storage.for_one_process


# The broker.


class BrokerParts:
    """The adapters to the broker, over connections that may not be open yet."""

    def __init__(self, given: Resources) -> None:
        settings, links, names, turn = given.settings, given.links, given.names, Turn()
        gauges = MetricsAdapter(given.metrics, settings.sources, names)
        control = FanoutControl(
            *(links.topology, links.publish, names.control, given.replica_id, given.keys.control),
            forged=gauges.control_forged,
        )
        topology = Topology(
            *(links.topology, names),
            queue_type=settings.broker.queue_type,
            verify_only=settings.broker.topology == "verify",
            lane_made=lambda hook: control.mention("lane", hook),
        )
        for_copies = partial(publisher_to, given, gauges, underneath=True)
        self.gauges, self.control, self.topology, self.turn = gauges, control, topology, turn
        self.publisher = for_copies(links.publish)
        self.other_publishers = {name: for_copies(link) for name, link in links.others.items()}
        self.ladder = LadderWatch(time.monotonic())
        self.copies = BrokerCopies(
            *(self.publisher, topology, given.keys.copies, self.ladder.published, turn)
        )
        self.consumers = SourceConsumers()
        self.lanes = ChannelLanes(links.consume, topology, gauges.lane_up, gauges.consumer_lost)
        self.orphans = ConsumeChannel(
            *(links.consume, queue_exists(topology), gauges.queue_up, gauges.consumer_lost), holds="lanes"
        )

    async def send_acks(self) -> None:
        """Sends the due acks and nacks on every consuming channel."""
        await self.consumers.flush()
        await self.lanes.flush()
        await self.orphans.flush()


def publisher_to(
    given: Resources, gauges: MetricsAdapter, link: Link, *, underneath: bool = False
) -> ConfirmedPublisher:
    """Returns a publisher on this connection, which declares queues of sources that are missing."""
    return ConfirmedPublisher(
        link,
        timeout=given.settings.broker.publish_timeout,
        body_limit=given.settings.limits.body,
        declare=Topology(link, given.names).declare_source,
        watch=gauges.published,
        underneath=underneath,
    )


def queue_exists(topology: Topology) -> Callable[[str], Awaitable[bool]]:
    """Returns the check whether a queue exists, for channels that declare none."""

    async def exists(queue: str) -> bool:
        return await topology.depth(queue) is not None

    return exists


# The table of hooks, and whom changes of hooks are told to: metrics, meta events, the audit log.


class Notices:
    """The table of hooks, still empty, and the observers of hooks."""

    def __init__(self, given: Resources, broker: BrokerParts) -> None:
        self.table = HookTable(FilterErrors(given.metrics).unanswered)
        self.background = BackgroundQueue("meta events")
        self.publisher = MetaEventPublisher(
            *(broker.publisher, given.names.events, self.table, self.background),
            new_id=new_id,
            authenticator=given.keys.events,
        )
        self.hook_events = HookEvents(self.publisher, self.table)
        stored, token = SqlAccess(given.history.engine), given.settings.http.admin_token
        self.access = Access(
            *(stored, stored),
            admin_token=None if token is None else token.get_secret_value(),
            new_id=new_id,
            control=broker.control,
            audited=self.hook_events.switched,
        )
        self.watch = PipelineWatch(given.metrics, self._paused)
        self.pauses = AutomaticPauses(self.table, self.watch)

    def _paused(self, runner: HookWorker, reason: str) -> None:
        self.hook_events.paused(runner, reason)
        hook, detail = ("hook", runner.hook.id), {"reason": reason}
        self.background.add(partial(self.access.log.write, BRIDGE, "hooks.pause", hook, detail))
