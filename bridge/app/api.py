"""The admin API of a running bridge, made from its parts."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from bridge.about.api import AboutRoutes
from bridge.access.api import AccessRoutes, AuditRoutes
from bridge.app.stages import Parts
from bridge.cluster.replicas import ALIVE, ReplicaRoutes
from bridge.core.base import new_id
from bridge.core.delivery import Status
from bridge.core.event import Event, Source
from bridge.core.records import KnownDelivery
from bridge.deliveries.api import DeliveryActions, DeliveryRoutes
from bridge.deliveries.bulk import BulkRoutes
from bridge.deliveries.outbox import SqlOutbox
from bridge.deliveries.service import CopySender, OutboxTask, Requests, RetryDelivery
from bridge.events.api import HistoryRoutes
from bridge.events.documents import as_event
from bridge.events.explain import Explain, LiveRoutes
from bridge.events.types import EventTypeRoutes, SeenTypes
from bridge.find.api import FindRoutes
from bridge.find.service import Finder
from bridge.formats.parse import Bounds
from bridge.history.history import SqlHistory
from bridge.history.types import SqlEventTypes
from bridge.history.waiting import SqlWaiting
from bridge.hooks.api import HookRoutes
from bridge.hooks.api_switches import HookSwitchRoutes, Testing, TestRoutes
from bridge.hooks.api_versions import HookVersionRoutes
from bridge.hooks.listing import HookListRoutes
from bridge.hooks.names import AskedNames, KnownNames
from bridge.hooks.presenter import Addresses, seen_hook, seen_hooks
from bridge.hooks.preview import PreviewRoutes, Previews
from bridge.hooks.reloading import Reloading, ReloadRoutes
from bridge.hooks.service import Delete, InForce, ManageHooks
from bridge.hooks.store import SqlHooks
from bridge.hooks.switch import RotateSecrets, SwitchHooks
from bridge.hooks.validate import Grounds
from bridge.hooks.versions import SqlHookVersions
from bridge.http.api import Api
from bridge.http.operation import OperationGroup
from bridge.inlets.api import InletRoutes
from bridge.measuring.dimensions import dimensions_of
from bridge.overview.api import OverviewRoutes
from bridge.overview.service import Overview, Stores
from bridge.phlix.api import PhlixRoutes, PhlixStatisticsRoutes
from bridge.phlix.service import PhlixWebhooks
from bridge.publishing.api import PublishRoutes
from bridge.publishing.service import Publishing, SqlIdempotency
from bridge.quarantine.api import QuarantineRoutes
from bridge.quarantine.service import Requeuing
from bridge.quarantine.store import SqlQuarantine
from bridge.replays.api import ReplayRoutes
from bridge.replays.runner import ReplayRunner, ReplayScheduler
from bridge.replays.service import ReplayService
from bridge.replays.store import SqlReplays
from bridge.settings.tree import Settings
from bridge.stats.api import StatisticsRoutes
from bridge.stats.service import HookStatistics, Measures
from bridge.stats.store import SqlStatistics
from bridge.ui.app import Ui

# The hook part of the API, over the hooks in force.


@dataclass(frozen=True, slots=True)
class HookDesk:
    """The use cases of hooks, and their operations."""

    in_force: InForce
    manage: ManageHooks
    switch: SwitchHooks
    rotate: RotateSecrets
    waiting: SqlWaiting
    versions: SqlHookVersions

    def parts(self) -> list[OperationGroup]:
        """Returns the operations under /v1/hooks."""
        return [
            HookListRoutes(self.in_force, self.waiting),
            HookRoutes(self.in_force, self.manage),
            HookSwitchRoutes(self.in_force, self.switch, self.rotate),
            HookVersionRoutes(self.in_force, self.manage, self.rotate, self.versions),
        ]


def hook_desk(
    in_force: InForce,
    store: SqlHooks,
    settings: Settings,
    *,
    delete: Delete,
    base: Path,
    served: frozenset[str] | None,
) -> HookDesk:
    """Returns the desk; `base`: the folder of relative paths of scripts; `served`: the target types attempted here, None for
    all.
    """
    grounds = Grounds.of(settings, base, served)
    return HookDesk(
        in_force,
        ManageHooks(store, in_force, grounds, delete=delete, most=settings.limits.hooks, now=time.time),
        SwitchHooks(store, in_force, time.time),
        RotateSecrets(store, in_force, time.time),
        SqlWaiting(store.engine),
        store.versions,
    )


# The statistics part of the API, over the sums in the database.


def statistics_routes(
    statistics: SqlStatistics, sources: Sequence[Source], in_force: InForce, names: AskedNames
) -> list[OperationGroup]:
    """Returns the operations of statistics: for hooks in force, for measures of sources, and for Phlix."""
    measures = Measures(statistics, sources)

    def hook_id(which: str) -> str | None:
        found = seen_hook(in_force, which)
        return found.hook.id if found else None

    def there() -> list[str]:
        return [seen.hook.id for seen in seen_hooks(in_force)]

    return [
        StatisticsRoutes(HookStatistics(statistics, there, names.of_hook), measures, hook_id, names),
        PhlixStatisticsRoutes(measures),
    ]


# The names in requests: of configured hooks and sources, and of those in the history.


def asked_names(parts: Parts) -> AskedNames:
    """Returns the checks of names that appear as request parameters."""
    return AskedNames(names_of(parts), parts.given.history)


def names_of(parts: Parts) -> KnownNames:
    """Returns the names of hooks, sources and event types."""
    return KnownNames(parts.hooks.in_force, parts.given.settings.sources, parts.given.history)


def dimension_names(parts: Parts) -> list[str]:
    """Returns the names of the dimensions of all sources."""
    return sorted({name for source in parts.given.settings.sources for name in dimensions_of(source)})


# The operations of the API on deliveries, events and the targets of hooks.


async def event_of(history: SqlHistory, bounds: Bounds, event_id: str) -> Event | None:
    """Returns the event of the history with this id, as it was routed."""
    found = await history.event(event_id)
    return None if found is None else await asyncio.to_thread(partial(as_event, found[0], bounds))


class Actions:
    """The use cases of the API, their operations, and the outbox that publishes for them in the background."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        history, table, control = parts.given.history, parts.notices.table, parts.broker.control
        stored = SqlOutbox(history.engine)
        self.sender = CopySender(stored, history, parts.broker.copies, table)
        self.outbox = OutboxTask(
            self.sender,
            stored,
            parts.hooks.replicas,
            control,
            replica=parts.given.replica_id,
            overtaken=parts.lanes.scheduler.overtaken,
        )
        self.restarting = RetryDelivery(
            history,
            stored,
            table,
            publish=self.outbox.soon,
            control=control,
            cancelled=self._cancelled,
        )
        self.testing = Testing(table, new_id, partial(event_of, history, parts.given.bounds))
        self.publishing = Publishing(
            parts.given.settings.sources,
            parts.sources.reception.prompt,
            SqlIdempotency(history.engine),
            new_id,
        )

    def routes(self) -> list[OperationGroup]:
        """Returns the operations to serve."""
        history, table = self._parts.given.history, self._parts.notices.table
        addresses, names = Addresses(table), asked_names(self._parts)
        return [
            DeliveryRoutes(history, addresses, names, Requests(history, table, self._parts.given.bounds)),
            DeliveryActions(self.restarting, addresses, names),
            BulkRoutes(history, self.restarting, names_of(self._parts)),
            TestRoutes(self.testing, names),
            PublishRoutes(self.publishing),
        ]

    def _cancelled(self, delivery: KnownDelivery) -> None:
        self._parts.given.metrics.hook(delivery.hook, delivery.target).ended(Status.FAILED)


# Replays and the quarantine: their operations and background tasks.


class Repeating:
    """The redelivery of many deliveries at once, and of messages from quarantine."""

    def __init__(self, parts: Parts, sender: CopySender) -> None:
        self._parts = parts
        given, table, control = parts.given, parts.notices.table, parts.broker.control
        engine = given.history.engine
        replays = SqlReplays(engine)
        work = ReplayRunner(
            *(replays, SqlOutbox(engine), table, sender), bounds=given.bounds, made_at=self._made_at
        )
        self.replays = ReplayScheduler(replays, parts.hooks.replicas, control, work, replica=given.replica_id)
        self._names = asked_names(parts)
        self._replaying = ReplayService(
            *(replays, table, names_of(parts), control),
            new_id=new_id,
            bounds=given.bounds,
            keeps_successes=given.settings.storage.keep == "all",
        )
        self._requeuing = Requeuing(
            SqlQuarantine(engine),
            given.settings.sources,
            parts.sources.reception.prompt,
            parts.sources.decoders,
        )

    def routes(self) -> Sequence[OperationGroup]:
        """Returns the operations to serve."""
        return [
            ReplayRoutes(self._replaying, self._names.of_hook),
            QuarantineRoutes(self._requeuing, self._names),
        ]

    def _made_at(self, hook: str) -> float | None:
        stored = self._parts.hooks.in_force.stored.get(hook)
        return None if stored is None else stored.created_at


def make_api(
    parts: Parts,
    actions: Actions,
    repeating: Repeating,
    reloading: Reloading,
    status: Callable[[], Mapping[str, Any]],
) -> Api:
    """Returns the whole API; every operation requires a token. `status` returns what /health/ready shows."""
    given, hooks, access = parts.given, parts.hooks, parts.notices.access
    settings, records = given.settings, given.history
    names, statistics = asked_names(parts), SqlStatistics(records.engine)
    desk = hook_desk(
        hooks.in_force,
        given.store,
        settings,
        delete=hooks.deletion.delete,
        base=given.base,
        served=given.served,
    )
    phlix = PhlixWebhooks(hooks.in_force, desk.manage, actions.testing, statistics.health)
    return Api(
        [
            _overview(parts, status),
            *_looking(parts, names),
            *desk.parts(),
            _previews(parts, actions.testing),
            ReloadRoutes(reloading.reload_everywhere),
            *actions.routes(),
            ReplicaRoutes(hooks.replicas, ALIVE),
            *_itself(parts),
            *repeating.routes(),
            PhlixRoutes(phlix, records),
            *statistics_routes(statistics, settings.sources, hooks.in_force, names),
            AccessRoutes(access.desk),
            AuditRoutes(access.audit, access.desk, names),
        ],
        *(access.actors, access.log, new_id, records),
        budget=given.budget,
    )


def _looking(parts: Parts, names: AskedNames) -> list[OperationGroup]:
    """Returns the operations on events and on the present state."""
    given, sources = parts.given, parts.given.settings.sources
    explain = Explain(parts.notices.table, sources, parts.sources.decoders, new_id)
    types = SeenTypes(SqlEventTypes(given.history.engine))
    finder = Finder(given.history, types, parts.hooks.in_force, parts.notices.access.audit)
    return [
        HistoryRoutes(given.history, explain, names, dimension_names(parts), given.bounds, types=types),
        EventTypeRoutes(types),
        FindRoutes(finder),
        LiveRoutes(sources, explain, consumed=parts.sources.sources, counts=parts.broker.topology.counts),
    ]


def _previews(parts: Parts, testing: Testing) -> PreviewRoutes:
    given, hooks = parts.given, parts.hooks
    grounds = Grounds.of(given.settings, given.base, given.served)
    build = hooks.targets.build
    return PreviewRoutes(
        Previews(given.history, hooks.in_force, grounds, build, bounds=given.bounds), testing
    )


def _itself(parts: Parts) -> list[OperationGroup]:
    """Returns the operations on the bridge itself and its inlets."""
    given = parts.given
    about = AboutRoutes(given.settings, given.history.size, replica=given.replica_id, started_at=time.time())
    return [about, InletRoutes(given.settings.inlets, given.metrics.inlet_answers)]


def _overview(parts: Parts, status: Callable[[], Mapping[str, Any]]) -> OverviewRoutes:
    given = parts.given
    stores = Stores.over(given.history.engine)
    pause_after = given.settings.delivery.auto_pause_after
    return OverviewRoutes(Overview(status, parts.hooks.in_force, stores, pause_after))


def make_ui(api: Api, settings: Settings) -> Ui | None:
    """Returns the operator UI over the API; None if it is switched off."""
    if not settings.http.ui:
        return None
    token, url = settings.http.admin_token, settings.http.public_url
    keys = [*settings.storage.encryption_keys, *([] if token is None else [token])]
    return Ui(api, [key.get_secret_value() for key in keys], None if url is None else str(url))


# The content of /health/ready: the readiness, and the problems.


_BROKEN_TOLD = 20


def readiness(parts: Parts, problems: Sequence[str]) -> dict[str, Any]:
    """Returns the state of broker, database, consumers and hooks; `problems` are those that an operator has to solve."""
    down = parts.pipeline.recorder.down_since is not None
    broken = parts.hooks.in_force.broken
    broker = {link.role: "up" if link.up else "down" for link in parts.given.links.all()}
    sources = parts.sources.sources.state()
    there = (
        not down and "down" not in broker.values() and set(sources.values()) <= {"consuming", "standing_by"}
    )
    told = dict(islice(sorted(broken.items()), _BROKEN_TOLD))
    return {
        "status": "ok" if there and not broken and not problems else "degraded",
        "database": "down" if down else "up",
        "broker": broker,
        "consumers": sources,
        "broken_hooks": {"count": len(broken), "reasons": told},
        "problems": list(problems),
    }
