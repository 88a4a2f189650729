"""The replay operations of the API: a replay retries many deliveries as one job."""

from collections.abc import Callable
from typing import Literal

from bridge.core.access import Role
from bridge.http.body import unfit
from bridge.http.documents import NotFound, PageDocument
from bridge.http.input import PageQuery, Query, read_page
from bridge.http.operation import Call, Operation, OperationGroup, Reply, conflict, reading
from bridge.replays.documents import AskedReplay, DryRunDocument, FatesDocument, ReplayDocument
from bridge.replays.service import NotAsThingsAre, NotPossible, ReplayService

_PATH = "/v1/replays"
_TOLD = """
Takes the deliveries that are there when it is asked for, each once, from the oldest event on. Those of hooks that are
gone or disabled are left out; those of a paused hook wait in its lane. With `missing` it makes deliveries for events
that `hook` asks for today and has none for. It survives restarts. `dry_run` only counts, and answers 200.
"""


def _cancelling(verb: str, method: Literal["POST", "DELETE"], path: str) -> Operation:
    return Operation(
        name=f"replays.{verb}",
        method=method,
        path=path,
        summary="Cancel a replay; deliveries that it has already started continue",
        role=Role.OPERATOR,
        answers={200: ReplayDocument},
        problems={NotAsThingsAre: conflict},
        refusals=frozenset({409}),
    )


class ReplayRoutes(OperationGroup):
    """The operations that start, show and cancel replays."""

    def __init__(self, replaying: ReplayService, name_of: Callable[[str], str]) -> None:
        """`name_of` returns the name of the hook with an id."""
        self._replaying = replaying
        self._name_of = name_of

    @reading("replays.list", _PATH, "List replays, newest first")
    async def _list(self, call: Call[PageQuery, None]) -> PageDocument[ReplayDocument]:
        found = await read_page(call.query, self._replaying.store.replays)
        return PageDocument.of((ReplayDocument.of(each, self._name_of) for each in found.items), found.next)

    @reading("replays.show", f"{_PATH}/{{id}}", "Get a replay with its progress")
    async def _show(self, call: Call[Query, None]) -> ReplayDocument:
        replay = await self._replaying.store.replay(call.id)
        if replay is None:
            raise NotFound
        fates = await self._replaying.store.fates(replay.id)
        results = FatesDocument.unchecked(fates)
        return ReplayDocument.of(replay, self._name_of, results=results)

    @Operation(
        name="replays.create",
        method="POST",
        path=_PATH,
        summary="Start a replay, or count the deliveries that it would retry",
        description=_TOLD.strip(),
        role=Role.OPERATOR,
        example={"filter": {"hook": "crm", "status": ["FAILED"], "from": "-24h"}, "rate": "50/s"},
        answers={201: ReplayDocument, 200: DryRunDocument},
        problems={
            NotPossible: lambda error, _: unfit([(error.name, str(error))]),
            NotAsThingsAre: conflict,
        },
        refusals=frozenset({409}),
    )
    async def _create(self, call: Call[Query, AskedReplay]) -> Reply:
        if call.body.dry_run:
            planned = await self._replaying.plan(call.body, call.actor.name)
            return Reply(document=DryRunDocument.of(planned), changed=None)
        replay = await self._replaying.start(call.body, call.actor.name)
        document = ReplayDocument.of(replay, self._name_of)
        changed = document.model_dump(by_alias=True, include={"filter", "rate", "total"})
        return Reply(document=document, made=replay.id, changed=changed)

    @_cancelling("cancel", "POST", f"{_PATH}/{{id}}/cancel")
    @_cancelling("delete", "DELETE", f"{_PATH}/{{id}}")
    async def _cancel(self, call: Call[Query, None]) -> Reply:
        replay = await self._replaying.cancel(call.id)
        if replay is None:
            raise NotFound
        changed = {"done": replay.done, "total": replay.total}
        return Reply(document=ReplayDocument.of(replay, self._name_of), changed=changed)
