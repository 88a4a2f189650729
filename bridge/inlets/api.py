"""The operation of the API that lists inlets."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field

from bridge.core.inlet import Inlet, VerifierType
from bridge.http.documents import ClosedDocument, PageDocument
from bridge.http.input import PageQuery, page_by_key
from bridge.http.operation import Call, OperationGroup, reading

_CURSOR = re.compile(r"[A-Za-z0-9_-]{1,67}")
Answers = Callable[[str], Mapping[str, int]]
"""Returns how many requests to an inlet had which response since the process started."""


class InletDocument(ClosedDocument):
    """An inlet, with its responses in this process."""

    name: str
    """Name of the inlet."""
    path: str | None
    """Further path beside /in/<name>; null: there is none, or it is the secret of an open inlet."""
    source: str
    """Name of the source whose queue receives the messages."""
    event_type: str | None
    """Type of the events; null: it is found in each request."""
    verify: list[VerifierType]
    """Types of its verifiers, in order."""
    open: bool
    """true: every request is accepted."""
    answers: dict[str, Annotated[int, Field(ge=0)]]
    """Number of requests by response since this process started: accepted, refused, ..."""

    @classmethod
    def of(cls, inlet: Inlet, answers: Mapping[str, int]) -> Self:
        """Returns the document of an inlet."""
        return cls.unchecked(
            inlet,
            path=None if inlet.open else inlet.path,
            verify=[each.type for each in inlet.verify],
            answers=dict(answers),
        )


class InletRoutes(OperationGroup):
    """The operation that lists inlets."""

    def __init__(self, inlets: Sequence[Inlet], answers: Answers) -> None:
        self._inlets = inlets
        self._answers = answers

    @reading("inlets.list", "/v1/inlets", "List inlets, with their responses in this process")
    async def _list(self, call: Call[PageQuery, None]) -> PageDocument[InletDocument]:
        found, following = page_by_key(call.query, self._inlets, lambda inlet: inlet.name, _CURSOR)
        return PageDocument.of(
            (InletDocument.of(each, self._answers(each.name)) for each in found), following
        )
