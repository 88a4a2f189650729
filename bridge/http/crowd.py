"""Requests to the admin API at once: each may hold a body, and a connection to the database."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.http.problem import Refused

MOST_BODY = 16 * 1024 * 1024
"""Bytes of a request's body; more is answered with 413."""
MOST_AT_ONCE = 200
MOST_BYTES = 128 * 1024 * 1024
"""Bytes of all bodies that are read at once; one has room always."""


class Crowd:
    """Lets in so many requests, and bodies of so many bytes in all, and refuses the others at once."""

    def __init__(self, most: int = MOST_AT_ONCE, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._requests = 0
        self._bytes = 0

    def middleware(self) -> Middleware:
        """Refuses with 503; to stand behind the look at the token, for who has none holds no place."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            size = _body_size(request)
            if self._requests >= self._most or (self._bytes and self._bytes + size > self._most_bytes):
                raise Refused(503, "too many requests at once; try again", headers={"Retry-After": "1"})
            self._requests += 1
            self._bytes += size
            try:
                return await handler(request)
            finally:
                self._requests -= 1
                self._bytes -= size

        return check


def _body_size(request: web.Request) -> int:
    """What is announced, at most what is read; a body that comes in chunks may become that large."""
    if not request.can_read_body:
        return 0
    announced = request.content_length
    return MOST_BODY if announced is None else min(announced, MOST_BODY)
