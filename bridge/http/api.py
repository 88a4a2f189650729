"""The admin API: everything below /api, for who shows the token."""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.core.budget import Budget
from bridge.core.errors import HistoryUnavailable
from bridge.history.history import SqlHistory
from bridge.http.audit import AuditLog, guarded
from bridge.http.auth import AccessGate, Actors
from bridge.http.operation import AUDITED, MOST_BODY, ConcurrencyLimit, Operation
from bridge.http.problem import REQUEST_ID, Refused, errors_as_phlix, errors_as_problems
from bridge.http.short_ids import short_ids
from bridge.telemetry import events

# Every request to the admin API: its id, its line in the log, and what an outage comes to.


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


PREFIX = "/api"


class Part(Protocol):
    """A group of operations, whose paths begin behind PREFIX."""

    def operations(self) -> Sequence[Operation]:
        """What is to be served."""
        ...


class Api:
    """All parts as one application: below it nothing answers without a token, not even that there is nothing."""

    def __init__(
        self,
        parts: Iterable[Part],
        actors: Actors,
        log: AuditLog,
        new_id: Callable[[], str],
        known: SqlHistory,
        *,
        budget: Budget | None = None,
    ) -> None:
        """`new_id` names requests whose client does not; `known` knows the ids that short ones stand for; `budget`: what
        bodies of requests count in.
        """
        self._budget = budget
        self._parts = tuple(parts)
        self._gate = AccessGate(actors)
        self._log = log
        self._new_id = new_id
        self._known = known

    def application(self) -> web.Application:
        """To be mounted at PREFIX."""
        app = web.Application(
            middlewares=[
                identified(self._new_id),
                errors_as_problems,
                errors_as_phlix,
                outages_as_503,
                self._gate.middleware(),
                ConcurrencyLimit(budget=self._budget).middleware(),
                short_ids(self._known),
            ],
            client_max_size=MOST_BODY,
        )
        app[AUDITED] = [operation for operation in self.operations() if operation.is_audited]
        paths = {operation.path for operation in self.operations()}
        app.add_routes(
            [
                web.route(each.method, exact(each.path, paths), guarded(each, self._log))
                for each in self.operations()
            ]
        )
        return app

    def operations(self) -> list[Operation]:
        """All that is served."""
        return [operation for part in self._parts for operation in part.operations()]


def exact(path: str, paths: Iterable[str]) -> str:
    """The path as the router takes it, where `{id}` stands for no word that another path has in its place."""
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
