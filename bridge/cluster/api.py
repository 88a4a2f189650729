"""The replicas of the bridge, over HTTP."""

from collections.abc import Sequence

from aiohttp import web

from bridge.core.jobs import Replica
from bridge.formats.text import utc_seconds
from bridge.history.leases import SqlReplicas
from bridge.http.body import page
from bridge.http.documents import ClosedDocument, PageDocument, UtcMoment
from bridge.http.input import PAGE, PAGED, Parameters
from bridge.http.operation import Operation

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


class ReplicaRoutes:
    """The read-only routes of replicas."""

    def __init__(self, replicas: SqlReplicas, alive: float) -> None:
        """Prepare the routes; `alive` is the maximum age in seconds of a listed replica's heartbeat."""
        self._replicas = replicas
        self._alive = alive

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                name="replicas.list",
                method="GET",
                path="/v1/replicas",
                summary="The processes that serve this bridge now",
                handler=self._list,
                parameters=PAGE,
                answers={200: PageDocument[ReplicaDocument]},
            )
        ]

    async def _list(self, request: web.Request) -> web.Response:
        given = Parameters(request, PAGED)
        limit, cursor = given.limit(), given.cursor()
        given.check()
        alive = await self._replicas.replicas(self._alive)
        left = [each for each in alive if cursor is None or each.id > cursor]
        return page(map(_document, left[:limit]), left[limit - 1].id if len(left) > limit else None)


def _document(replica: Replica) -> ReplicaDocument:
    return ReplicaDocument(
        id=replica.id,
        host=replica.host,
        targets=replica.targets.split(",") if replica.targets else [],
        started_at=utc_seconds(replica.started_at),
        seen_at=utc_seconds(replica.seen_at),
        revision=replica.revision,
    )
