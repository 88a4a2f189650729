"""Hooks over HTTP: looked at, made, replaced, patched, deleted."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from types import MappingProxyType
from typing import Any, Literal

from aiohttp import web

from bridge.core.access import Role
from bridge.core.errors import SettingsError
from bridge.core.hook import Hook
from bridge.core.stored_hooks import NameTaken, Overtaken, TooMany
from bridge.core.target import TARGET_TYPES
from bridge.hooks.documents import HookDocument, NewHook, RemovalDocument
from bridge.hooks.presenter import SeenHook, hook_document, seen_hook, seen_hooks
from bridge.hooks.service import (
    BeingDeleted,
    InForce,
    ManagedByFile,
    ManageHooks,
    NoSecrets,
    NoSuchHook,
    Unreadable,
)
from bridge.http.body import answer, json_of, page, raw_body, unfit
from bridge.http.documents import PageDocument
from bridge.http.input import PAGE, PAGED, Parameters, no_hook, not_found, one_of, text
from bridge.http.operation import CHANGED, Operation, Parameter
from bridge.http.problem import Refused
from bridge.settings.shape import nearest
from bridge.settings.shown import without_password

# What all operations on hooks have in common: a hook as an answer, and what cannot be done as a problem.


MOST_HOOK = 1024 * 1024
"""Bytes of a hook as it is sent."""
IF_MATCH = Parameter(
    "If-Match", str, "The `ETag` of the hook as it was seen: 412 where it was changed since.", where="header"
)

_BY_FILE = (
    "this hook is managed by the file: change it there and send SIGHUP (to pause, resume, enable and disable it works "
    "here)"
)
_REFUSALS: Mapping[type[Exception], tuple[int, str]] = MappingProxyType(
    {
        Overtaken: (412, "the hook was changed or deleted meanwhile: read it again"),
        ManagedByFile: (409, _BY_FILE),
        BeingDeleted: (409, "the hook is being deleted"),
        TooMany: (409, "as many hooks are stored as may be (limits.hooks): delete some first"),
        NoSecrets: (409, ""),
        Unreadable: (409, ""),
    }
)
_REFUSED: tuple[type[Exception], ...] = (NoSuchHook, NameTaken, *_REFUSALS)
_Method = Callable[[Any, web.Request], Awaitable[web.StreamResponse]]


def refusing(method: _Method) -> Any:
    """The handler, with what the use cases raise as problems."""

    @wraps(method)
    async def handle(self: Any, request: web.Request) -> web.StreamResponse:
        try:
            return await method(self, request)
        except SettingsError as error:
            raise unfit((fault.path, fault.message) for fault in error.problems) from None
        except _REFUSED as error:
            raise _refusal(request, error, getattr(self, "_in_force", None)) from None

    return handle


def _refusal(request: web.Request, error: Exception, in_force: InForce | None) -> Refused:
    if isinstance(error, NoSuchHook):
        return (
            not_found(request) if in_force is None else _no_hook(request, in_force, request.match_info["id"])
        )
    if isinstance(error, NameTaken):
        taken = [{"name": "name", "reason": "another hook has this name"}]
        return Refused(409, "name: another hook has this name", members={"invalid-params": taken})
    status, detail = _REFUSALS[type(error)]
    return Refused(status, detail or str(error))


async def tree_of(request: web.Request) -> Any:
    """The body, JSON of at most MOST_HOOK bytes; raises Refused."""
    if len(await raw_body(request)) > MOST_HOOK:
        raise Refused(413, f"a hook has at most {MOST_HOOK} bytes")
    return await json_of(request)


def matched(request: web.Request) -> int | None:
    """The version that `If-Match` names; None: any. One that is none of ours never matches."""
    given = ",".join(request.headers.getall("If-Match", [])).strip()
    if given in {"", "*"}:
        return None
    tags = [tag.strip() for tag in given.split(",")]
    versions = [tag.strip('"') for tag in tags if not tag.startswith("W/")]
    known = [int(each) for each in versions if each.isascii() and each.isdecimal() and len(each) < 10]
    return max(known, default=-1)


def seen(request: web.Request, in_force: InForce, which: str) -> SeenHook:
    """The hook with this id or name; raises Refused (404)."""
    found = seen_hook(in_force, which)
    if found is None:
        raise _no_hook(request, in_force, which)
    return found


def _no_hook(request: web.Request, in_force: InForce, which: str) -> Refused:
    names = [each.hook.name for each in seen_hooks(in_force)]
    return no_hook(request, nearest(which, names))


def shown(found: SeenHook, status: int = 200) -> web.Response:
    """The hook and what its configuration is known by."""
    response = answer(hook_document(found).model_dump())
    response.set_status(status)
    response.headers["ETag"] = found.etag
    return response


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
                    one_of("target", TARGET_TYPES, "Type of their target."),
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
        words = {"target": TARGET_TYPES, "managed_by": _MANAGED_BY, "state": _STATES}
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
