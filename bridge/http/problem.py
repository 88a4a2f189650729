"""Errors as RFC 9457 `application/problem+json`."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.bodies.exact import json_text
from bridge.telemetry import events

CONTENT_TYPE = "application/problem+json"
REQUEST_ID = web.RequestKey("request_id", str)
"""What problems and the log call a request, where it has an id."""


class Refused(Exception):
    """Ends the handling of a request with this problem."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """`members` are additional members of the problem."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.members = members or {}


def problem(status: int, detail: str = "", **members: Any) -> web.Response:
    """A problem response; `members` are additional members of the object (RFC 9457, 3.2)."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        body["detail"] = detail
    return web.Response(status=status, body=json_text(body | members).encode(), content_type=CONTENT_TYPE)


@web.middleware
async def errors_as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn refusals, aiohttp's own errors and our bugs into problems; a bug's text stays in the log."""
    named = {"request_id": request[REQUEST_ID]} if REQUEST_ID in request else {}
    try:
        return await handler(request)
    except Refused as refused:
        response = problem(refused.status, refused.detail, **named, **refused.members)
        response.headers.update(refused.headers)
        return response
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _of(request, error, named)
    except Exception as error:  # noqa: BLE001 -- the outermost frame of a request
        # Of an inlet that lets everybody in, the path may be the secret; the API has none in its paths.
        path = request.path if named else "(outside of the API)"
        events.request_failed(request.method, path, error, **named)
        return problem(500, **named)


def _of(request: web.Request, error: web.HTTPException, named: Mapping[str, str]) -> web.Response:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.method} is not allowed here; allowed: {allowed}"
        response = problem(405, detail, **named)
        response.headers["Allow"] = allowed
        return response
    if isinstance(error, web.HTTPNotFound):
        return problem(404, f"there is nothing at {request.path}", **named)
    return problem(error.status, error.text or "", **named)


# Problems below /api/v1/admin with what clients of Phlix look for in them beside.


BELOW = "/api/v1/admin/"
_ACCESS = {401: ("Unauthorized", "auth.required"), 403: ("Forbidden", "auth.not_admin")}


@web.middleware
async def errors_as_phlix(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put `error`, and where it is about access `code`, into the problem."""
    try:
        return await handler(request)
    except Refused as refused:
        if not request.path.startswith(BELOW):
            raise
        word, code = _ACCESS.get(refused.status, (refused.detail, ""))
        told = {"error": word, **({"code": code} if code else {}), **refused.members}
        raise Refused(refused.status, refused.detail, headers=refused.headers, members=told) from None
