"""An operation of the admin API: what serves it, who may, and what its description says."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.core.access import Actor, Role
from bridge.core.budget import Budget
from bridge.http.problem import Refused

OperationHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ACTOR = web.RequestKey("actor", Actor)
"""Who asks; set before the handler runs."""
CHANGED = web.RequestKey("changed", dict)
"""What the handler did, for the audit log: JSON values without secrets; `id` where the path does not tell it, or tells
another name of the thing.
"""
AUDITED: web.AppKey[Sequence["Operation"]] = web.AppKey("audited", Sequence)
"""In the API's application: the operations that are written into the audit log."""
UNCHANGED = web.RequestKey("unchanged", bool)
"""True: nothing was changed (a dry run), and there is no entry."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query, or a header, as the description tells it; paths tell their own."""

    name: str
    type: Any
    """What its text is read as: a type that pydantic makes a JSON Schema of."""
    description: str
    where: Literal["query", "header"] = "query"
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path.

    Answers of 400, 401, 403 and 503 are described for all, 404 for paths with an id, 413, 415 and 422 for those with
    a body; `refusals` are further problems. One that changes something is written into the audit log by its name.
    """

    name: str
    """`group.verb`, such as `hooks.pause`: the operation's id, and the action in the audit log."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    """Below /api, with `{id}` for the parts that name something."""
    summary: str
    handler: OperationHandler
    role: Role = Role.VIEWER
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    """The type of the JSON body, None: there is none."""
    body_required: bool = True
    answers: Mapping[int, Any] = field(default_factory=dict)
    """By status the type of the JSON answer, None: it has no body."""
    answer_headers: tuple[Literal["ETag", "Location", "Idempotent-Replayed"], ...] = ()
    """Further headers of its answers; 201 always has Location."""
    refusals: frozenset[int] = frozenset()
    audited: bool | None = None
    """Whether it is written into the audit log; None: unless the method is GET."""
    description: str = ""
    """More than the summary, for its page in /docs; CommonMark."""
    example: Any = None
    """A body as people write it, for /docs and the command lines there."""

    @property
    def is_audited(self) -> bool:
        """Whether it is written into the audit log."""
        return self.method != "GET" if self.audited is None else self.audited

    @property
    def group(self) -> str:
        """What it belongs to, such as `hooks`."""
        return self.name.partition(".")[0]

    @property
    def object_type(self) -> str:
        """What it is about, as the audit log calls it: `hook` for `hooks.pause`."""
        group = self.group
        return group.removesuffix("ies") + "y" if group.endswith("ies") else group.removesuffix("s")


def reading(
    name: str, path: str, summary: str, handler: OperationHandler, document: Any, *parameters: Parameter
) -> Operation:
    """A GET that any token may ask, answered with 200 and this document."""
    return Operation(
        name=name,
        method="GET",
        path=path,
        summary=summary,
        handler=handler,
        parameters=parameters,
        answers={200: document},
    )


# Requests to the admin API at once: each may hold a body, and a connection to the database.


MOST_BODY = 16 * 1024 * 1024
"""Bytes of a request's body; more is answered with 413."""
MOST_AT_ONCE = 200
MOST_BYTES = 128 * 1024 * 1024
"""Bytes of all bodies that are read at once; one has room always."""


_SHARE = 0.25


class ConcurrencyLimit:
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
