"""Hooks over HTTP: enabled, disabled, paused, resumed, and given a new secret."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from bridge.admin.hooks import InForce
from bridge.admin.hooks_rotate import RotateSecrets
from bridge.admin.hooks_switch import SwitchHooks
from bridge.http.api_answers import answer
from bridge.http.api_bodies import body_of
from bridge.http.api_hook_answers import IF_MATCH, matched, refusing, seen, shown
from bridge.http.api_parameters import Parameters
from bridge.http.operation import CHANGED, Handler, Operation
from bridge.model.access import Role
from bridge.model.documents import HookDocument, NewSecretDocument, PauseBody, SecretBody
from bridge.rules.formats.text import utc_seconds


class HookSwitchRoutes:
    """Those of the file too, by an overlay; but their secrets stand in the file."""

    def __init__(self, in_force: InForce, switch: SwitchHooks, rotate: RotateSecrets) -> None:
        self._in_force = in_force
        self._switch = switch
        self._rotate = rotate

    def operations(self) -> Sequence[Operation]:
        return [
            _switch("enable", "Deliver what matches from now on", self._enable),
            _switch("disable", "Skip what matches from now on; what waits goes on waiting", self._disable),
            Operation(
                name="hooks.pause",
                method="POST",
                path="/v1/hooks/{id}/pause",
                summary="Have what matches wait in the lane",
                handler=self._pause,
                role=Role.OPERATOR,
                body=PauseBody,
                body_required=False,
                example={"reason": "maintenance until 6 p.m."},
                answers={200: HookDocument},
                answer_headers=("ETag",),
                refusals=frozenset({409}),
            ),
            _switch("resume", "Deliver what waits; ends the bridge's own pause too", self._resume),
            Operation(
                name="hooks.rotate_secret",
                method="POST",
                path="/v1/hooks/{id}/secret",
                summary="Sign with a new secret; the former ones sign beside it for a while, or before it",
                handler=self._new_secret,
                role=Role.ADMIN,
                parameters=(IF_MATCH,),
                body=SecretBody,
                body_required=False,
                example={"keep": "24h"},
                answers={200: NewSecretDocument},
                answer_headers=("ETag",),
                refusals=frozenset({409, 412}),
            ),
        ]

    @refusing
    async def _enable(self, request: web.Request) -> web.StreamResponse:
        return await self._switched(request, self._switch.enable)

    @refusing
    async def _disable(self, request: web.Request) -> web.StreamResponse:
        return await self._switched(request, self._switch.disable)

    @refusing
    async def _resume(self, request: web.Request) -> web.StreamResponse:
        return await self._switched(request, self._switch.resume)

    @refusing
    async def _pause(self, request: web.Request) -> web.StreamResponse:
        Parameters(request).check()
        reason = (await body_of(request, PauseBody, optional=True)).reason
        hook_id = await self._switch.pause(request.match_info["id"], reason)
        request[CHANGED] = {"id": hook_id, "reason": reason}
        return shown(seen(request, self._in_force, hook_id))

    async def _switched(
        self, request: web.Request, switch: Callable[[str], Awaitable[str]]
    ) -> web.StreamResponse:
        Parameters(request).check()
        hook_id = await switch(request.match_info["id"])
        request[CHANGED] = {"id": hook_id}
        return shown(seen(request, self._in_force, hook_id))

    @refusing
    async def _new_secret(self, request: web.Request) -> web.StreamResponse:
        Parameters(request).check()
        wanted = await body_of(request, SecretBody, optional=True)
        secret = None if wanted.secret is None else wanted.secret.get_secret_value()
        which, match = request.match_info["id"], matched(request)
        made = await self._rotate.rotate(which, secret, keep=wanted.keep, match=match)
        until = None if made.expires_at is None else utc_seconds(made.expires_at)
        request[CHANGED] = {"id": made.stored.hook.id, "expires_at": until}
        document = NewSecretDocument(
            id=made.stored.hook.id,
            secret=made.secret,
            starts_at=utc_seconds(made.starts_at),
            expires_at=until,
            together=made.together,
            explanation=made.explanation,
        )
        response = answer(document.model_dump())
        response.headers["ETag"] = f'"{made.stored.version}"'
        return response


def _switch(verb: str, summary: str, handler: Handler) -> Operation:
    return Operation(
        name=f"hooks.{verb}",
        method="POST",
        path=f"/v1/hooks/{{id}}/{verb}",
        summary=summary,
        handler=handler,
        role=Role.OPERATOR,
        answers={200: HookDocument},
        answer_headers=("ETag",),
        refusals=frozenset({409}),
    )
