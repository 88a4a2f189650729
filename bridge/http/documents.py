"""What all documents have in common: lists, problems, moments."""

from collections.abc import Iterable
from typing import Annotated, Any, Generic, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field

from bridge.core.records import Beyond
from bridge.formats.text import utc_seconds

UtcMoment = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$")
]
"""RFC 3339 in UTC."""


def moment_or_none(at: float | None) -> str | None:
    """A Unix time as a UtcMoment; None stays None."""
    return None if at is None else utc_seconds(at)


T = TypeVar("T")


class ClosedDocument(BaseModel):
    """No further keys."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    @classmethod
    def unchecked(cls, **members: Any) -> Self:
        """The document with these members: what is recorded is shown as it is, and never refused for what it holds."""
        return cast("Self", cls.model_construct(**members))


def plain(value: Any) -> Any:
    """A document as JSON values; members that were not set are left out.

    `model_dump` would walk through what publishers sent, and has a limit on its depth.
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
    """A body where there is nothing to say: whoever says something is told so, and not passed over."""


class PageDocument(ClosedDocument, Generic[T]):
    """A part of a list."""

    items: list[T]
    """Those of this page."""
    next: str | None
    """Cursor of the following page; null at the end."""

    @classmethod
    def of(cls, items: Iterable[T], following: str | None) -> Self:
        """The page of these items; `following` is the cursor of the next page."""
        return cls.unchecked(items=list(items), next=following)


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

    @classmethod
    def counted(cls, items: Iterable[T], following: str | None, more: Beyond | None) -> Self:
        """The page of these items; `more` tells what comes behind it, where that was asked for."""
        found = cls.of(items, following)
        if more is not None:
            found.more = BeyondDocument(count=more.count, exact=more.exact)
        return found


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
