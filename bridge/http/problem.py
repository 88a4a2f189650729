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


class NotFound(Refused):
    """Nothing is at the path of the request: 404."""

    def __init__(self, why: str = "") -> None:
        """`why` is put behind the path."""
        super().__init__(404, why)


def problem(status: int, detail: str = "", **members: Any) -> web.Response:
    """A problem response; `members` are additional members of the object (RFC 9457, 3.2)."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        body["detail"] = detail
    return web.Response(status=status, body=json_text(body | members).encode(), content_type=CONTENT_TYPE)


@web.middleware
async def errors_as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns refusals, aiohttp's own errors and bugs into problems."""
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001 -- the outermost frame of a request
        return problem_of(request, error)


def problem_of(request: web.Request, error: Exception) -> web.Response:
    """The problem for an error; the text of a bug stays in the log. Raises redirects again."""
    named = {"request_id": request[REQUEST_ID]} if REQUEST_ID in request else {}
    if isinstance(error, Refused):
        return _refused(request, error, named)
    if not isinstance(error, web.HTTPException):
        # Of an inlet that lets everybody in, the path may be the secret; the API has none in its paths.
        path = request.path if named else "(outside of the API)"
        events.request_failed(request.method, path, error, **named)
        return problem(500, **named)
    if error.status < 400:
        raise error
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        response = problem(405, f"{request.method} is not allowed here; allowed: {allowed}", **named)
        response.headers["Allow"] = allowed
        return response
    detail = _nothing_at(request) if isinstance(error, web.HTTPNotFound) else error.text or ""
    return problem(error.status, detail, **named)


BELOW = "/api/v1/admin/"
_ACCESS = {401: ("Unauthorized", "auth.required"), 403: ("Forbidden", "auth.not_admin")}


def _refused(request: web.Request, refused: Refused, named: Mapping[str, str]) -> web.Response:
    detail, members = refused.detail, refused.members
    if isinstance(refused, NotFound):
        detail = _nothing_at(request) + (f": {detail}" if detail else "")
    if request.path.startswith(BELOW):
        # Clients of Phlix look for `error`, and where access is refused for `code`.
        word, code = _ACCESS.get(refused.status, (detail, ""))
        members = {"error": word, **({"code": code} if code else {}), **members}
    response = problem(refused.status, detail, **named, **members)
    response.headers.update(refused.headers)
    return response


def _nothing_at(request: web.Request) -> str:
    return f"there is nothing at {request.path}"
