"""What all operations on hooks have in common: a hook as an answer, and what cannot be done as a problem."""

from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Any

from aiohttp import web

from bridge.admin.hooks import BeingDeleted, InForce, ManagedByFile, NoSecrets, NoSuchHook, Unreadable
from bridge.admin.look_hooks import SeenHook, hook_document, seen_hook, seen_hooks
from bridge.http.api_answers import answer
from bridge.http.api_bodies import json_of, raw_body, unfit
from bridge.http.api_parameters import no_hook, not_found
from bridge.http.operation import Parameter
from bridge.http.problem import Refused
from bridge.model.errors import SettingsError
from bridge.ports.hooks import NameTaken, Overtaken, TooMany
from bridge.settings.shape import nearest

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
