"""Problems below /api/v1/admin with what clients of Phlix look for in them beside."""

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.http.problem import Refused

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
