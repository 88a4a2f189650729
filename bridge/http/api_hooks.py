"""Hooks over HTTP: looked at, made, replaced, patched, deleted."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from aiohttp import web

from bridge.admin.hooks import InForce
from bridge.admin.hooks_manage import ManageHooks
from bridge.admin.look_hooks import SeenHook, hook_document, seen_hook, seen_hooks
from bridge.http.api_answers import answer, page
from bridge.http.api_hook_answers import IF_MATCH, matched, refusing, seen, shown, tree_of
from bridge.http.api_pages import PAGED
from bridge.http.api_parameters import Parameters
from bridge.http.described import PAGE, one_of, text
from bridge.http.operation import CHANGED, Operation
from bridge.model.access import Role
from bridge.model.documents import HookDocument, NewHook, PageDocument, RemovalDocument
from bridge.model.hook import Hook
from bridge.settings.shown import without_password

_TARGETS = ("webhook", "script", "queue", "notify")
_MANAGED_BY = ("api", "file")
_STATES = ("active", "paused", "disabled", "broken", "failing")
_UNDER_WAY = {"dropping", "draining"}
_CURSOR = re.compile(r"[a-z0-9-]{1,64}")
_EXAMPLE = {
    "name": "crm",
    "events": ["customers.*"],
    "target": {
        "type": "webhook",
        "url": "https://crm.example.net/in",
        "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    },
}

_LANE = one_of(
    "lane",
    ("drop", "drain"),
    "drop (default): what waits becomes FAILED hook_deleted; drain: it is still delivered.",
)


class HookRoutes:
    """Those of the file are shown, and changed in the file."""

    def __init__(self, in_force: InForce, manage: ManageHooks) -> None:
        self._in_force = in_force
        self._manage = manage

    def operations(self) -> Sequence[Operation]:
        return [
            *self._looking(),
            Operation(
                name="hooks.create",
                method="POST",
                path="/v1/hooks",
                summary="Make a hook; in force on every replica within a second",
                handler=self._create,
                role=Role.ADMIN,
                body=NewHook,
                example=_EXAMPLE,
                answers={201: HookDocument},
                answer_headers=("ETag",),
                refusals=frozenset({409}),
            ),
            self._change("replace", "PUT", "Replace a whole hook; secrets that are absent are kept", Hook),
            self._change(
                "patch", "PATCH", "Change parts of a hook by a JSON merge patch (RFC 7396)", dict[str, Any]
            ),
            Operation(
                name="hooks.delete",
                method="DELETE",
                path="/v1/hooks/{id}",
                summary="Delete a hook; what waits in its lane is dropped, or still delivered",
                handler=self._delete,
                role=Role.ADMIN,
                parameters=(_LANE, IF_MATCH),
                answers={200: RemovalDocument, 202: RemovalDocument},
                refusals=frozenset({409, 412}),
            ),
        ]

    def _looking(self) -> Sequence[Operation]:
        return [
            Operation(
                name="hooks.list",
                method="GET",
                path="/v1/hooks",
                summary="Hooks by name, without their secrets",
                handler=self._list,
                parameters=(
                    one_of("target", _TARGETS, "Type of their target."),
                    one_of("managed_by", _MANAGED_BY, "Where they are written."),
                    one_of("state", _STATES, "active: neither paused, disabled nor broken."),
                    text("q", "Text that stands in name, id, description or address, in any case."),
                    *PAGE,
                ),
                answers={200: PageDocument[HookDocument]},
            ),
            Operation(
                name="hooks.show",
                method="GET",
                path="/v1/hooks/{id}",
                summary="One hook, by its id or its name, and how it is doing",
                handler=self._show,
                answers={200: HookDocument},
                answer_headers=("ETag",),
            ),
        ]

    def _change(self, verb: str, method: Literal["PUT", "PATCH"], summary: str, body: Any) -> Operation:
        return Operation(
            name=f"hooks.{verb}",
            method=method,
            path="/v1/hooks/{id}",
            summary=summary,
            handler=self._replace if method == "PUT" else self._patch,
            role=Role.ADMIN,
            parameters=(IF_MATCH,),
            body=body,
            example=_EXAMPLE if method == "PUT" else {"concurrency": 4, "filter": None},
            answers={200: HookDocument},
            answer_headers=("ETag",),
            refusals=frozenset({409, 412}),
        )

    async def _list(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*PAGED, "target", "managed_by", "state", "q"))
        words = {"target": _TARGETS, "managed_by": _MANAGED_BY, "state": _STATES}
        chosen = {name: given.word(name, known) for name, known in words.items()}
        text, limit, cursor = given.text("q"), given.limit(), given.cursor()
        if cursor is not None and not _CURSOR.fullmatch(cursor):
            given.wrong("cursor", "is none of those that this list gave as `next`")
        given.check()
        fitting = [
            each
            for each in seen_hooks(self._in_force)
            if (cursor is None or each.hook.name > cursor) and _fits(each, chosen, text)
        ]
        following = fitting[limit - 1].hook.name if len(fitting) > limit else None
        return page(map(hook_document, fitting[:limit]), following)

    async def _show(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        return shown(seen(request, self._in_force, request.match_info["id"]))

    @refusing
    async def _create(self, request: web.Request) -> web.StreamResponse:
        Parameters(request).check()
        stored = await self._manage.create(await tree_of(request))
        hook = stored.hook
        request[CHANGED] = {"id": hook.id, "name": hook.name, "target": hook.target.type}
        response = shown(seen(request, self._in_force, hook.id), 201)
        response.headers["Location"] = f"{request.path}/{hook.id}"
        return response

    @refusing
    async def _replace(self, request: web.Request) -> web.StreamResponse:
        Parameters(request).check()
        which, tree = request.match_info["id"], await tree_of(request)
        before = seen_hook(self._in_force, which)
        stored = await self._manage.replace(which, tree, match=matched(request))
        told = {"id": stored.hook.id, "name": stored.hook.name, "version": stored.version}
        request[CHANGED] = told | _switched(before, stored.hook)
        return shown(seen(request, self._in_force, stored.hook.id))

    @refusing
    async def _patch(self, request: web.Request) -> web.StreamResponse:
        Parameters(request).check()
        which, patch = request.match_info["id"], await tree_of(request)
        before = seen_hook(self._in_force, which)
        stored = await self._manage.patch(which, patch, match=matched(request))
        told = {"id": stored.hook.id, "name": stored.hook.name, "version": stored.version}
        request[CHANGED] = {**told, "fields": sorted(patch), **_switched(before, stored.hook)}
        return shown(seen(request, self._in_force, stored.hook.id))

    @refusing
    async def _delete(self, request: web.Request) -> web.StreamResponse:
        given = Parameters(request, ("lane",))
        how: Literal["drain", "drop"] = (
            "drain" if given.word("lane", ("drop", "drain")) == "drain" else "drop"
        )
        given.check()
        stored, removal = await self._manage.delete(request.match_info["id"], how, match=matched(request))
        document = RemovalDocument(
            id=stored.hook.id,
            lane=removal.lane,
            deliveries=removal.deliveries,
            waiting=removal.waiting,
        ).model_dump()
        request[CHANGED] = {**document, "name": stored.hook.name}
        response = answer(document)
        response.set_status(202 if removal.lane in _UNDER_WAY else 200)
        return response


def _switched(before: SeenHook | None, after: Hook) -> dict[str, bool]:
    """What became of being enabled and paused, as far as it changed."""
    if before is None:
        return {}
    now = {"enabled": after.enabled, "paused": after.paused}
    return {name: value for name, value in now.items() if getattr(before.hook, name) is not value}


def _fits(each: SeenHook, chosen: dict[str, str | None], text: str | None) -> bool:
    hook = each.hook
    found: dict[str, set[str]] = {
        "target": {hook.target.type},
        "managed_by": {"file" if each.stored is None else "api"},
        "state": _states(each),
    }
    if not all(wanted is None or wanted in found[name] for name, wanted in chosen.items()):
        return False
    return text is None or text.lower() in _searched(hook)


def _states(each: SeenHook) -> set[str]:
    found = {"disabled": not each.hook.enabled, "paused": each.paused, "broken": each.broken is not None}
    switched = {state for state, there in found.items() if there} or {"active"}
    return switched | ({"failing"} if each.health is not None and each.health.only_fails else set())


def _searched(hook: Hook) -> str:
    """What is shown of it anyway."""
    address = getattr(hook.target, "url", None) or getattr(hook.target, "queue", None) or ""
    return "\n".join((hook.name, hook.id, hook.description, without_password(address))).lower()
