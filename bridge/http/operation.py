"""An operation of the admin API: its description, and the audit log of those that change something."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType, NoneType
from typing import Any, Generic, Literal, Self, TypeVar, get_args, get_type_hints

from aiohttp import web

from bridge.bodies.exact import json_text
from bridge.core.access import Actor, Audit, AuditEntry, Role
from bridge.http.documents import (
    ClosedDocument,
    NotFound,
    RequestProblem,
    UtcMoment,
)
from bridge.http.input import Parameter, Query, is_id
from bridge.telemetry import events

# The documents of the audit log.


class ActorDocument(ClosedDocument):
    """The caller."""

    name: str
    """Name of the token; `admin` for `http.admin_token`."""
    role: Role
    """Permissions of the token."""


class DeedDocument(ClosedDocument):
    """An entry of the audit log."""

    id: str
    """A UUIDv7."""
    at: UtcMoment
    """When it happened."""
    actor: str
    """Name of the token; `admin` for `http.admin_token`, `bridge` for the bridge itself."""
    role: str
    """Role of the token."""
    action: str
    """The operation, such as hooks.pause."""
    object_type: str
    """Type of the changed object, such as hook."""
    object_id: str
    """Id of the object; empty if several were changed, or the object has none."""
    object_name: str | None
    """Name of a hook, its id if it does not exist any more; null for other objects."""
    request_id: str
    """The request's id, as in `X-Request-Id` and in the log."""
    remote: str
    """Address of the client."""
    detail: dict[str, Any]
    """Changed values and counts, without secrets."""

    @classmethod
    def of(cls, deed: AuditEntry, name_of: Callable[[str], str]) -> Self:
        """Returns the document of the entry; `name_of` returns the name of the hook with an id."""
        return cls.unchecked(
            deed,
            object_name=name_of(deed.object_id) if deed.object_type == "hook" and deed.object_id else None,
            detail=json.loads(deed.detail),
        )


_PATIENCE = 5.0
"""Maximum seconds that a response waits for its entry to be written."""
_MOST_DETAIL = 16_384
"""Maximum characters of an entry's detail."""


class AuditLog:
    """Writes the audit log. An entry that cannot be written is logged in full: the change was made nevertheless."""

    def __init__(
        self,
        audit: Audit,
        new_id: Callable[[], str],
        written: Callable[[AuditEntry], None] = lambda _entry: None,
    ) -> None:
        """`new_id` returns UUIDv7s, by which entries are ordered; `written` is called with every entry, once it is written or
        could not be.
        """
        self._audit = audit
        self._new_id = new_id
        self._written = written

    async def write(
        self,
        actor: Actor,
        action: str,
        thing: tuple[str, str],
        detail: Mapping[str, Any],
        *,
        request_id: str = "",
        remote: str = "",
    ) -> None:
        """Writes an entry; never raises. `thing`: kind and id of the changed object; `detail`: JSON values without secrets."""
        kind, name = thing
        deed = AuditEntry(
            id=self._new_id(),
            at=time.time(),
            actor=actor.name,
            role=actor.role,
            action=action,
            object_type=kind,
            object_id=name,
            request_id=request_id,
            remote=remote,
            detail=_bounded(json_text(detail)),
        )
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._audit.write_deed(deed)
        except Exception as error:  # noqa: BLE001 -- the deed is done: no failure here may look like one of it
            # This line is the only record of the change.
            events.process.error(
                "audit.failed",
                error=repr(error),
                effect="the change is in force and missing in the audit log",
                **{name: told for name, told in asdict(deed).items() if name != "id"},
            )
        self._written(deed)


def _bounded(text: str) -> str:
    return text if len(text) <= _MOST_DETAIL else json.dumps({"cut": text[: _MOST_DETAIL // 2]})


# Operations.


ACTOR = web.RequestKey("actor", Actor)
"""The actor of the request; set before the operation runs."""
VIA = web.RequestKey("via", str)
"""Where a request comes from that is no request of a client, such as `ui`: for the audit log."""
AUDITED: web.AppKey[Sequence["Operation"]] = web.AppKey("audited", Sequence)
"""The audited operations, in the API's application."""

Q = TypeVar("Q", bound=Query)
B = TypeVar("B")
M = TypeVar("M", bound=Callable[..., Awaitable[Any]])


@dataclass(frozen=True, slots=True)
class Call(Generic[Q, B]):
    """A request to an operation: its query, its body and its actor."""

    query: Q
    body: B
    actor: Actor
    request: web.Request

    @property
    def which(self) -> str:
        """Returns the id or name in the path."""
        return self.request.match_info["id"]

    @property
    def id(self) -> str:
        """Returns the UUID in the path; raises NotFound for any other text."""
        if not is_id(self.which):
            raise NotFound
        return self.which.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The result of an operation that returns more than a document."""

    document: Any = None
    """A model, JSON values, or bytes; None: the response has no body."""
    status: int | None = None
    """The HTTP status; None: that of the operation."""
    headers: Mapping[str, str] = field(default_factory=dict)
    made: str = ""
    """The id of a created object: the response is 201, with its path in `Location`."""
    changed: Mapping[str, Any] | None = field(default_factory=dict)
    """The changes for the audit log: JSON values without secrets; `id` if the path has no id, or another name of the object.
    None: nothing was changed, and no entry is written.
    """
    size: int = 0
    """The bytes of a large document, which is serialised in a thread."""


Problems = Mapping[type[Exception], Callable[[Any, Call[Any, Any]], RequestProblem]]
"""The problem for each exception of a service."""


def conflict(error: Exception, _: Call[Any, Any]) -> RequestProblem:
    """Returns the problem 409, with the text of the exception."""
    return RequestProblem(409, str(error))


async def _unbound(_: Any) -> Any:
    """Stands for the method of an operation until its OperationGroup binds it; no such operation is ever served."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method on a path. As a decorator it describes a method of an OperationGroup.

    Responses 400, 401, 403 and 503 are described for all operations, 404 for paths with an id, 413, 415 and 422 for those with
    a body; `refusals` are further problems. An operation that changes something is written into the audit log under its name.
    """

    name: str
    """The operation's id `group.verb`, such as `hooks.pause`, which is also the action in the audit log."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: str
    """The path below /api, with `{id}` for ids and names."""
    summary: str
    run: Callable[[Any], Awaitable[Any]] = _unbound
    """The function that takes the Call, and returns the document or a Reply; of a decorated method the method."""
    role: Role = Role.VIEWER
    query: type[Query] = Query
    body: Any = None
    """The type of the JSON body, None if there is none."""
    body_required: bool = True
    read: Callable[[web.Request], Awaitable[Any]] | None = None
    """Reads the body; None: it is parsed by its type."""
    answers: Mapping[int, Any] = field(default_factory=dict)
    """The type of the JSON response by status, None if it has no body."""
    answer_headers: tuple[Literal["ETag", "Location", "Idempotent-Replayed"], ...] = ()
    """Further headers of the responses; 201 always has Location."""
    problems: Problems = field(default_factory=dict)
    refusals: frozenset[int] = frozenset()
    audited: bool | None = None
    """Whether the operation is written into the audit log; None: unless the method is GET."""
    description: str = ""
    """Further description for /docs, beside the summary; CommonMark."""
    example: Any = None
    """An example of the body for /docs and the command lines there."""

    def __call__(self, method: M) -> M:
        """Describes the method, which several operations may share."""
        vars(method).setdefault("described", []).insert(0, self)
        return method

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Returns the parameters of the query, and the headers."""
        return self.query.parameters

    @property
    def is_audited(self) -> bool:
        """Returns whether the operation is written into the audit log."""
        return self.method != "GET" if self.audited is None else self.audited

    @property
    def group(self) -> str:
        """Returns the group of the operation, such as `hooks`."""
        return self.name.partition(".")[0]

    @property
    def object_type(self) -> str:
        """Returns the object's type in the audit log: `hook` for `hooks.pause`."""
        group = self.group
        return group.removesuffix("ies") + "y" if group.endswith("ies") else group.removesuffix("s")


def reading(name: str, path: str, summary: str, document: Any = None) -> Operation:
    """Returns a GET for any role, answered with 200 and this document."""
    return Operation(name=name, path=path, summary=summary, answers={200: document} if document else {})


def _declared(operation: Operation, method: Callable[..., Any]) -> Operation:
    """Returns the operation with the query, the body and the document that the annotations of its method name."""
    call, answer = get_type_hints(method).values()
    query, body = get_args(call)
    return replace(
        operation,
        query=query,
        body=operation.body or (None if body is NoneType else body),
        answers=operation.answers or {200: answer},
    )


class OperationGroup:
    """A group of operations, whose paths follow /api: the methods that operations decorate, in their order.

    The annotations of a method name the query and the body, and the document where the answer has no other.
    """

    problems: Problems = MappingProxyType({})
    """Those of operations that have none of their own."""

    def operations(self) -> Sequence[Operation]:
        """Returns the operations to serve."""
        return [
            replace(
                _declared(each, method),
                run=getattr(self, name),
                problems=each.problems or self.problems,
            )
            for name, method in vars(type(self)).items()
            for each in getattr(method, "described", ())
        ]
