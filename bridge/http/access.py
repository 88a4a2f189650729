"""Who may use the admin API."""

import hmac
from hashlib import sha256

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.http.problem import Refused

_CHALLENGE = 'Bearer realm="amqp-bridge"'


def bearer_only(token: str | None) -> Middleware:
    """Let in who shows this token, and nobody where there is none."""
    # Digests have one length, so that the time to compare tells nothing, not even how long the token is.
    expected = None if token is None else _digest(token.strip())

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        shown = _shown(request)
        if expected is None:
            raise _unauthorized("the admin API is closed: http.admin_token is not set", shown)
        if shown is None:
            raise _unauthorized(
                "the admin API wants the header `Authorization: Bearer <http.admin_token>`", shown
            )
        if not hmac.compare_digest(_digest(shown), expected):
            raise _unauthorized("the token is unknown", shown)
        return await handler(request)

    return check


def _shown(request: web.Request) -> str | None:
    """The token of the one header that there may be."""
    given = request.headers.getall("Authorization", [])
    if len(given) != 1:
        return None
    scheme, _, token = given[0].strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _digest(token: str) -> bytes:
    # aiohttp reads bytes that are no UTF-8 as lone surrogates.
    return sha256(token.encode(errors="surrogateescape")).digest()


def _unauthorized(detail: str, shown: str | None) -> Refused:
    challenge = _CHALLENGE if shown is None else f'{_CHALLENGE}, error="invalid_token"'
    return Refused(401, detail, headers={"WWW-Authenticate": challenge})
