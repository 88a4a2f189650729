"""The admin API: everything below /api, for who shows the token."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from aiohttp import web

from bridge.admin.actors import Actors
from bridge.admin.audit import AuditLog
from bridge.http.access import Gate
from bridge.http.api_names import short_ids
from bridge.http.api_requests import identified, outages_as_503
from bridge.http.audited import guarded
from bridge.http.crowd import MOST_BODY, Crowd
from bridge.http.operation import AUDITED, Operation
from bridge.http.phlix_errors import errors_as_phlix
from bridge.http.problem import errors_as_problems
from bridge.ports.budget import Budget
from bridge.ports.names import KnownNames

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
        known: KnownNames,
        *,
        budget: Budget | None = None,
    ) -> None:
        """`new_id` names requests whose client does not; `known` knows the ids that short ones stand for; `budget`: what
        bodies of requests count in.
        """
        self._budget = budget
        self._parts = tuple(parts)
        self._gate = Gate(actors)
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
                Crowd(budget=self._budget).middleware(),
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
