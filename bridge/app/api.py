"""The admin API of a running bridge, made from its parts."""

from bridge.admin.look_addresses import Addresses
from bridge.admin.look_explain import Explain
from bridge.app.access import Access
from bridge.app.parts import Parts, new_id
from bridge.http.api import Api
from bridge.http.api_access import AccessRoutes
from bridge.http.api_deliveries import DeliveryRoutes
from bridge.http.api_history import HistoryRoutes
from bridge.http.api_live import LiveRoutes
from bridge.http.api_quarantine import QuarantineRoutes
from bridge.ports.records import Records


def make_api(parts: Parts, records: Records, access: Access) -> Api:
    """All of it; closed to whoever shows no token."""
    settings = parts.settings
    explain = Explain(parts.table, settings.sources, parts.decoders, new_id)
    history = HistoryRoutes(records, explain, settings.limits.body)
    live = LiveRoutes(
        parts.table, settings.sources, explain, consumed=parts.sources, counts=parts.topology.counts
    )
    return Api(
        [
            history,
            DeliveryRoutes(records, Addresses(parts.table)),
            live,
            QuarantineRoutes(records),
            AccessRoutes(access.desk, access.audit),
        ],
        access.actors,
        access.log,
        new_id,
    )
