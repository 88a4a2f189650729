"""What people do through the admin API with deliveries, events and the targets of hooks, made from the parts."""

from bridge.admin.copies import CopySender
from bridge.admin.look_addresses import Addresses
from bridge.admin.look_requests import Requests
from bridge.admin.publishing import Publishing
from bridge.admin.restarting import Restarting
from bridge.admin.testing import Testing
from bridge.app.names import asked_names
from bridge.app.outbox import OutboxTask
from bridge.app.parts import Parts, new_id
from bridge.http.api import Part
from bridge.http.api_deliveries import DeliveryActions, DeliveryRoutes
from bridge.http.api_publish import PublishRoutes
from bridge.http.api_testing import TestRoutes
from bridge.model.delivery import Status
from bridge.ports.jobs import Leases
from bridge.ports.records import KnownDelivery
from bridge.storage.history import SqlHistory
from bridge.storage.idempotency import SqlIdempotency
from bridge.storage.outbox import SqlOutbox


class Actions:
    """The use cases, the routes to them, and the outbox that works for them in the background."""

    def __init__(self, parts: Parts, history: SqlHistory, leases: Leases) -> None:
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
        self.restarting = Restarting(
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
        """What is to be served."""
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
