"""The parts between the broker and the targets: the stages of a message, the hooks, the sources."""

from functools import partial
from typing import TYPE_CHECKING, Any

from bridge.amqp.consumer import ConsumeChannel
from bridge.app.consumption import Consumption, Sources
from bridge.app.parts import (
    BrokerParts,
    Notices,
    Resources,
    publisher_to,
    queue_exists,
)
from bridge.checks.configuration import misfit_of
from bridge.cluster.replicas import ReplicaHeartbeat, Replicas
from bridge.core.base import new_id
from bridge.core.event import OWN_EVENTS, Source, own_events
from bridge.core.target import TARGET_TYPES
from bridge.formats.decoder import Decoder
from bridge.formats.registry import content_of
from bridge.history.guards_store import SqlClaims, SqlRecollection, SqlSuspects
from bridge.history.leases import SqlReplicas
from bridge.hooks.deletion import HookDeletion, SqlUnfinishedDeliveries
from bridge.hooks.in_force import HooksInForce
from bridge.hooks.runners import Hooks
from bridge.inlets.receive import Reception
from bridge.measuring.dimensions import measured_by
from bridge.pipeline.backpressure import Shares, SlowHookIsolation
from bridge.pipeline.dedupe import DedupeLeases, RedeliveryFilter
from bridge.pipeline.deliver import Delivering
from bridge.pipeline.fencing import CopyAdmission, Fence
from bridge.pipeline.hook_table import Deleted
from bridge.pipeline.hook_worker import Thresholds
from bridge.pipeline.intake import Intake
from bridge.pipeline.lanes import LaneScheduler
from bridge.pipeline.orphans import CopyQuarantine, OrphanedCopies
from bridge.pipeline.poison import PoisonMessageGuard
from bridge.pipeline.reading import CopyReader, LargeBodyReader, UnverifiedCopies
from bridge.pipeline.recorder import GroupCommit, Recorder
from bridge.pipeline.settlement import Follow, InFlight
from bridge.pipeline.watch import PipelineWatch
from bridge.retry.policy import Rules
from bridge.targets.evidence import Rendering
from bridge.targets.factory import Targets
from bridge.wire.headers import SignedInletMarkReader

if TYPE_CHECKING:
    from bridge.telemetry.tracing import Tracing

# The way of a message.


class Pipeline:
    """The stages between the consumers of sources and the targets."""

    def __init__(self, given: Resources, broker: BrokerParts, notices: Notices) -> None:
        engine, turn = given.history.engine, broker.turn
        self.load = InFlight()
        self.large_bodies = LargeBodyReader(given.budget, self.load, given.bounds.inflated, turn)
        self.recorder = _recorder(given, broker, notices.watch)
        self.poison = PoisonMessageGuard(SqlSuspects(engine), self.load, given.replica_id)
        self.claims = SqlClaims(engine)
        leases = DedupeLeases(self.claims, given.replica_id, alone=given.alone)
        self.redeliveries = RedeliveryFilter(
            *(SqlRecollection(engine), leases, self.recorder, broker.send_acks, turn)
        )
        self.deleted = Deleted(self.recorder)
        self.delivering, self.follow = _traced_or_not(
            given.tracing,
            *(
                notices.table,
                broker.copies,
                self.recorder,
                notices.watch,
                new_id,
                notices.pauses.remember,
                turn,
            ),
        )
        delivery = given.settings.delivery
        shares = Shares(delivery.prefetch_share, delivery.slow_share, given.longest_hold)
        self.isolation = SlowHookIsolation(notices.table, self.delivering.park, shares)


def _traced_or_not(tracing: "Tracing | None", *parts: Any) -> tuple[Delivering, Follow | None]:
    """Returns what delivers, and what makes spans of messages; None where traces are off."""
    if tracing is None:
        return Delivering(*parts), None
    from bridge.pipeline.traced import Spans, TracedDelivering

    spans = Spans(tracing.tracer)
    return TracedDelivering(*parts, spans=spans), spans.follow


def _recorder(given: Resources, broker: BrokerParts, watch: PipelineWatch) -> Recorder:
    grouping = given.settings.history
    return Recorder(
        *(given.history, broker.send_acks, broker.admit_kept_back),
        watch=watch,
        grouping=GroupCommit(grouping.min_wait, grouping.max_wait, grouping.rows),
        keep_successes=given.settings.storage.keep == "all",
    )


# The way of a copy.


class LaneParts:
    """The stages between the lanes and the pipeline."""

    def __init__(self, given: Resources, broker: BrokerParts, notices: Notices, stages: Pipeline) -> None:
        table, load, deleted = notices.table, stages.load, stages.deleted
        read_content = partial(content_of, bounds=given.bounds)
        reader = CopyReader(given.keys.copies, read_content)
        quarantine = CopyQuarantine(
            *(table, stages.recorder, load), watch=notices.watch, reader=reader, new_id=new_id
        ).take
        self.unverified = UnverifiedCopies(given.history, read_content, quarantine, stages.large_bodies)
        admission = CopyAdmission(table, broker.copies, deleted, stages.delivering.turned_away)
        self.fence = Fence(
            *(given.history, load, admission.let_through, notices.watch.stale_copy, broker.send_acks)
        )
        self.scheduler = LaneScheduler(
            consumers=broker.lanes,
            admission=admission,
            fence=self.fence,
            table=table,
            guard=stages.poison,
            quarantine=quarantine,
            unverified=self.unverified.take,
            reader=reader,
            longest_hold=given.longest_hold,
            budget=given.budget,
            large_bodies=stages.large_bodies,
        )
        self.orphans = OrphanedCopies(
            *(table, broker.copies, load),
            deleted=deleted,
            fence=self.fence,
            quarantine=quarantine,
            reader=reader,
            unverified=self.unverified.take,
        )


# Hooks.


class HookParts:
    """The hooks in force, and what is shared about them with other replicas."""

    def __init__(
        self, given: Resources, broker: BrokerParts, notices: Notices, stages: Pipeline, lanes: LaneParts
    ) -> None:
        engine, replica_id = given.history.engine, given.replica_id
        self.targets = _targets(given, broker)
        self.runners = _runners(given, notices, stages, lanes.scheduler, targets=self.targets)
        self.replicas = SqlReplicas(engine)
        others = Replicas(self.replicas, replica_id, alone=given.alone)
        self.in_force = HooksInForce(
            *(given.store, given.history, given.settings.hooks),
            table=notices.table,
            hooks=self.runners,
            delivering=stages.delivering,
            deleted=stages.deleted,
            topology=broker.topology,
            service=lanes.scheduler,
            strays=lanes.orphans,
            control=broker.control,
            pauses=notices.pauses,
            everywhere=others.wait_for,
        )
        attempted = sorted(TARGET_TYPES if given.served is None else given.served)
        self.heartbeat = ReplicaHeartbeat(self.replicas, self.in_force, replica_id, attempted)
        self.deletion = HookDeletion(
            *(self.in_force, others, given.store, SqlUnfinishedDeliveries(engine), self.replicas),
            replica_id=replica_id,
            topology=broker.topology,
            channel=lambda: ConsumeChannel(given.links.consume, queue_exists(broker.topology)),
            receive=lanes.scheduler.receive,
            metrics=given.metrics,
        )
        broker.control.listen("hooks", self.in_force.heard)
        broker.control.listen("lane", partial(_lane_made, lanes.scheduler, given.alone))


def _lane_made(lanes: LaneScheduler, alone: bool, hook: str) -> None:
    """Notes another replica's new lane, or with an empty id looks for lanes, which a single replica need not do."""
    if hook or not alone:
        lanes.lane_made(hook)


def _targets(given: Resources, broker: BrokerParts) -> Targets:
    return Targets(
        {"": broker.publisher, **broker.other_publishers},
        [str(network) for network in given.settings.http.allow_private_targets],
        *(given.base, given.metrics.http_connection, given.settings.limits.response),
        adopt=True,
        rendering=Rendering(given.budget),
    )


def _runners(
    given: Resources, notices: Notices, stages: Pipeline, lanes: LaneScheduler, *, targets: Targets
) -> Hooks:
    delivery, of = given.settings.delivery, given.settings.breaker
    return Hooks(
        *(notices.table, targets, given.metrics),
        deleted=stages.deleted,
        served=given.served,
        thresholds=Thresholds(delivery.park_timeout_over, delivery.lane_depth_direct, delivery.slow_after),
        breaker=Rules(of.failures, of.window, of.share, of.first_probe, of.longest_probe),
        retry_after_max=delivery.retry_after_max,
        lane_changed=lanes.changed,
        notify=notices.hook_events.changed,
    )


# Sources.


class SourceParts:
    """The consumption of sources, and what publishes to them."""

    def __init__(self, given: Resources, broker: BrokerParts, stages: Pipeline) -> None:
        settings, links = given.settings, given.links
        consumed = [*settings.sources, own_events(given.names.events)]
        self.decoders = {source.name: _decoder(given, source) for source in consumed}
        self.consumption = Consumption(
            *(settings.broker, links, broker.topology, broker.gauges),
            consumers=broker.consumers,
            history=given.history,
            recorder=stages.recorder,
            holder=given.replica_id,
            alone=given.alone,
        )
        for source in consumed:
            self.consumption.add(_intake(given, stages, source, self.decoders[source.name]))
        publisher, prepare = partial(publisher_to, given, broker.gauges), self.consumption.queues.prepare
        self.reception = Reception(
            *(settings, links.publish, publisher, prepare), metrics=given.metrics, new_id=new_id
        )
        self.sources = Sources(broker.consumers, self.consumption, given.budget)


def _decoder(given: Resources, source: Source) -> Decoder:
    limits = given.settings.limits
    return Decoder(
        source,
        bounds=given.bounds,
        max_body=limits.body,
        max_headers=limits.headers,
        arrivals=SignedInletMarkReader(source.name, given.settings.inlets),
        misfit=misfit_of(source, given.base),
        genuine=given.keys.events.is_genuine if source.name == OWN_EVENTS else None,
    )


def _intake(given: Resources, stages: Pipeline, source: Source, decoder: Decoder) -> Intake:
    return Intake(
        *(source, decoder, stages.delivering, stages.load),
        metrics=given.metrics,
        most_open=given.settings.limits.open_deliveries,
        new_id=new_id,
        guard=stages.poison,
        recall=stages.redeliveries,
        large_bodies=stages.large_bodies,
        dimensions=measured_by(source),
        follow=stages.follow,
    )


class Parts:
    """All parts of a bridge, by what they are about; each gets what it needs when it is made."""

    def __init__(self, given: Resources) -> None:
        self.given = given
        self.broker = BrokerParts(given)
        self.notices = Notices(given, self.broker)
        self.pipeline = Pipeline(given, self.broker, self.notices)
        self.lanes = LaneParts(given, self.broker, self.notices, self.pipeline)
        self.hooks = HookParts(given, self.broker, self.notices, self.pipeline, self.lanes)
        self.sources = SourceParts(given, self.broker, self.pipeline)

    async def close(self) -> None:
        """Closes what attempts and inlets used; they must have ended before."""
        self.pipeline.large_bodies.close()
        await self.hooks.targets.close()
        await self.sources.reception.close()
        for publisher in (self.broker.publisher, *self.broker.other_publishers.values()):
            await publisher.close()
