"""The access operations of the API: tokens, the caller's own role, and the audit log."""

from functools import partial
from typing import Literal

from bridge.access.service import RESERVED, MadeToken, NewToken, TokenDesk, TokenDocument
from bridge.access.store import SqlAccess
from bridge.core.access import DeedFilter, Role
from bridge.hooks.names import AskedNames
from bridge.http.documents import NotFound, PageDocument, RequestProblem
from bridge.http.input import SPAN, PageQuery, Query, flag, read_page, text
from bridge.http.operation import (
    AUDITED,
    ActorDocument,
    Call,
    DeedDocument,
    Operation,
    OperationGroup,
    Reply,
    reading,
)
from bridge.settings.shape import nearest


class _TokensQuery(PageQuery):
    revoked = flag("revoked", "true: with those that were revoked.")


class AccessRoutes(OperationGroup):
    """The operations on tokens."""

    def __init__(self, desk: TokenDesk) -> None:
        self._desk = desk

    @reading("me.show", "/v1/me", "Get the name and role of the token in the request")
    @reading("tokens.me", "/v1/tokens/me", "Same as GET /v1/me")
    async def _me(self, call: Call[Query, None]) -> ActorDocument:
        return ActorDocument(name=call.actor.name, role=call.actor.role)

    @Operation(
        name="tokens.list",
        path="/v1/tokens",
        summary="List tokens by name, without their secret text",
        role=Role.ADMIN,
    )
    async def _list(self, call: Call[_TokensQuery, None]) -> PageDocument[TokenDocument]:
        query = call.query
        tokens = await self._desk.listed(revoked=query.revoked)
        places = {token.id: place for place, token in enumerate(tokens, 1)}
        if query.cursor is not None and query.cursor not in places:
            query.no_cursor()
            query.check()
        start = 0 if query.cursor is None else places[query.cursor]
        found = tokens[start : start + query.limit]
        following = found[-1].id if start + query.limit < len(tokens) else None
        return PageDocument.of(map(TokenDocument.unchecked, found), following)

    @Operation(
        name="tokens.show",
        path="/v1/tokens/{id}",
        summary="Get a token by id, or by name if it is not revoked",
        role=Role.ADMIN,
    )
    async def _show(self, call: Call[Query, None]) -> TokenDocument:
        token = await self._desk.find(call.which)
        if token is None:
            raise NotFound
        return TokenDocument.unchecked(token)

    @Operation(
        name="tokens.create",
        method="POST",
        path="/v1/tokens",
        summary="Create a token; only this response has its secret text",
        role=Role.ADMIN,
        example={"name": "grafana", "role": "viewer", "expires_in": "90d"},
        answers={201: MadeToken},
        refusals=frozenset({409}),
    )
    async def _create(self, call: Call[Query, NewToken]) -> Reply:
        made = await self._desk.make(call.body, call.actor)
        if made is None:
            raise RequestProblem(409, f"the name {call.body.name} is taken")
        changed = made.model_dump(include={"name", "expires_at"}) | {"role": made.role}
        return Reply(document=made, made=made.id, changed=changed)

    @Operation(
        name="tokens.revoke",
        method="DELETE",
        path="/v1/tokens/{id}",
        summary="Revoke a token by id or name; every replica rejects it within a second",
        role=Role.ADMIN,
        answers={204: None},
    )
    async def _revoke(self, call: Call[Query, None]) -> Reply:
        token = await self._desk.revoke(call.which)
        if token is None:
            raise NotFound
        return Reply(changed={"id": token.id, "name": token.name, "role": token.role})


# The audit log.


_Word = Literal["actor", "action", "object_type"]


class _DeedsQuery(PageQuery, looks_up=True):
    actor = text("actor", "Name of a token; `admin` for `http.admin_token`.")
    action = text("action", "An operation, such as `hooks.pause`.")
    object_type = text("object_type", "Kind of what was changed, such as `hook`.")
    object_id = text("object_id", "Its id; of a hook its name too.")
    request_id = text("request_id", "The request id (`X-Request-Id`) of the change.")
    span = SPAN


class AuditRoutes(OperationGroup):
    """The operations that read the audit log."""

    def __init__(self, audit: SqlAccess, desk: TokenDesk, names: AskedNames) -> None:
        self._audit = audit
        self._desk = desk
        self._names = names

    @Operation(
        name="audit.list",
        path="/v1/audit",
        summary="List the audit log, newest entries first",
        role=Role.ADMIN,
    )
    async def _deeds(self, call: Call[_DeedsQuery, None]) -> PageDocument[DeedDocument]:
        query, audited = call.query, call.request.app[AUDITED]
        actors = {*RESERVED, *(token.name for token in await self._desk.listed(revoked=True))}
        which = DeedFilter(
            actor=await self._known(query, "actor", actors),
            action=await self._known(query, "action", {each.name for each in audited}),
            object_type=await self._known(query, "object_type", {each.object_type for each in audited}),
            object_id=await self._object(query),
            since=query.span[0],
            until=query.span[1],
            request_id=query.request_id,
        )
        found = await read_page(query, partial(self._audit.deeds, which))
        name_of = self._names.of_hook
        return PageDocument.of((DeedDocument.of(each, name_of) for each in found.items), found.next)

    async def _known(self, query: _DeedsQuery, name: _Word, known: set[str]) -> str | None:
        """Returns the given word; a word that neither this version nor an entry has becomes a problem."""
        word: str | None = getattr(query, name)
        if word is not None and word not in known and not await self._has(_of_word(name, word)):
            query.unknown(name, f"there is no {name} {word[:60]!r}{nearest(word, sorted(known))}")
        return word

    async def _object(self, query: _DeedsQuery) -> str | None:
        which, kind = query.object_id, query.object_type
        if which is None or kind not in {None, "hook"}:
            return which
        found = self._names.id_of_hook(which)
        if found is None and kind == "hook" and not await self._has(DeedFilter(object_id=which)):
            query.unknown("object_id", f"there is no hook {which[:60]!r}{self._names.nearest_hook(which)}")
        return found or which

    async def _has(self, which: DeedFilter) -> bool:
        return bool((await self._audit.deeds(which, after=None, limit=1)).items)


def _of_word(name: _Word, word: str) -> DeedFilter:
    match name:
        case "actor":
            return DeedFilter(actor=word)
        case "action":
            return DeedFilter(action=word)
        case "object_type":
            return DeedFilter(object_type=word)
