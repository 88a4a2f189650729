"""The hooks of the file, read anew over HTTP."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from bridge.admin.reloading import Reloaded
from bridge.http.api_answers import answer
from bridge.http.api_hook_answers import refusing
from bridge.http.api_parameters import Parameters
from bridge.http.operation import CHANGED, Operation
from bridge.model.access import Role
from bridge.model.documents import ReloadedDocument


class ReloadRoutes:
    """What SIGHUP does, with an answer."""

    def __init__(self, reload: Callable[[], Awaitable[Reloaded]]) -> None:
        """`reload` raises SettingsError where the file cannot be used."""
        self._reload = reload

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                name="hooks.reload",
                method="POST",
                path="/v1/reload",
                summary="Read the hooks of the file anew, on every replica",
                description="The answer tells of the replica that was asked; the others read what is written where they "
                "are. 422: the file cannot be used, and nothing was changed. A hook that has a problem does not hinder "
                "the others: it stands in `broken`.",
                handler=self._handle,
                role=Role.OPERATOR,
                answers={200: ReloadedDocument},
                refusals=frozenset({422}),
            )
        ]

    @refusing
    async def _handle(self, request: web.Request) -> web.StreamResponse:
        Parameters(request).check()
        done = await self._reload()
        request[CHANGED] = {
            "id": "file",
            "added": [*done.added],
            "removed": [*done.removed],
            "changed": [*done.changed],
        }
        return answer(
            ReloadedDocument(
                added=[*done.added],
                removed=[*done.removed],
                changed=[*done.changed],
                broken=dict(done.broken),
                needs_restart=[*done.needs_restart],
            ).model_dump()
        )
