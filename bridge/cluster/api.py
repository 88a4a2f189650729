"""Who serves this bridge, over HTTP."""

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
    """A process that serves this bridge's sources."""

    id: str
    """A new one with every start."""
    host: str
    """Where it runs: name of the host and process id."""
    targets: list[str]
    """The types of targets that it attempts; the others' deliveries it leaves in their lanes."""
    started_at: UtcMoment
    """When it started."""
    seen_at: UtcMoment
    """When it wrote down last that it lives."""
    revision: int
    """That of the hooks it has in force: with every change of a hook it rises."""


class ReplicaRoutes:
    """Reads, and changes nothing."""

    def __init__(self, replicas: SqlReplicas, alive: float) -> None:
        """`alive`: seconds within which one must have been seen to be listed."""
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
