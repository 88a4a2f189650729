"""Replays over HTTP: many deliveries started anew as one job."""

from collections.abc import Callable, Sequence

from aiohttp import web

from bridge.core.access import Role
from bridge.http.body import answer, body_of, unfit
from bridge.http.documents import PageDocument
from bridge.http.input import PAGE, PAGED, Parameters, not_found, path_id, read_page
from bridge.http.operation import ACTOR, CHANGED, UNCHANGED, Operation
from bridge.http.problem import Refused
from bridge.replays.documents import (
    AskedReplay,
    DryRunDocument,
    ReplayDocument,
    dry_run_document,
    replay_document,
)
from bridge.replays.service import NotAsThingsAre, NotPossible, ReplayService

_PATH = "/v1/replays"
_TOLD = """
Takes the deliveries that are there when it is asked for, each once, from the oldest event on. Those of hooks that are
gone or disabled are left out; those of a paused hook wait in its lane. With `missing` it makes deliveries for events
that `hook` asks for today and has none for. It survives restarts. `dry_run` only counts, and answers 200.
"""


class ReplayRoutes:
    """Starting, watching and cancelling replays."""

    def __init__(self, replaying: ReplayService, name_of: Callable[[str], str]) -> None:
        """`name_of` gives the name of the hook with an id."""
        self._replaying = replaying
        self._name_of = name_of

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                name="replays.list",
                method="GET",
                path=_PATH,
                summary="Replays, the newest first",
                handler=self._list,
                parameters=PAGE,
                answers={200: PageDocument[ReplayDocument]},
            ),
            Operation(
                name="replays.show",
                method="GET",
                path=f"{_PATH}/{{id}}",
                summary="One replay and how far it is",
                handler=self._show,
                answers={200: ReplayDocument},
            ),
            Operation(
                name="replays.create",
                method="POST",
                path=_PATH,
                summary="Start many deliveries anew, or only count them",
                description=_TOLD.strip(),
                handler=self._create,
                role=Role.OPERATOR,
                body=AskedReplay,
                body_required=False,
                example={"filter": {"hook": "crm", "status": ["FAILED"], "from": "-24h"}, "rate": "50/s"},
                answers={201: ReplayDocument, 200: DryRunDocument},
                refusals=frozenset({409}),
            ),
            self._cancelling("replays.cancel", "POST", f"{_PATH}/{{id}}/cancel"),
            self._cancelling("replays.delete", "DELETE", f"{_PATH}/{{id}}"),
        ]

    def _cancelling(self, name: str, method: str, path: str) -> Operation:
        return Operation(
            name=name,
            method="DELETE" if method == "DELETE" else "POST",
            path=path,
            summary="Cancel a replay: it takes nothing more, what it has started anew goes on",
            handler=self._cancel,
            role=Role.OPERATOR,
            answers={200: ReplayDocument},
            refusals=frozenset({409}),
        )

    async def _list(self, request: web.Request) -> web.Response:
        found = await read_page(Parameters(request, PAGED), self._replaying.page)
        return answer(
            {"items": [replay_document(each, self._name_of) for each in found.items], "next": found.next}
        )

    async def _show(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        replay = await self._replaying.one(path_id(request))
        if replay is None:
            raise not_found(request)
        return answer(replay_document(replay, self._name_of))

    async def _create(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        asked = await body_of(request, AskedReplay)
        act = self._replaying.plan if asked.dry_run else self._replaying.start
        try:
            replay = await act(asked, request[ACTOR].name)
        except NotPossible as error:
            raise unfit([(error.name, str(error))]) from None
        except NotAsThingsAre as error:
            raise Refused(409, str(error)) from None
        if asked.dry_run:
            request[UNCHANGED] = True
            return answer(dry_run_document(replay))
        document = replay_document(replay, self._name_of)
        request[CHANGED] = {name: document[name] for name in ("id", "filter", "rate", "total")}
        response = answer(document)
        response.set_status(201)
        response.headers["Location"] = f"{request.path}/{replay.id}"
        return response

    async def _cancel(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        try:
            replay = await self._replaying.cancel(path_id(request))
        except NotAsThingsAre as error:
            raise Refused(409, str(error)) from None
        if replay is None:
            raise not_found(request)
        request[CHANGED] = {"done": replay.done, "total": replay.total}
        return answer(replay_document(replay, self._name_of))
