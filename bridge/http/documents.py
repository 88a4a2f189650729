"""The base of all documents: lists, problems, times."""

from collections.abc import Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, Generic, Self, TypeVar, cast, get_args, get_type_hints

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ConfigDict, Field

from bridge.bodies.exact import json_text
from bridge.core.records import Beyond
from bridge.formats.text import utc_seconds
from bridge.telemetry import events

UtcMoment = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$")
]
"""RFC 3339 in UTC."""


def _is_moment(hint: Any) -> bool:
    return hint is UtcMoment or any(map(_is_moment, get_args(hint)))


T = TypeVar("T")


class ClosedDocument(BaseModel):
    """A document without further keys."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def unchecked(cls, known: object = None, /, **members: Any) -> Self:
        """Returns the document with these members, the others from the attributes of `known` with the same names; times are
        in Unix seconds.

        Nothing is validated: stored values are shown as they are, and never refused.
        """
        same = (name for name in cls.model_fields.keys() - members if hasattr(known, name))
        shown = members | {name: getattr(known, name) for name in same}
        shown |= {name: utc_seconds(at) for name in cls._moments() if (at := shown.get(name)) is not None}
        return cast("Self", cls.model_construct(**shown))

    @classmethod
    @cache
    def _moments(cls) -> list[str]:
        hints = get_type_hints(cls, include_extras=True)
        return [name for name, hint in hints.items() if _is_moment(hint)]


def plain(value: Any) -> Any:
    """Returns a document as JSON values; members that were not set are omitted.

    `model_dump` would traverse the values of publishers, and limits their depth.
    """
    if isinstance(value, BaseModel):
        fields, there = type(value).model_fields, value.model_fields_set
        return {
            fields[name].alias or name: plain(member)
            for name, member in value.__dict__.items()
            if name in there
        }
    if isinstance(value, list):
        return [plain(each) if isinstance(each, BaseModel) else each for each in value]
    return value


class Nothing(ClosedDocument):
    """An empty body: members are an error, and not ignored."""


class PageDocument(ClosedDocument, Generic[T]):
    """A page of a list."""

    items: list[T]
    """Items of this page."""
    next: str | None
    """Cursor of the next page; null at the end."""

    @classmethod
    def of(cls, items: Iterable[T], following: str | None) -> Self:
        """Returns the page of these items; `following` is the cursor of the next page."""
        return cls.unchecked(items=list(items), next=following)


class BeyondDocument(ClosedDocument):
    """The number of items after a page."""

    count: Annotated[int, Field(ge=0)]
    """Number of items, counted up to 1,000."""
    exact: bool
    """false: there are more, or they are too rare to be counted in time."""


class CountedPageDocument(PageDocument[T], Generic[T]):
    """A page of a list that can have the number of items after it."""

    more: BeyondDocument | None = None
    """Number of items after this page; only with `count=true`."""

    @classmethod
    def counted(cls, items: Iterable[T], following: str | None, more: Beyond | None) -> Self:
        """Returns the page of these items; `more` has the count of items after it, if it was requested."""
        found = cls.of(items, following)
        if more is not None:
            found.more = BeyondDocument(count=more.count, exact=more.exact)
        return found


class InvalidParameter(ClosedDocument):
    """A problem of one parameter."""

    name: str
    """Parameter, or path in the body."""
    reason: str
    """Description of the problem."""


class PlainProblem(BaseModel):
    """A problem (RFC 9457)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """about:blank: the status is the problem type."""
    title: str
    """Name of the status."""
    status: int
    """HTTP status."""
    detail: str = ""
    """Description of the problem."""


class ProblemDocument(PlainProblem):
    """A problem of a request to the API (RFC 9457)."""

    request_id: str
    """Id of the request, as in `X-Request-Id` and in the log."""
    invalid_params: Annotated[list[InvalidParameter], Field(alias="invalid-params")] = []
    """All invalid parameters, if the problem is about parameters."""


# The errors as RFC 9457 `application/problem+json`.


CONTENT_TYPE = "application/problem+json"
REQUEST_ID = web.RequestKey("request_id", str)
"""The id of the request in problems and the log, if it has one."""


class RequestProblem(Exception):
    """Ends the handling of a request with this problem."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """`members` are additional members of the problem."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.members = members or {}


class NotFound(RequestProblem):
    """The path of the request does not exist: 404."""

    def __init__(self, why: str = "") -> None:
        """`why` is appended to the path."""
        super().__init__(404, why)


def problem(status: int, detail: str = "", **members: Any) -> web.Response:
    """Returns a problem response; `members` are additional members of the object (RFC 9457, 3.2)."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        body["detail"] = detail
    return web.Response(status=status, body=json_text(body | members).encode(), content_type=CONTENT_TYPE)


@web.middleware
async def errors_as_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns refusals, aiohttp's own errors and bugs into problems."""
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001 -- the outermost frame of a request
        return problem_of(request, error)


def problem_of(request: web.Request, error: Exception) -> web.Response:
    """Returns the problem for an error; the text of a bug stays in the log. Raises redirects again."""
    named = {"request_id": request[REQUEST_ID]} if REQUEST_ID in request else {}
    if isinstance(error, RequestProblem):
        return _refused(request, error, named)
    if not isinstance(error, web.HTTPException):
        # The path of an inlet without verification may itself be the secret; the API has no secrets in its paths.
        path = request.path if named else "(outside of the API)"
        events.process.error(
            "http.internal_error",
            method=request.method,
            path=path,
            request_id=named.get("request_id"),
            exc_info=error,
        )
        return problem(500, **named)
    if error.status < 400:
        raise error
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        response = problem(405, f"{request.method} is not allowed here; allowed: {allowed}", **named)
        response.headers["Allow"] = allowed
        return response
    detail = _nothing_at(request) if isinstance(error, web.HTTPNotFound) else error.text or ""
    return problem(error.status, detail, **named)


BELOW = "/api/v1/admin/"
_ACCESS = {401: ("Unauthorized", "auth.required"), 403: ("Forbidden", "auth.not_admin")}


def _refused(request: web.Request, refused: RequestProblem, named: Mapping[str, str]) -> web.Response:
    detail, members = refused.detail, refused.members
    if isinstance(refused, NotFound):
        detail = _nothing_at(request) + (f": {detail}" if detail else "")
    if request.path.startswith(BELOW):
        # Clients of Phlix expect `error`, and if access is refused `code`.
        word, code = _ACCESS.get(refused.status, (detail, ""))
        members = {"error": word, **({"code": code} if code else {}), **members}
    response = problem(refused.status, detail, **named, **members)
    response.headers.update(refused.headers)
    return response


def _nothing_at(request: web.Request) -> str:
    return f"there is nothing at {request.path}"
