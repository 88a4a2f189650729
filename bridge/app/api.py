"""The admin API of a running bridge, made from its parts."""

from bridge.admin.look_explain import Explain
from bridge.admin.phlix import PhlixWebhooks
from bridge.admin.testing import Testing
from bridge.app.access import Access
from bridge.app.actions import Actions
from bridge.app.names import asked_names, dimension_names
from bridge.app.parts import Parts, new_id
from bridge.app.reloading import Reloading
from bridge.app.repeating import Repeating
from bridge.app.replicas import ALIVE
from bridge.app.statistics import statistics_routes
from bridge.http.api import Api
from bridge.http.api_access import AccessRoutes
from bridge.http.api_audit import AuditRoutes
from bridge.http.api_history import HistoryRoutes
from bridge.http.api_live import LiveRoutes
from bridge.http.api_reload import ReloadRoutes
from bridge.http.api_replicas import ReplicaRoutes
from bridge.http.phlix import PhlixRoutes
from bridge.storage.history import SqlHistory
from bridge.storage.jobs_replicas import SqlReplicas
from bridge.storage.statistics import SqlStatistics


def make_api(
    parts: Parts,
    records: SqlHistory,
    access: Access,
    actions: Actions,
    repeating: Repeating,
    *,
    reloading: Reloading,
) -> Api:
    """All of it; closed to whoever shows no token."""
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


def _phlix(parts: Parts, statistics: SqlStatistics, testing: Testing) -> PhlixWebhooks:
    return PhlixWebhooks(parts.in_force, parts.desk.manage, testing, statistics.health)
