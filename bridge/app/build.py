"""The composition root: creates all parts of a bridge from its settings and connects them; nothing runs yet."""

import json
import time
from functools import partial
from pathlib import Path

import uuid_utils

from bridge.amqp.connection import Link
from bridge.amqp.consumer import ConsumeChannel
from bridge.amqp.control import FanoutControl
from bridge.amqp.lanes import BrokerCopies, ChannelLanes
from bridge.amqp.publisher import ConfirmedPublisher
from bridge.amqp.topology import Names, Topology
from bridge.app.connections import Links
from bridge.app.consumption import Consumption, MetricsAdapter, Sources
from bridge.app.desks import hook_desk
from bridge.app.memory import Memory
from bridge.checks.configuration import misfit_of
from bridge.core.access import Actor, AuditEntry, Role
from bridge.core.budget import Turn
from bridge.core.event import OWN_EVENTS, Message, Source, Undecodable, own_events
from bridge.core.ports import AckHandle, HookState
from bridge.formats.decoder import Decoder
from bridge.formats.parse import Bounds
from bridge.formats.registry import content_of
from bridge.history.claims_store import SqlClaims
from bridge.history.guards_store import SqlRecollection, SqlSuspects
from bridge.history.history import SqlHistory
from bridge.hooks.in_force import HooksInForce
from bridge.hooks.runners import Hooks
from bridge.hooks.store import SqlHooks
from bridge.http.audit import AuditLog
from bridge.inlets.receive import Reception
from bridge.measuring.dimensions import measured_by
from bridge.meta.words import Facts, MetaType, state_changed, switched_by
from bridge.meta_events.monitor import BackgroundQueue, MetaEventPublisher
from bridge.pipeline.backpressure import Shares, SlowHookIsolation
from bridge.pipeline.dedupe import DedupeLeases, RedeliveryFilter
from bridge.pipeline.deliver import Delivering
from bridge.pipeline.fencing import Fence
from bridge.pipeline.hook_table import Deleted, HookTable
from bridge.pipeline.hook_worker import HookWorker, Thresholds
from bridge.pipeline.intake import Intake
from bridge.pipeline.lanes import LaneScheduler
from bridge.pipeline.monitors import DepthPoller, LadderWatch, StalledConsumerMonitor, StalledLaneMonitor
from bridge.pipeline.orphans import OrphanedCopies
from bridge.pipeline.poison import PoisonMessageGuard
from bridge.pipeline.reading import CopyReader, LargeBodyReader, UnverifiedCopies
from bridge.pipeline.recorder import GroupCommit, Recorder
from bridge.pipeline.settlement import InFlight, SettledCallback, Work
from bridge.pipeline.watch import PipelineWatch
from bridge.retry.breaker import Rules
from bridge.settings.tree import Settings
from bridge.targets.evidence import Rendering
from bridge.targets.factory import Targets
from bridge.telemetry.metrics import Metrics
from bridge.wire.authenticity import MessageKeys
from bridge.wire.headers import Arrivals

_STRAYS_AT_ONCE = 100
_OURSELVES = Actor("bridge", Role.ADMIN)


def new_id() -> str:
    """Returns a UUIDv7: such ids sort by the time of their creation."""
    return str(uuid_utils.uuid7())


class Container:
    """The parts of a running bridge."""

    def __init__(
        self,
        settings: Settings,
        history: SqlHistory,
        links: Links,
        metrics: Metrics,
        deeds: AuditLog,
        *,
        store: SqlHooks,
        suspects: SqlSuspects,
        recollection: SqlRecollection,
        claims: SqlClaims,
        keys: MessageKeys,
        alone: bool,
        base: Path,
        served: frozenset[str] | None,
    ) -> None:
        """`keys` sign the bridge's own messages; `alone`: no other replica can share the history; `base`: the folder of
        relative paths of scripts; `served`: the target types attempted here, None for all.
        """
        self.settings, self.history, self.links, self.metrics = settings, history, links, metrics
        self._deeds, self._keys, self.budget = deeds, keys, links.consume.budget
        deeds.listen(self._done)
        self.names = Names(settings.broker.prefix)
        self.gauges = MetricsAdapter(metrics, settings.sources, self.names)
        self.watch = PipelineWatch(metrics, self._paused)
        self.load, self.ladder, self.turn = InFlight(), LadderWatch(time.monotonic()), Turn()
        self.replica_id = new_id()
        self.guard = PoisonMessageGuard(suspects, self.load, self.replica_id)
        self.claims, self._recollection = claims, recollection
        self._claiming = DedupeLeases(claims, self.replica_id, alone=alone)
        self._make_broker_side()
        self._make_pipeline()
        self._make_lanes()
        self.hooks = self._hooks(base, served)
        self.in_force = self._in_force(store)
        self.desk = hook_desk(self.in_force, store, settings, base, served)
        self._make_sources(base, alone=alone)
        self._make_watches()

    def _make_broker_side(self) -> None:
        broker = self.settings.broker
        self.control = FanoutControl(
            *(self.links.topology, self.links.publish, self.names.control),
            self.replica_id,
            self._keys.control,
            forged=self.gauges.control_forged,
        )
        self.topology = Topology(
            *(self.links.topology, self.names),
            queue_type=broker.queue_type,
            verify_only=broker.topology == "verify",
            lane_made=lambda hook: self.control.mention("lane", hook),
        )
        for_copies = partial(self._publisher, underneath=True)
        self.publisher = for_copies(self.links.publish)
        self.other_publishers = {name: for_copies(link) for name, link in self.links.others.items()}
        self.copies = BrokerCopies(
            self.publisher, self.topology, self._keys.copies, self.ladder.published, self.turn
        )
        self.lanes = ChannelLanes(
            self.links.consume, self.topology, self.gauges.lane_up, self.gauges.consumer_lost
        )
        self.stray_channel = ConsumeChannel(
            self.links.consume, self._is_there, self.gauges.queue_up, self.gauges.consumer_lost, holds="lanes"
        )

    def lane_channel(self) -> ConsumeChannel:
        """Returns a channel that consumes existing lanes, and never declares one."""
        return ConsumeChannel(self.links.consume, self._is_there)

    def _make_pipeline(self) -> None:
        self.bounds = Bounds(self.settings.limits.inflated, self.settings.limits.values)
        self._content_of = partial(content_of, bounds=self.bounds)
        self.aside = LargeBodyReader(self.budget, self.load, self.bounds.inflated, self.turn)
        self.table = HookTable(self.watch.unanswered)
        self.errands = BackgroundQueue("meta events")
        self.herald = MetaEventPublisher(
            self.publisher,
            self.names.events,
            self.table,
            self.errands,
            new_id=new_id,
            authenticator=self._keys.events,
        )
        self.recorder = self._recorder()
        self.recall = RedeliveryFilter(
            self._recollection, self._claiming, self.recorder, self.send_acks, self.turn
        )
        self.deleted = Deleted(self.recorder)
        self.delivering = Delivering(
            self.table, self.copies, self.recorder, self.watch, new_id, self._remember_pause, self.turn
        )
        shares = self.settings.delivery
        self.balance = SlowHookIsolation(
            self.table,
            self.delivering.park,
            Shares(shares.prefetch_share, shares.slow_share, self.settings.broker.consumer_timeout / 4),
        )

    def _make_lanes(self) -> None:
        reader = CopyReader(self._keys.copies, self._content_of)
        self.unverified = UnverifiedCopies(self.history, self._content_of, self._end_copy, self.aside)
        self.fence = Fence(self.history, self.load, self._let_through, self.watch.stale_copy, self.send_acks)
        self.service = LaneScheduler(
            consumers=self.lanes,
            copies=self.copies,
            fence=self.fence,
            table=self.table,
            guard=self.guard,
            quarantine=self._end_copy,
            unverified=self.unverified.take,
            deleted=self.deleted,
            turned_away=self.delivering.turned_away,
            reader=reader,
            longest_hold=self.settings.broker.consumer_timeout / 4,
            budget=self.budget,
            aside=self.aside,
        )
        self.strays = OrphanedCopies(
            self.table,
            self.copies,
            self.recorder,
            self.load,
            deleted=self.deleted,
            fence=self.fence,
            watch=self.watch,
            new_id=new_id,
            reader=reader,
            unverified=self.unverified.take,
        )

    def _make_sources(self, base: Path, *, alone: bool) -> None:
        consumed = [*self.settings.sources, own_events(self.names.events)]
        self.decoders = {source.name: self._decoder(source, base) for source in consumed}
        self.consumption = Consumption(
            *(self.settings.broker, self.links, self.topology, self.gauges),
            history=self.history,
            recorder=self.recorder,
            holder=self.replica_id,
            alone=alone,
        )
        self.sources = Sources([self._source(source) for source in consumed], self.consumption, self.budget)
        self.reception = Reception(
            *(self.settings, self.links.publish, self._publisher, self.consumption.queues.prepare),
            metrics=self.metrics,
            new_id=new_id,
        )

    def _make_watches(self) -> None:
        self.memory = Memory(self.budget, self.sources, self.service, self.metrics, self.load)
        self.samples = self._samples()
        watched = self.sources, StalledLaneMonitor(self.table, self.lanes, self.names)
        self.silence = StalledConsumerMonitor(
            watched, self.topology, self.budget, after=self.settings.broker.silent_after
        )

    async def send_acks(self) -> None:
        """Sends the due acks and nacks on every consuming channel."""
        await self.sources.flush()
        await self.lanes.flush()
        await self.stray_channel.flush()

    # ---- construction ---------------------------------------------------------------------------------

    def _publisher(self, link: Link, *, underneath: bool = False) -> ConfirmedPublisher:
        return ConfirmedPublisher(
            link,
            timeout=self.settings.broker.publish_timeout,
            body_limit=self.settings.limits.body,
            declare=Topology(link, self.names).declare_source,
            watch=self.gauges.published,
            underneath=underneath,
        )

    def _recorder(self) -> Recorder:
        grouping = self.settings.history
        return Recorder(
            self.history,
            self.send_acks,
            lambda: self.sources.admit_kept_back(),  # noqa: PLW0108 - sources are made later
            watch=self.watch,
            grouping=GroupCommit(grouping.min_wait, grouping.max_wait, grouping.rows),
            keep_successes=self.settings.storage.keep == "all",
        )

    def _hooks(self, base: Path, served: frozenset[str] | None) -> Hooks:
        settings = self.settings
        self._targets = Targets(
            {"": self.publisher, **self.other_publishers},
            [str(network) for network in settings.http.allow_private_targets],
            base,
            self.gauges.http_connection,
            settings.limits.response,
            adopt=True,
            rendering=Rendering(self.budget),
        )
        breaker = settings.breaker
        return Hooks(
            self.table,
            self._targets,
            self.metrics,
            deleted=self.deleted,
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
            told=self._told,
        )

    def _in_force(self, store: SqlHooks) -> HooksInForce:
        return HooksInForce(
            store,
            self.history,
            self.settings.hooks,
            table=self.table,
            hooks=self.hooks,
            delivering=self.delivering,
            deleted=self.deleted,
            topology=self.topology,
            service=self.service,
            strays=self.strays,
            control=self.control,
        )

    def _decoder(self, source: Source, base: Path) -> Decoder:
        return Decoder(
            source,
            bounds=self.bounds,
            max_body=self.settings.limits.body,
            max_headers=self.settings.limits.headers,
            arrivals=Arrivals(source.name, self.settings.inlets),
            misfit=misfit_of(source, base),
            genuine=self._keys.events.is_genuine if source.name == OWN_EVENTS else None,
        )

    def _source(self, source: Source) -> tuple[Intake, ConsumeChannel]:
        intake = Intake(
            source,
            self.decoders[source.name],
            self.delivering,
            self.load,
            metrics=self.metrics,
            most_open=self.settings.limits.open_deliveries,
            new_id=new_id,
            guard=self.guard,
            recall=self.recall,
            aside=self.aside,
            dimensions=measured_by(source),
        )
        return intake, self.consumption.channel(intake)

    def _samples(self) -> DepthPoller:
        return DepthPoller(
            topology=self.topology,
            links=self.links.all(),
            table=self.table,
            metrics=self.metrics,
            ladder=self.ladder,
            strays=self.strays,
            source_queues=self.consumption.queues,
            streams=self.consumption.streams,
            sources=[source.queue for source in self.settings.sources],
            queues=[self.names.events],
        )

    # ---- notifications --------------------------------------------------------------------------------

    def _let_through(self, work: Work) -> None:
        self.service.let_through(work)

    def _end_copy(
        self, why: Undecodable, message: Message, ticket: AckHandle, over: SettledCallback | None
    ) -> None:
        self.strays.end(why, message, ticket, over)

    def _told(self, runner: HookWorker, kind: MetaType, facts: Facts) -> None:
        self.herald.tell(kind, runner.hook, facts, by_person=False)

    def _paused(self, runner: HookWorker, reason: str) -> None:
        facts = state_changed(runner.hook, MetaType.PAUSED, OWN_EVENTS, time.time(), reason)
        self.herald.tell(MetaType.PAUSED, runner.hook, facts, by_person=False)
        thing = "hook", runner.hook.id
        self.errands.add(partial(self._deeds.write, _OURSELVES, "hooks.pause", thing, {"reason": reason}))

    def _done(self, deed: AuditEntry) -> None:
        """Publishes a meta event about a hook that was switched through the API."""
        runner = self.table.get(deed.object_id)
        if runner is not None and deed.actor != _OURSELVES.name:
            detail = json.loads(deed.detail)
            for kind in switched_by(deed.action, detail):
                reason = str(detail.get("reason") or "")
                facts = state_changed(runner.hook, kind, deed.actor, deed.at, reason)
                self.herald.tell(kind, runner.hook, facts, by_person=True)

    def pause(self, runner: HookWorker, reason: str) -> None:
        """Pauses a hook on behalf of the bridge: its deliveries wait until a person resumes it."""
        self.watch.paused(runner, reason)
        runner.pause(reason)
        self._remember_pause(runner.hook.id, reason)

    def _remember_pause(self, hook: str, reason: str) -> None:
        self.in_force.say(HookState(hook, paused=True, reason=reason, at=time.time()))

    async def _is_there(self, queue: str) -> bool:
        return await self.topology.depth(queue) is not None

    def consume_strays(self) -> None:
        """Consumes orphans and dead letters from now on."""
        self.stray_channel.subscribe(self.names.orphans, _STRAYS_AT_ONCE, self.strays.orphan)
        self.stray_channel.subscribe(self.names.dead, _STRAYS_AT_ONCE, self.strays.dead)

    async def close(self) -> None:
        """Closes what attempts used; these must have ended before."""
        self.aside.close()
        await self._targets.close()
        await self.reception.close()
        for publisher in (self.publisher, *self.other_publishers.values()):
            await publisher.close()
