"""What all documents have in common: lists, problems, moments."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

UtcMoment = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$")
]
"""RFC 3339 in UTC."""

T = TypeVar("T")


class ClosedDocument(BaseModel):
    """No further keys."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Nothing(ClosedDocument):
    """A body where there is nothing to say: whoever says something is told so, and not passed over."""


class PageDocument(ClosedDocument, Generic[T]):
    """A part of a list."""

    items: list[T]
    """Those of this page."""
    next: str | None
    """Cursor of the following page; null at the end."""


class BeyondDocument(ClosedDocument):
    """What comes behind a page."""

    count: Annotated[int, Field(ge=0)]
    """How many entries; it is counted up to 1,000."""
    exact: bool
    """false: there are more than that, or they are too rare to be counted in time."""


class CountedPageDocument(PageDocument[T], Generic[T]):
    """A part of a list that may tell how much there is behind it."""

    more: BeyondDocument | None = None
    """What comes behind this page; only with `count=true`."""


class InvalidParameter(ClosedDocument):
    """One thing that is wrong with a request."""

    name: str
    """Parameter, or path in the body."""
    reason: str
    """What is wrong with it."""


class PlainProblem(BaseModel):
    """Why a request was not answered (RFC 9457)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str
    """about:blank: the status says it."""
    title: str
    """The status in words."""
    status: int
    """HTTP status."""
    detail: str = ""
    """What is wrong with this request."""


class ProblemDocument(PlainProblem):
    """Why a request to the API was not answered (RFC 9457)."""

    request_id: str
    """Id of the request, as in `X-Request-Id` and in the log."""
    invalid_params: Annotated[list[InvalidParameter], Field(alias="invalid-params")] = []
    """All that is wrong, where it is about parameters."""
