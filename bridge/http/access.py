"""Who may use the admin API."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.admin.actors import Actors
from bridge.admin.guesses import Guesses, neighbourhood
from bridge.http.operation import ACTOR
from bridge.http.problem import Refused
from bridge.model.access import Actor
from bridge.telemetry import events

_CHALLENGE = 'Bearer realm="amqp-bridge"'
_DELAY = 2.0
"""Seconds that the answer to a wrong token waits, from the tenth within a minute on."""
_WAITING = 50
WAITING_OF_ONE = 5
"""Answers that wait at once, in all and for one address; more are refused with 429."""


class Gate:
    """Lets in who shows a token that is known, and slows down who tries many."""

    def __init__(self, actors: Actors, *, delay: float = _DELAY) -> None:
        """`delay`: seconds."""
        self._actors = actors
        self._delay = delay
        self._guesses = Guesses(events.tokens_guessed)
        self._waiting: Counter[str] = Counter()

    def middleware(self) -> Middleware:
        """Sets ACTOR, or refuses: 401, 429."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            request[ACTOR] = await self._actor(request)
            return await handler(request)

        return check

    async def _actor(self, request: web.Request) -> Actor:
        shown = _shown(request)
        if shown is None:
            raise self._unauthorized("the admin API wants the header `Authorization: Bearer <token>`", shown)
        actor = await self._actors.who(shown)
        if actor is None:
            await self._slow_down(request.remote or "")
            raise self._unauthorized("the token is unknown, or is good no longer", shown)
        return actor

    async def _slow_down(self, remote: str) -> None:
        if not self._guesses.wrong(remote, time.monotonic()):
            return
        with self._place(neighbourhood(remote)):
            await asyncio.sleep(self._delay)

    @contextmanager
    def _place(self, who: str) -> Iterator[None]:
        if self._waiting[who] >= WAITING_OF_ONE or self._waiting.total() >= _WAITING:
            headers = {"Retry-After": f"{max(1, round(self._delay)):d}"}
            raise Refused(429, "too many wrong tokens", headers=headers)
        self._waiting[who] += 1
        try:
            yield
        finally:
            self._waiting[who] -= 1
            if not self._waiting[who]:
                del self._waiting[who]

    def _unauthorized(self, detail: str, shown: str | None) -> Refused:
        hint = "" if self._actors.has_admin_token else "; http.admin_token is not set"
        challenge = _CHALLENGE if shown is None else f'{_CHALLENGE}, error="invalid_token"'
        return Refused(401, detail + hint, headers={"WWW-Authenticate": challenge})


def _shown(request: web.Request) -> str | None:
    """The token of the one header that there may be."""
    given = request.headers.getall("Authorization", [])
    if len(given) != 1:
        return None
    scheme, _, token = given[0].strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
