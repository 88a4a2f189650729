"""The admin API of a running bridge, made from its parts."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from bridge.access.api import AccessRoutes, AuditRoutes
from bridge.access.service import Access
from bridge.app.build import Container, new_id
from bridge.app.connections import Links
from bridge.cluster.replicas import ALIVE, ReplicaRoutes
from bridge.core.delivery import Status
from bridge.core.event import Source
from bridge.core.records import KnownDelivery
from bridge.deliveries.api import DeliveryActions, DeliveryRoutes
from bridge.deliveries.outbox import SqlOutbox
from bridge.deliveries.service import CopySender, OutboxTask, Requests, RetryDelivery
from bridge.events.api import HistoryRoutes
from bridge.events.explain import Explain, LiveRoutes
from bridge.history.history import SqlHistory
from bridge.history.leases import SqlReplicas
from bridge.hooks.api_switches import Testing, TestRoutes
from bridge.hooks.names import AskedNames, Names
from bridge.hooks.presenter import Addresses, seen_hook, seen_hooks
from bridge.hooks.reloading import Reloading, ReloadRoutes
from bridge.hooks.service import InForce
from bridge.http.api import Api, Part
from bridge.measuring.dimensions import dimensions_of
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
from bridge.stats.api import StatisticsRoutes
from bridge.stats.service import HookStatistics, Measures
from bridge.stats.store import SqlStatistics

# The statistics part of the API, over the sums in the database.


def statistics_routes(
    statistics: SqlStatistics, sources: Sequence[Source], in_force: InForce, names: AskedNames
) -> list[Part]:
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


def asked_names(parts: Container, history: SqlHistory) -> AskedNames:
    """Returns the checks of names that appear as request parameters."""
    return AskedNames(names_of(parts, history), history)


def names_of(parts: Container, history: SqlHistory) -> Names:
    """Returns the names of hooks, sources and event types."""
    return Names(parts.in_force, parts.settings.sources, history)


def dimension_names(parts: Container) -> list[str]:
    """Returns the names of the dimensions of all sources."""
    return sorted({name for source in parts.settings.sources for name in dimensions_of(source)})


# The operations of the API on deliveries, events and the targets of hooks.


class Actions:
    """The use cases of the API, their operations, and the outbox that publishes for them in the background."""

    def __init__(self, parts: Container, history: SqlHistory, leases: SqlReplicas) -> None:
        self._parts = parts
        self._history = history
        stored = SqlOutbox(history.engine)
        self.sender = CopySender(stored, history, parts.copies, parts.table)
        self.outbox = OutboxTask(
            self.sender,
            stored,
            leases,
            parts.control,
            replica=parts.replica_id,
            overtaken=parts.service.overtaken,
        )
        self.restarting = RetryDelivery(
            history,
            stored,
            parts.table,
            publish=self.outbox.soon,
            control=parts.control,
            cancelled=self._cancelled,
        )
        self.testing = Testing(parts.table, new_id)
        self.publishing = Publishing(
            parts.settings.sources, parts.reception.prompt, SqlIdempotency(history.engine), new_id
        )

    def routes(self) -> list[Part]:
        """Returns the operations to serve."""
        addresses, names = Addresses(self._parts.table), asked_names(self._parts, self._history)
        requests = Requests(self._history, self._parts.table, self._parts.bounds)
        return [
            DeliveryRoutes(self._history, addresses, names, requests),
            DeliveryActions(self.restarting, addresses, names),
            TestRoutes(self.testing, names),
            PublishRoutes(self.publishing),
        ]

    def _cancelled(self, delivery: KnownDelivery) -> None:
        self._parts.metrics.hook(delivery.hook, delivery.target).ended(Status.FAILED)


# Replays and the quarantine: their operations and background tasks.


class Repeating:
    """The redelivery of many deliveries at once, and of messages from quarantine."""

    def __init__(
        self, parts: Container, history: SqlHistory, leases: SqlReplicas, sender: CopySender
    ) -> None:
        self._parts = parts
        settings = parts.settings
        replays = SqlReplays(history.engine)
        work = ReplayRunner(
            replays,
            SqlOutbox(history.engine),
            parts.table,
            sender,
            bounds=parts.bounds,
            made_at=self._made_at,
        )
        self.replays = ReplayScheduler(replays, leases, parts.control, work, replica=parts.replica_id)
        names = names_of(parts, history)
        self._names = AskedNames(names, history)
        self._replaying = ReplayService(
            replays,
            parts.table,
            names,
            parts.control,
            new_id=new_id,
            bounds=parts.bounds,
            keeps_successes=settings.storage.keep == "all",
        )
        self._requeuing = Requeuing(
            SqlQuarantine(history.engine), settings.sources, parts.reception.prompt, parts.decoders
        )

    def routes(self) -> Sequence[Part]:
        """Returns the operations to serve."""
        return [
            ReplayRoutes(self._replaying, self._names.of_hook),
            QuarantineRoutes(self._requeuing, self._names),
        ]

    def _made_at(self, hook: str) -> float | None:
        stored = self._parts.in_force.stored.get(hook)
        return None if stored is None else stored.created_at


def make_api(
    parts: Container,
    records: SqlHistory,
    access: Access,
    actions: Actions,
    repeating: Repeating,
    *,
    reloading: Reloading,
) -> Api:
    """Returns the whole API; every operation requires a token."""
    settings = parts.settings
    explain = Explain(parts.table, settings.sources, parts.decoders, new_id)
    names, dimensions = asked_names(parts, records), dimension_names(parts)
    history = HistoryRoutes(records, explain, names, dimensions, parts.bounds)
    live = LiveRoutes(settings.sources, explain, consumed=parts.sources, counts=parts.topology.counts)
    statistics = SqlStatistics(records.engine)
    return Api(
        [
            history,
            *parts.desk.parts(),
            ReloadRoutes(reloading.reload_everywhere),
            *actions.routes(),
            live,
            ReplicaRoutes(SqlReplicas(records.engine), ALIVE),
            *repeating.routes(),
            PhlixRoutes(_phlix(parts, statistics, actions.testing), records),
            *statistics_routes(statistics, settings.sources, parts.in_force, names),
            AccessRoutes(access.desk),
            AuditRoutes(access.audit, access.desk, names),
        ],
        access.actors,
        access.log,
        new_id,
        records,
        budget=parts.budget,
    )


def _phlix(parts: Container, statistics: SqlStatistics, testing: Testing) -> PhlixWebhooks:
    return PhlixWebhooks(parts.in_force, parts.desk.manage, testing, statistics.health)


# The content of /health/ready: the readiness, and the problems.


_BROKEN_TOLD = 20


def readiness(parts: Container, links: Links, problems: Sequence[str]) -> dict[str, Any]:
    """Returns the state of broker, database, consumers and hooks; `problems` are those that an operator has to solve."""
    down = parts.recorder.down_since is not None
    broken = parts.in_force.broken
    broker = {link.role: "up" if link.up else "down" for link in links.all()}
    sources = parts.sources.state()
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
