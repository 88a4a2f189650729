"""Replays and the quarantine, made from the parts: the routes to them, and what works in the background."""

from collections.abc import Sequence

from bridge.admin.copies import CopySender
from bridge.admin.quarantine import Requeuing
from bridge.admin.replays import Replaying
from bridge.app.names import names_of
from bridge.app.parts import Parts, new_id
from bridge.app.replay_work import ReplayWork
from bridge.app.replays import ReplayTask
from bridge.http.api import Part
from bridge.http.api_names import AskedNames
from bridge.http.api_quarantine import QuarantineRoutes
from bridge.http.api_replays import ReplayRoutes
from bridge.ports.jobs import Leases
from bridge.storage.history import SqlHistory
from bridge.storage.outbox import SqlOutbox
from bridge.storage.quarantined import SqlQuarantine
from bridge.storage.replays import SqlReplays


class Repeating:
    """What is delivered again: many deliveries at once, and messages out of quarantine."""

    def __init__(self, parts: Parts, history: SqlHistory, leases: Leases, sender: CopySender) -> None:
        self._parts = parts
        settings = parts.settings
        replays = SqlReplays(history.engine)
        work = ReplayWork(
            replays,
            SqlOutbox(history.engine),
            parts.table,
            sender,
            bounds=parts.bounds,
            made_at=self._made_at,
        )
        self.replays = ReplayTask(replays, leases, parts.control, work, replica=parts.replica_id)
        names = names_of(parts, history)
        self._names = AskedNames(names, history)
        self._replaying = Replaying(
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
        """What is to be served."""
        return [
            ReplayRoutes(self._replaying, self._names.of_hook),
            QuarantineRoutes(self._requeuing, self._names),
        ]

    def _made_at(self, hook: str) -> float | None:
        stored = self._parts.in_force.stored.get(hook)
        return None if stored is None else stored.created_at
