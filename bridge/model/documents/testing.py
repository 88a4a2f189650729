"""Tests of hooks."""

from typing import Annotated, Any

from pydantic import Field

from bridge.model.documents.shape import Closed


class TestBody(Closed):
    """The event to test with; without it, what the hook's system sends for a test."""

    __test__ = False
    type: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """Its type; default: webhook.test."""
    data: Any = None
    """Its whole body, any JSON; default: what tells of a test, in the shape of the hook's profile."""


class TestedDocument(Closed):
    """What came of a test."""

    __test__ = False
    delivered: bool
    """Whether the target took it."""
    outcome: str
    """delivered, or the kind of the fault, as in attempts."""
    status_code: int | None
    """HTTP status or exit code."""
    duration_ms: Annotated[float, Field(ge=0)]
    """How long it took, in milliseconds."""
    response: str | None
    """Beginning of the answer, or end of a script's output."""
    error: str | None
    """What went wrong."""
    event_id: str
    """Id of the event that was sent; it is in no history."""
    event_type: str
    """Its type."""
