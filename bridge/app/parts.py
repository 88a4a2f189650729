"""All parts of a bridge, made from its settings and connected with each other; nothing runs yet."""

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import uuid_utils

from bridge.app.hooks import Hooks
from bridge.app.samples import LadderWatch, Samples
from bridge.app.sources import Sources
from bridge.broker.consumer import ConsumeChannel
from bridge.broker.lane_consumers import ChannelLanes
from bridge.broker.lanes import BrokerCopies
from bridge.broker.link import Address, Link, LinkWatch
from bridge.broker.publisher import ConfirmedPublisher
from bridge.broker.topology import Contract, Names, Topology
from bridge.model.event import Message, Undecodable
from bridge.model.source import Source
from bridge.pipeline.balance import Balance, Shares
from bridge.pipeline.delivery import Delivering
from bridge.pipeline.fence import Fence
from bridge.pipeline.hook import Thresholds
from bridge.pipeline.intake import Intake
from bridge.pipeline.recorder import GroupCommit, Recorder
from bridge.pipeline.service import LaneService
from bridge.pipeline.settle import Load, Settlement, Work
from bridge.pipeline.strays import Strays
from bridge.pipeline.table import HookTable
from bridge.pipeline.watch import PipelineWatch
from bridge.ports.broker import Ticket
from bridge.ports.history import History, HookState
from bridge.rules.formats.decoder import Decoder
from bridge.rules.formats.parse import parse
from bridge.rules.retry.breaker import Rules
from bridge.settings.tree import Broker, BrokerTls, OtherBroker, Settings
from bridge.targets.factory import Targets
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

_STRAYS_AT_ONCE = 100


def new_id() -> str:
    """A UUIDv7: ids sort by the time they were made."""
    return str(uuid_utils.uuid7())


@dataclass(frozen=True, slots=True)
class Links:
    """The connections to the broker, one for each role, and one for each other broker."""

    consume: Link
    publish: Link
    topology: Link
    others: Mapping[str, Link]

    def all(self) -> list[Link]:
        """Every one of them."""
        return [self.consume, self.publish, self.topology, *self.others.values()]


def make_links(settings: Settings, metrics: Metrics) -> Links:
    """The connections that the settings ask for, none of them open yet."""
    watch = _LinkWatch(metrics)
    broker = settings.broker
    address = broker_address(broker, broker)
    return Links(
        consume=Link("consume", address, watch),
        publish=Link("publish", address, watch),
        topology=Link("topology", address, watch),
        others={
            name: Link(f"publish:{name}", broker_address(other, broker), watch)
            for name, other in settings.brokers.items()
        },
    )


def broker_address(where: Broker | OtherBroker, broker: Broker) -> Address:
    """How to connect to `where`, with the bounds of `broker`."""
    return Address(
        urls=[url.get_secret_value() for url in where.url],
        heartbeat=broker.heartbeat,
        connect_timeout=broker.connect_timeout,
        tls=_tls(where.tls),
    )


def _tls(tls: BrokerTls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _LinkWatch(LinkWatch):
    """Counts connections and says when one went or came back."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lost_at: dict[str, float] = {}

    def connected(self, role: str, address: str) -> None:
        instruments = self._metrics.connection(role)
        instruments.up.value = 1
        away = 0.0
        if role in self._lost_at:
            away = time.monotonic() - self._lost_at.pop(role)
            instruments.reconnects.value += 1
        events.connection_back(role, address, away)

    def lost(self, role: str, error: str) -> None:
        self._metrics.connection(role).up.value = 0
        self._lost_at.setdefault(role, time.monotonic())
        events.connection_lost(role, error, 0.0)


class Parts:
    """Everything that a running bridge is made of."""

    def __init__(
        self,
        settings: Settings,
        history: History,
        links: Links,
        metrics: Metrics,
        *,
        base: Path,
        served: frozenset[str] | None,
    ) -> None:
        """`base`: the folder that relative paths of scripts start from; `served`: target types, None for all."""
        self.settings, self.history, self.links, self.metrics = settings, history, links, metrics
        self.watch = PipelineWatch(metrics)
        self.table = HookTable(self.watch.unanswered)
        self.load = Load()
        self.ladder = LadderWatch()
        self.topology = Topology(
            links.topology,
            Names(settings.broker.prefix),
            queue_type=settings.broker.queue_type,
            verify_only=settings.broker.topology == "verify",
            contract=self._contract,
        )
        self.publisher = self._publisher(links.publish)
        self.other_publishers = {name: self._publisher(link) for name, link in links.others.items()}
        self.lanes = ChannelLanes(links.consume, self.topology, self._lane_up)
        copies = BrokerCopies(self.publisher, self.topology, self.ladder.published)
        self.recorder = self._recorder()
        self.delivering = Delivering(
            self.table, copies, self.recorder, self.watch, new_id, remember_pause=self._remember_pause
        )
        self.fence = Fence(history, self.load, self._let_through, self.watch.stale_copy, self.flush)
        self.service = LaneService(
            consumers=self.lanes,
            copies=copies,
            fence=self.fence,
            table=self.table,
            quarantine=self._quarantine_copy,
            parse=parse,
        )
        self._targets = Targets(
            {"": self.publisher, **self.other_publishers},
            [str(network) for network in settings.http.allow_private_targets],
            base,
            self._http_connection,
        )
        self.hooks = self._hooks(served)
        self.strays = Strays(self.table, copies, self.recorder, self.load, new_id)
        self.stray_channel = ConsumeChannel(links.consume, self._is_there, self._queue_up)
        shares = Shares(settings.delivery.prefetch_share, settings.delivery.slow_share)
        self.balance = Balance(self.table, self.delivering.park, shares)
        self.sources = Sources([self._source(source) for source in settings.sources])
        self.samples = Samples(
            topology=self.topology,
            links=links.all(),
            table=self.table,
            metrics=metrics,
            ladder=self.ladder,
            strays=self.strays,
            queues=[source.queue for source in settings.sources],
        )
        self.pauses: asyncio.Queue[HookState] = asyncio.Queue()

    async def flush(self) -> None:
        """Send the acks that are due, and go on with messages kept back."""
        await self.sources.flush()
        await self.lanes.flush()
        await self.stray_channel.flush()
        self.sources.pump()

    # ---- making ---------------------------------------------------------------------------------------

    def _publisher(self, link: Link) -> ConfirmedPublisher:
        return ConfirmedPublisher(
            link,
            timeout=self.settings.broker.publish_timeout,
            body_limit=self.settings.limits.body,
            declare=Topology(link, self.topology.names).declare_source,
            watch=self._published,
        )

    def _recorder(self) -> Recorder:
        grouping = self.settings.history
        return Recorder(
            self.history,
            self.load,
            self.flush,
            watch=self.watch,
            grouping=GroupCommit(grouping.min_wait, grouping.max_wait, grouping.rows),
            keep_successes=self.settings.storage.keep == "all",
        )

    def _hooks(self, served: frozenset[str] | None) -> Hooks:
        settings = self.settings
        breaker = settings.breaker
        return Hooks(
            self.table,
            self._targets,
            self.metrics,
            served=served,
            thresholds=Thresholds(
                settings.delivery.park_timeout_over,
                settings.delivery.lane_depth_direct,
                settings.delivery.slow_after,
            ),
            breaker=Rules(
                breaker.failures, breaker.window, breaker.share, breaker.first_probe, breaker.longest_probe
            ),
            retry_after_max=settings.delivery.retry_after_max,
            lane_changed=self.service.changed,
        )

    def _source(self, source: Source) -> tuple[Intake, ConsumeChannel]:
        limits = self.settings.limits
        intake = Intake(
            source,
            Decoder(source, max_body=limits.body, max_headers=limits.headers),
            self.delivering,
            self.load,
            metrics=self.metrics,
            most_open=limits.open_deliveries,
            new_id=new_id,
        )
        channel = ConsumeChannel(self.links.consume, self.topology.prepare_source, self._queue_up)
        return intake, channel

    # ---- telling each other ---------------------------------------------------------------------------

    def _let_through(self, work: Work) -> None:
        self.service.let_through(work)

    def _quarantine_copy(self, fault: Undecodable, message: Message, ticket: Ticket) -> None:
        self.delivering.quarantine(fault, message, Settlement(ticket, "lanes", self.load))

    def _remember_pause(self, hook: str, reason: str) -> None:
        self.pauses.put_nowait(HookState(hook, paused=True, reason=reason, at=time.time()))

    def _contract(self, queue: str, state: Contract) -> None:
        for source in self.settings.sources:
            if source.queue == queue:
                self.metrics.source(source.name).contract_mismatch.value = state

    def _queue_up(self, queue: str, up: bool) -> None:
        self.metrics.queue(queue).consumer_up.value = up

    def _lane_up(self, queue: str, up: bool) -> None:
        hook = queue.removeprefix(self.topology.names.lane(""))
        self.metrics.queue(queue, lane_of=hook).consumer_up.value = up

    def _published(self, outcome: str, seconds: float) -> None:
        self.metrics.published[outcome].value += 1
        self.metrics.publish_confirm.observe(seconds)

    def _http_connection(self, reused: bool) -> None:
        self.metrics.http_connections["true" if reused else "false"].value += 1

    async def _is_there(self, queue: str) -> bool:
        return await self.topology.depth(queue) is not None

    def consume_strays(self) -> None:
        """Take care of copies that lost their way, from now on."""
        names = self.topology.names
        self.stray_channel.subscribe(names.orphans, _STRAYS_AT_ONCE, self.strays.orphan)
        self.stray_channel.subscribe(names.dead, _STRAYS_AT_ONCE, self.strays.dead)

    def resumed(self, hook: str) -> None:
        """The bridge's own pause of a hook is over, also after a restart."""
        self.pauses.put_nowait(HookState(hook, paused=False, reason="", at=time.time()))

    async def close(self) -> None:
        """Let go of what attempts used; they have ended before."""
        await self._targets.close()
        for publisher in (self.publisher, *self.other_publishers.values()):
            await publisher.close()
