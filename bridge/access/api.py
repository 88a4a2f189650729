"""Tokens, and who one is, over HTTP."""

from collections.abc import Sequence

from aiohttp import web

from bridge.access.documents import MadeToken, NewToken, TokenDocument
from bridge.access.service import TokenDesk
from bridge.access.service import document as token_document
from bridge.core.access import Role
from bridge.http.audit import ActorDocument
from bridge.http.body import answer, body_of, page
from bridge.http.documents import PageDocument
from bridge.http.input import PAGE, PAGED, Parameters, flag, not_found
from bridge.http.operation import ACTOR, CHANGED, Operation, reading
from bridge.http.problem import Refused


class AccessRoutes:
    """Who may do what."""

    def __init__(self, desk: TokenDesk) -> None:
        self._desk = desk

    def operations(self) -> Sequence[Operation]:
        return [
            reading(
                "me.show",
                "/v1/me",
                "Who I am: the name and role of the token that is shown",
                self._me,
                ActorDocument,
            ),
            reading("tokens.me", "/v1/tokens/me", "The same as /v1/me", self._me, ActorDocument),
            *self._of_tokens(),
            *self._changing_tokens(),
        ]

    def _of_tokens(self) -> list[Operation]:
        return [
            Operation(
                name="tokens.list",
                method="GET",
                path="/v1/tokens",
                summary="Tokens by name, without what is shown for them",
                handler=self._list,
                role=Role.ADMIN,
                parameters=(flag("revoked", "true: with those that were revoked."), *PAGE),
                answers={200: PageDocument[TokenDocument]},
            ),
            Operation(
                name="tokens.show",
                method="GET",
                path="/v1/tokens/{id}",
                summary="One token, by its id, or by its name while it is not revoked",
                handler=self._show,
                role=Role.ADMIN,
                answers={200: TokenDocument},
            ),
        ]

    def _changing_tokens(self) -> list[Operation]:
        return [
            Operation(
                name="tokens.create",
                method="POST",
                path="/v1/tokens",
                summary="Make a token; only this answer holds what is to be shown for it",
                handler=self._create,
                role=Role.ADMIN,
                body=NewToken,
                example={"name": "grafana", "role": "viewer", "expires_in": "90d"},
                answers={201: MadeToken},
                refusals=frozenset({409}),
            ),
            Operation(
                name="tokens.revoke",
                method="DELETE",
                path="/v1/tokens/{id}",
                summary="Revoke a token, by its id or its name; in force on every replica within a second",
                handler=self._revoke,
                role=Role.ADMIN,
                answers={204: None},
            ),
        ]

    async def _me(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        actor = request[ACTOR]
        return answer(ActorDocument(name=actor.name, role=actor.role).model_dump())

    async def _list(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*PAGED, "revoked"))
        revoked, limit, cursor = given.flag("revoked"), given.limit(), given.cursor()
        given.check()
        tokens = await self._desk.listed(revoked=revoked)
        places = {token.id: place for place, token in enumerate(tokens, 1)}
        if cursor is not None and cursor not in places:
            given.wrong("cursor", "is none of those that this list gave as `next`")
            given.check()
        start = 0 if cursor is None else places[cursor]
        found = tokens[start : start + limit]
        following = found[-1].id if start + limit < len(tokens) else None
        return page(map(token_document, found), following)

    async def _show(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        token = await self._desk.find(request.match_info["id"])
        if token is None:
            raise not_found(request)
        return answer(token_document(token).model_dump())

    async def _create(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        asked = await body_of(request, NewToken)
        made = await self._desk.make(asked, request[ACTOR])
        if made is None:
            raise Refused(409, f"the name {asked.name} is taken")
        request[CHANGED] = made.model_dump(include={"id", "name", "expires_at"}) | {"role": made.role}
        response = answer(made.model_dump())
        response.set_status(201)
        response.headers["Location"] = f"{request.path}/{made.id}"
        return response

    async def _revoke(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        token = await self._desk.revoke(request.match_info["id"])
        if token is None:
            raise not_found(request)
        request[CHANGED] = {"id": token.id, "name": token.name, "role": token.role}
        return web.Response(status=204)
