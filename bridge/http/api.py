"""The admin API: all operations below /api, which require a token."""

import json
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.core.budget import Budget
from bridge.core.errors import HistoryUnavailable
from bridge.core.records import IdOf
from bridge.history.history import SqlHistory
from bridge.http.auth import AccessGate, Actors
from bridge.http.documents import REQUEST_ID, RequestProblem, problem_of
from bridge.http.handling import Answer, answered, runner
from bridge.http.operation import ACTOR, AUDITED, AuditLog, Operation, OperationGroup
from bridge.telemetry import events

PREFIX = "/api"
HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_RETRY_AFTER = "5"
_HOOK = "/v1/hooks/{id}"
SHORTEST = 8
"""Minimum characters of an abbreviated id."""
_WHOLE = 36
SHOWN_IDS = 5
_KINDS: dict[str, IdOf] = {
    "events": "event",
    "deliveries": "delivery",
    "quarantine": "quarantine",
    "replays": "replay",
}
"""The kinds of ids that may be abbreviated, by their name in paths."""


R = TypeVar("R")


class Api:
    """The API as one application: without a token every path is refused, even one that does not exist."""

    def __init__(
        self,
        parts: Iterable[OperationGroup],
        actors: Actors,
        log: AuditLog,
        new_id: Callable[[], str],
        known: SqlHistory,
        *,
        budget: Budget | None = None,
    ) -> None:
        """`new_id` makes ids of requests without one, `known` resolves abbreviated ids, `budget` counts bodies."""
        self._parts = tuple(parts)
        self.gate = AccessGate(actors)
        self._limit = ConcurrencyLimit(budget=budget)
        self._log = log
        self.new_id = new_id
        self._known = known

    def application(self) -> web.Application:
        """Returns the application, to be mounted at PREFIX."""
        app = web.Application(middlewares=[self._serve], client_max_size=MOST_BODY)
        operations = self.operations()
        app[AUDITED] = [operation for operation in operations if operation.is_audited]
        paths = {operation.path for operation in operations}
        for each in operations:
            # A hook may have the name of a word in a path of another method, such as `preview`.
            same = {other.path for other in operations if other.method == each.method}
            path = exact(each.path, same if each.path.startswith(_HOOK) else paths)
            app.add_routes([web.route(each.method, path, runner(each, self._log))])
        return app

    def operations(self) -> list[Operation]:
        """Returns all operations."""
        return [operation for part in self._parts for operation in part.operations()]

    @web.middleware
    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Gives the request an id, the client's own if it is valid, and logs the response."""
        given = request.headers.get(HEADER, "")
        name = request[REQUEST_ID] = given if _SANE.fullmatch(given) else self.new_id()
        started = time.monotonic()
        try:
            response = await self._admit(request, handler)
        except Exception as error:  # noqa: BLE001 -- the outermost frame of a request
            response = problem_of(request, self._as_described(request, error))
        if not response.prepared:  # a list as CSV was sent already
            response.headers[HEADER] = name
            response.headers.setdefault("Cache-Control", "no-store")
        status = response.status
        events.process.log(
            logging.DEBUG if status < 400 else logging.INFO if status < 500 else logging.WARNING,
            "api.answered",
            request_id=name,
            method=request.method,
            path=request.path,
            status=status,
            duration_ms=round((time.monotonic() - started) * 1000, 1),
        )
        return response

    def _as_described(self, request: web.Request, error: Exception) -> Exception:
        """Returns the error; of a method that is not allowed with the methods that the description has for this very path."""
        if not isinstance(error, web.HTTPMethodNotAllowed):
            return error
        methods = {each.method for each in self.operations() if f"{PREFIX}{each.path}" == request.path}
        allowed: set[str] = methods | ({"HEAD"} if "GET" in methods else set())
        return web.HTTPMethodNotAllowed(request.method, allowed) if methods else error

    async def _admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Checks the token first: only requests with a valid token take one of the concurrent places."""
        with outage(request):
            request[ACTOR] = await self.gate.actor(request)
        return await self._within(request, handler)

    async def answer(self, operation: Operation, request: web.Request) -> Answer:
        """Returns the answer to a request that was made in process and has its actor and its id; never raises."""
        try:
            return await self._within(request, partial(answered, operation, log=self._log))
        except Exception as error:  # noqa: BLE001 -- as for a request of a client
            refused = problem_of(request, error)
            return Answer(refused.status, json.loads(refused.text or "{}"), dict(refused.headers))

    async def _within(self, request: web.Request, handler: Callable[[web.Request], Awaitable[R]]) -> R:
        """Returns the result of the handler, which takes one of the concurrent places."""
        with outage(request), self._limit.place(request):
            await self._expand_id(request)
            return await handler(request)

    async def _expand_id(self, request: web.Request) -> None:
        """Replaces an abbreviated id in the path, as lists show it, if no other id begins with it."""
        given = request.match_info.get("id", "")
        kind = _KINDS.get(request.path.removeprefix("/api/v1/").partition("/")[0])
        if kind is None or not is_short(given):
            return
        found = await self._known.ids_beginning(kind, given.lower(), SHOWN_IDS + 1)
        if len(found) > 1:
            raise RequestProblem(409, f"several ids begin with {given}: {listed_ids(found)}")
        if found:
            request.match_info["id"] = found[0]


@contextmanager
def outage(request: web.Request) -> Iterator[None]:
    """Turns an outage of the database into the problem 503."""
    try:
        yield
    except HistoryUnavailable as error:
        events.process.warning("api.unavailable", request_id=request[REQUEST_ID], reason=str(error))
        detail = "the database of the history does not answer now; try again"
        raise RequestProblem(503, detail, headers={"Retry-After": _RETRY_AFTER}) from error


def is_short(text: str) -> bool:
    """Returns whether the text may be an abbreviated id."""
    return SHORTEST <= len(text) < _WHOLE and all(
        character == "-" if place in (8, 13, 18, 23) else character in "0123456789abcdef"
        for place, character in enumerate(text.lower())
    )


def listed_ids(ids: Sequence[str]) -> str:
    """Returns a text with the first of several ids."""
    return ", ".join(ids[:SHOWN_IDS]) + (", ..." if len(ids) > SHOWN_IDS else "")


def exact(path: str, paths: Iterable[str]) -> str:
    """Returns the path for the router, in which `{id}` excludes the words that other paths have in its place."""
    parts = path.split("/")
    others = [other.split("/") for other in paths if other.count("/") == path.count("/")]
    for place, part in enumerate(parts):
        if not part.startswith("{"):
            continue
        taken = {
            other[place]
            for other in others
            if not other[place].startswith("{") and parts == [*other[:place], part, *other[place + 1 :]]
        }
        if taken:
            parts[place] = f"{part[:-1]}:(?!(?:{'|'.join(sorted(map(re.escape, taken)))})$)[^{{}}/]+}}"
    return "/".join(parts)


# The limit of concurrent requests to the admin API: each may hold a body, and a connection to the database.


MOST_BODY = 16 * 1024 * 1024
"""Maximum bytes of a request's body; a larger one is answered with 413."""
MOST_AT_ONCE = 200
MOST_BYTES = 128 * 1024 * 1024
"""Maximum bytes of all bodies that are read at once; a single body is always allowed."""


_SHARE = 0.25


class ConcurrencyLimit:
    """Limits the number of concurrent requests and the bytes of their bodies; excess requests are refused at once."""

    def __init__(
        self, most: int = MOST_AT_ONCE, most_bytes: int = MOST_BYTES, budget: Budget | None = None
    ) -> None:
        """`most_bytes` is lowered to a quarter of the `budget`."""
        self._most = most
        self._budget = budget or Budget()
        self._holder = self._budget.holder("api")
        self._most_bytes = min(most_bytes, self._budget.share(_SHARE))
        self._requests = 0

    @contextmanager
    def place(self, request: web.Request) -> Iterator[None]:
        """Reserves a place for this request; raises RequestProblem (503) if there is none."""
        size = _body_size(request)
        held = self._holder.byte_count
        if self._requests >= self._most or (held and held + size > self._most_bytes):
            raise RequestProblem(503, "too many requests at once; try again", headers={"Retry-After": "1"})
        self._requests += 1
        self._holder.take(size)
        try:
            yield
        finally:
            self._requests -= 1
            self._holder.release(size)


def _body_size(request: web.Request) -> int:
    """Returns the announced size, up to the limit; a chunked body counts as that large."""
    if not request.can_read_body:
        return 0
    announced = request.content_length
    return MOST_BODY if announced is None else min(announced, MOST_BODY)
