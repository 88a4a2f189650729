"""Errors as RFC 9457 `application/problem+json`."""

from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.telemetry import events

CONTENT_TYPE = "application/problem+json"


def problem(status: int, detail: str = "", **members: Any) -> web.Response:
    """A problem response; `members` are additional members of the object (RFC 9457, 3.2)."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        body["detail"] = detail
    return web.Response(status=status, body=orjson.dumps(body | members), content_type=CONTENT_TYPE)


@web.middleware
async def errors_as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn aiohttp's own errors and our bugs into problems; a bug's text stays in the log."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _of(request, error)
    except Exception as error:  # noqa: BLE001 -- the outermost frame of a request
        events.request_failed(request.method, request.path, error)
        return problem(500)


def _of(request: web.Request, error: web.HTTPException) -> web.Response:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        response = problem(405, f"{request.method} is not allowed here; allowed: {allowed}")
        response.headers["Allow"] = allowed
        return response
    if isinstance(error, web.HTTPNotFound):
        return problem(404, f"there is nothing at {request.path}")
    return problem(error.status, error.text or "")
