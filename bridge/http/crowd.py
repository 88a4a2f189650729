"""Requests to the admin API at once: each may hold a body, and a connection to the database."""

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.http.problem import Refused
from bridge.ports.budget import Budget

MOST_BODY = 16 * 1024 * 1024
"""Bytes of a request's body; more is answered with 413."""
MOST_AT_ONCE = 200
MOST_BYTES = 128 * 1024 * 1024
"""Bytes of all bodies that are read at once; one has room always."""


_SHARE = 0.25


class Crowd:
    """Lets in so many requests, and bodies of so many bytes in all, and refuses the others at once."""

    def __init__(
        self, most: int = MOST_AT_ONCE, most_bytes: int = MOST_BYTES, budget: Budget | None = None
    ) -> None:
        """`most_bytes` at the most, within a quarter of the `budget`."""
        self._most = most
        self._budget = budget or Budget()
        self._holder = self._budget.holder("api")
        self._most_bytes = min(most_bytes, self._budget.share(_SHARE))
        self._requests = 0

    def middleware(self) -> Middleware:
        """Refuses with 503; to stand behind the look at the token, for who has none holds no place."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            size = _body_size(request)
            held = self._holder.octets
            if self._requests >= self._most or (held and held + size > self._most_bytes):
                raise Refused(503, "too many requests at once; try again", headers={"Retry-After": "1"})
            self._requests += 1
            self._holder.take(size)
            try:
                return await handler(request)
            finally:
                self._requests -= 1
                self._holder.give_back(size)

        return check


def _body_size(request: web.Request) -> int:
    """What is announced, at most what is read; a body that comes in chunks may become that large."""
    if not request.can_read_body:
        return 0
    announced = request.content_length
    return MOST_BODY if announced is None else min(announced, MOST_BODY)
