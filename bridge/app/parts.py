"""The parts that all others need: the adapters to the broker, what is told of the bridge, and the connections to its
dependencies.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog

from bridge.access.service import Access
from bridge.access.store import SqlAccess
from bridge.amqp.connection import Link
from bridge.amqp.consumer import ConsumeChannel, send_acks
from bridge.amqp.control import FanoutControl
from bridge.amqp.lanes import BrokerCopies, ChannelLanes
from bridge.amqp.publisher import ConfirmedPublisher
from bridge.amqp.topology import Names, Topology
from bridge.app.connections import Links
from bridge.app.consumption import MetricsAdapter, SourceConsumers
from bridge.cluster.replicas import own_history
from bridge.core.base import Backoff, new_id
from bridge.core.budget import Budget, Turn
from bridge.core.errors import BrokerUnavailable, HistoryUnavailable
from bridge.core.ports import DatabaseLogin
from bridge.db.engine import SqlOwnership
from bridge.formats.parse import Bounds
from bridge.history.history import SqlHistory, open_history
from bridge.hooks.in_force import AutomaticPauses
from bridge.hooks.store import SqlHooks, message_keys, open_hook_store
from bridge.meta_events.monitor import BRIDGE, BackgroundQueue, HookEvents, MetaEventPublisher
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.pipeline.monitors import LadderWatch
from bridge.pipeline.watch import FilterErrors, PipelineWatch
from bridge.settings.tree import Settings, Traces
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from bridge.wire.copies import MessageKeys

if TYPE_CHECKING:
    from bridge.telemetry.tracing import Tracing


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
        of_sources = [channel for _, channel in self.consumers.values()]
        await send_acks([*of_sources, *self.lanes.channels, self.orphans])

    def admit_kept_back(self) -> None:
        """Decodes and routes messages that sources kept back, as far as there is room again."""
        for intake, _ in self.consumers.values():
            if intake.kept_back:
                intake.admit_kept_back()


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
            pages=given.settings.http.pages,
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


# Dependencies that are missing at the start, or are lost at that moment.


log = structlog.get_logger(__name__)

T = TypeVar("T")

_STARTING_LOSSES = 10
_LOST_WAIT = 0.5


async def there(what: str, until: float, step: Callable[[], Awaitable[T]]) -> T:
    """Retries a step whose dependency may be missing, until that (monotonic) time."""
    backoff = Backoff(0.5)
    while True:
        try:
            return await step()
        except (BrokerUnavailable, HistoryUnavailable) as error:
            left = until - time.monotonic()
            if left <= 0:
                raise
            events.waiting_for(what, str(error), left)
        await backoff.pause()


async def despite_losses(step: Callable[[], Awaitable[T]]) -> T:
    """Retries a step on the broker once its connection is lost: a node that goes down does not end the start, since connections
    go on to the next node.
    """
    for _ in range(_STARTING_LOSSES):
        try:
            return await step()
        except BrokerUnavailable as error:
            log.warning("start.connection_lost", error=str(error))
            await asyncio.sleep(_LOST_WAIT)
    return await step()


def _tracing(settings: Traces) -> "Tracing | None":
    if not settings.enabled:
        return None
    # Imported late: it takes time and memory, and is not everywhere installed.
    from bridge.telemetry.tracing import Tracing

    return Tracing(settings)


# What a bridge needs before it can be made: an open database that belongs to it, and open connections to the brokers.


class Dependencies:
    """The database and the brokers."""

    def __init__(self, settings: Settings, links: Links, login: DatabaseLogin, patience: float) -> None:
        """`patience`: seconds that the start waits for them."""
        self._settings, self.links, self._login = settings, links, login
        self._until = time.monotonic() + patience
        self._history: SqlHistory | None = None
        self._history_id = ""

    async def resources(
        self, metrics: Metrics, base: Path, served: frozenset[str] | None, replica_id: str
    ) -> Resources:
        """Returns what the parts are made from; raises HistoryUnavailable. Only after the start."""
        assert self._history is not None
        engine = self._history.engine
        store = await open_hook_store(self._settings, engine)
        keys = await message_keys(self._settings, engine)
        return Resources(
            *(self._settings, self._history, self._history_id, self.links, metrics, store, keys),
            base=base,
            served=served,
            replica_id=replica_id,
            tracing=_tracing(self._settings.telemetry.traces),
        )

    async def open_database(self) -> None:
        """Opens the database and migrates its tables; raises BridgeError."""
        storage = self._settings.storage
        opening = partial(
            open_history,
            storage.url.get_secret_value(),
            storage.tls,
            login=self._login,
            alone=storage.for_one_process,
        )
        self._history = await there("database", self._until, opening)

    async def connect(self) -> None:
        """Connects to the brokers; raises BridgeError."""
        for link in self.links.all():
            await there(f"broker ({link.role})", self._until, link.connect_once)
        for link in self.links.spread(len(self._settings.sources) + 1):  # one for meta events
            await there(f"broker ({link.role})", self._until, link.connect_once)

    async def stay_connected(self) -> None:
        """Connects again whenever a connection is lost, until cancelled."""
        await asyncio.gather(*(link.run() for link in self.links.all()))

    async def own_history(self) -> None:
        """Checks that the database belongs to this bridge; raises SettingsError if it does not."""
        assert self._history is not None
        claim = partial(own_history, self.links.topology, SqlOwnership(self._history.engine), self._settings)
        self._history_id = await despite_losses(claim)

    async def disconnect(self) -> None:
        """Closes the connections to the brokers."""
        await asyncio.gather(*(link.close() for link in self.links.all()))

    async def close_database(self) -> None:
        """Closes the database."""
        if self._history is not None:
            await self._history.close()
