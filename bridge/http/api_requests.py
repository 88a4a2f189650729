"""Every request to the admin API: its id, its line in the log, and what an outage comes to."""

import re
import time
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.http.problem import REQUEST_ID, Refused
from bridge.model.errors import HistoryUnavailable
from bridge.telemetry import events

HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_RETRY_AFTER = "5"


def identified(new_id: Callable[[], str]) -> Middleware:
    """Give each request an id, the client's own where it is sane, and tell it in answer and log."""

    @web.middleware
    async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(HEADER, "")
        name = request[REQUEST_ID] = given if _SANE.fullmatch(given) else new_id()
        started = time.monotonic()
        response = await handler(request)
        response.headers[HEADER] = name
        response.headers.setdefault("Cache-Control", "no-store")
        duration = (time.monotonic() - started) * 1000
        events.api_answered(name, request.method, request.path, response.status, duration)
        return response

    return identify


@web.middleware
async def outages_as_503(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The database away is nobody's mistake: try again soon."""
    try:
        return await handler(request)
    except HistoryUnavailable as error:
        events.api_unavailable(request[REQUEST_ID], str(error))
        detail = "the database of the history does not answer now; try again"
        raise Refused(503, detail, headers={"Retry-After": _RETRY_AFTER}) from error
