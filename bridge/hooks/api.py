"""The hook operations of the API: list, show, create, replace, patch, delete."""

from collections.abc import Callable
from typing import Any, Literal

from aiohttp import web

from bridge.core.access import Role
from bridge.core.errors import SettingsError
from bridge.core.hook import Hook, NameTaken, Overtaken, StoredHook, TooMany
from bridge.hooks.documents import NewHook, RemovalDocument
from bridge.hooks.presenter import HookDocument, SeenHook, seen_hook, seen_hooks
from bridge.hooks.service import (
    BeingDeleted,
    InForce,
    ManagedByFile,
    ManageHooks,
    NoSecrets,
    NoSuchHook,
    Unreadable,
)
from bridge.http.body import json_of, raw_body, unfit
from bridge.http.documents import NotFound, RequestProblem
from bridge.http.input import Given, Parameter, Parameters, Query, one_of
from bridge.http.operation import Call, Operation, OperationGroup, Problems, Reply, conflict
from bridge.settings.shape import nearest

# Shared parts of the operations on hooks.


MOST_HOOK = 1024 * 1024
"""Maximum bytes of a hook in a request."""
_BY_FILE = (
    "this hook is managed by the file: change it there and send SIGHUP (to pause, resume, enable and disable it works "
    "here)"
)
_TAKEN = "another hook has this name"


def hook_problems(hint: Callable[[str], str]) -> Problems:
    """Returns the problems that operations on hooks report; `hint` returns the nearest name of a hook."""
    return {
        SettingsError: lambda error, _: unfit((fault.path, fault.message) for fault in error.problems),
        NoSuchHook: lambda _, call: NotFound(f"no hook has this name or id{hint(call.which)}"),
        NameTaken: lambda _, __: RequestProblem(
            409, f"name: {_TAKEN}", members={"invalid-params": [{"name": "name", "reason": _TAKEN}]}
        ),
        Overtaken: lambda _, __: RequestProblem(
            412, "the hook was changed or deleted meanwhile: read it again"
        ),
        ManagedByFile: lambda _, __: RequestProblem(409, _BY_FILE),
        BeingDeleted: lambda _, __: RequestProblem(409, "the hook is being deleted"),
        TooMany: lambda _, __: RequestProblem(
            409, "as many hooks are stored as may be (limits.hooks): delete some first"
        ),
        NoSecrets: conflict,
        Unreadable: conflict,
    }


async def _tree(request: web.Request) -> Any:
    """Returns the parsed body, JSON of at most MOST_HOOK bytes; raises RequestProblem."""
    if len(await raw_body(request)) > MOST_HOOK:
        raise RequestProblem(413, f"a hook has at most {MOST_HOOK} bytes")
    return await json_of(request)


def _match(given: Parameters) -> int | None:
    """Returns the version in `If-Match`, None for any. A tag that the API did not issue never matches."""
    text = ",".join(given.headers.getall("If-Match", [])).strip()
    if text in {"", "*"}:
        return None
    tags = [tag.strip() for tag in text.split(",")]
    versions = [tag.strip('"') for tag in tags if not tag.startswith("W/")]
    known = [int(each) for each in versions if each.isascii() and each.isdecimal() and len(each) < 10]
    return max(known, default=-1)


class MatchQuery(Query):
    """The query of operations on one version of a hook."""

    match = Given(
        _match,
        Parameter(
            "If-Match",
            str,
            "The `ETag` of the hook as it was seen: 412 where it was changed since.",
            where="header",
        ),
    )


class ShownHooks:
    """Makes the replies that show hooks."""

    def __init__(self, in_force: InForce) -> None:
        self._in_force = in_force
        self.problems = hook_problems(self._hint)

    def shown(self, which: str, made: str = "", **changed: Any) -> Reply:
        """Returns the reply with the hook of this id or name, and its version as ETag; raises NotFound."""
        found = seen_hook(self._in_force, which)
        if found is None:
            raise NotFound(f"no hook has this name or id{self._hint(which)}")
        return Reply(
            document=HookDocument.of(found), headers={"ETag": found.etag}, made=made, changed=changed
        )

    def seen(self, which: str) -> SeenHook | None:
        """Returns the hook with this id or name."""
        return seen_hook(self._in_force, which)

    def _hint(self, which: str) -> str:
        return nearest(which, [each.hook.name for each in seen_hooks(self._in_force)])


_UNDER_WAY = {"dropping", "draining"}
_EXAMPLE = {
    "name": "crm",
    "events": ["customers.*"],
    "target": {
        "type": "webhook",
        "url": "https://crm.example.net/in",
        "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    },
}


class _DeleteQuery(MatchQuery):
    lane = one_of(
        "lane",
        ("drop", "drain"),
        "drop (default): what waits becomes FAILED hook_deleted; drain: it is still delivered.",
    )


def _changing(verb: str, method: Literal["PUT", "PATCH"], summary: str, body: Any, example: Any) -> Operation:
    return Operation(
        name=f"hooks.{verb}",
        method=method,
        path="/v1/hooks/{id}",
        summary=summary,
        role=Role.ADMIN,
        query=MatchQuery,
        body=body,
        read=_tree,
        example=example,
        answers={200: HookDocument},
        answer_headers=("ETag",),
        refusals=frozenset({409, 412}),
    )


class HookRoutes(OperationGroup):
    """The operations on hooks. Hooks of the file are only shown: they are changed in the file."""

    def __init__(self, in_force: InForce, manage: ManageHooks) -> None:
        self._hooks = ShownHooks(in_force)
        self.problems = self._hooks.problems
        self._manage = manage

    @Operation(
        name="hooks.show",
        path="/v1/hooks/{id}",
        summary="Get a hook by id or name, with its health",
        answers={200: HookDocument},
        answer_headers=("ETag",),
    )
    async def _show(self, call: Call[Query, None]) -> Reply:
        return self._hooks.shown(call.which)

    @Operation(
        name="hooks.create",
        method="POST",
        path="/v1/hooks",
        summary="Create a hook; every replica uses it within a second",
        role=Role.ADMIN,
        body=NewHook,
        read=_tree,
        example=_EXAMPLE,
        answers={201: HookDocument},
        answer_headers=("ETag",),
        refusals=frozenset({409}),
    )
    async def _create(self, call: Call[Query, Any]) -> Reply:
        hook = (await self._manage.create(call.body)).hook
        return self._hooks.shown(hook.id, made=hook.id, name=hook.name, target=hook.target.type)

    @_changing("replace", "PUT", "Replace a hook; absent secrets are kept", Hook, _EXAMPLE)
    async def _replace(self, call: Call[MatchQuery, Any]) -> Reply:
        before = self._hooks.seen(call.which)
        stored = await self._manage.replace(call.which, call.body, match=call.query.match)
        return self._changed(before, stored)

    @_changing(
        "patch",
        "PATCH",
        "Update a hook with a JSON merge patch (RFC 7396)",
        dict[str, Any],
        {"concurrency": 4, "filter": None},
    )
    async def _patch(self, call: Call[MatchQuery, Any]) -> Reply:
        before = self._hooks.seen(call.which)
        stored = await self._manage.patch(call.which, call.body, match=call.query.match)
        return self._changed(before, stored, fields=sorted(call.body))

    def _changed(self, before: SeenHook | None, stored: StoredHook, **told: Any) -> Reply:
        hook = stored.hook
        told = {"name": hook.name, "version": stored.version, **told, **_switched(before, hook)}
        return self._hooks.shown(hook.id, id=hook.id, **told)

    @Operation(
        name="hooks.delete",
        method="DELETE",
        path="/v1/hooks/{id}",
        summary="Delete a hook; deliveries in its lane are dropped or still made",
        role=Role.ADMIN,
        answers={200: RemovalDocument, 202: RemovalDocument},
        refusals=frozenset({409, 412}),
    )
    async def _delete(self, call: Call[_DeleteQuery, None]) -> Reply:
        how: Literal["drain", "drop"] = "drain" if call.query.lane == "drain" else "drop"
        stored, removal = await self._manage.delete(call.which, how, match=call.query.match)
        document = RemovalDocument.unchecked(removal, id=stored.hook.id)
        return Reply(
            document=document,
            status=202 if removal.lane in _UNDER_WAY else 200,
            changed={**document.model_dump(), "name": stored.hook.name},
        )


def _switched(before: SeenHook | None, after: Hook) -> dict[str, bool]:
    """Returns the changed ones of enabled and paused, with their new values."""
    if before is None:
        return {}
    now = {"enabled": after.enabled, "paused": after.paused}
    return {name: value for name, value in now.items() if getattr(before.hook, name) is not value}
