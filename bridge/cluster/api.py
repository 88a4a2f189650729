"""The replicas of the bridge, over HTTP."""

from collections.abc import Sequence
from typing import Self

from bridge.core.jobs import Replica
from bridge.formats.text import utc_seconds
from bridge.history.leases import SqlReplicas
from bridge.http.documents import ClosedDocument, PageDocument, UtcMoment
from bridge.http.input import PageQuery, page_by_key
from bridge.http.operation import Call, Operation, reading

# The replicas of a bridge, as the API shows them.


class ReplicaDocument(ClosedDocument):
    """A process that consumes this bridge's sources."""

    id: str
    """Id of the process, new with every start."""
    host: str
    """Host name and process id."""
    targets: list[str]
    """Types of targets that it attempts; deliveries of other types stay in their lanes."""
    started_at: UtcMoment
    """When it started."""
    seen_at: UtcMoment
    """Time of its last heartbeat."""
    revision: int
    """Revision of its active hooks; it rises with every change of a hook."""

    @classmethod
    def of(cls, replica: Replica) -> Self:
        """The replica."""
        return cls(
            id=replica.id,
            host=replica.host,
            targets=replica.targets.split(",") if replica.targets else [],
            started_at=utc_seconds(replica.started_at),
            seen_at=utc_seconds(replica.seen_at),
            revision=replica.revision,
        )


class ReplicaRoutes:
    """The read-only routes of replicas."""

    def __init__(self, replicas: SqlReplicas, alive: float) -> None:
        """Prepare the routes; `alive` is the maximum age in seconds of a listed replica's heartbeat."""
        self._replicas = replicas
        self._alive = alive

    def operations(self) -> Sequence[Operation]:
        return [
            reading(
                "replicas.list",
                "/v1/replicas",
                "The processes that serve this bridge now",
                self._list,
                PageDocument[ReplicaDocument],
                query=PageQuery,
            )
        ]

    async def _list(self, call: Call[PageQuery, None]) -> PageDocument[ReplicaDocument]:
        alive = await self._replicas.replicas(self._alive)
        found, following = page_by_key(call.query, alive, lambda replica: replica.id)
        return PageDocument.of(map(ReplicaDocument.of, found), following)
