"""Messages that could not be handled, kept whole: found, read, dropped."""

from collections.abc import Sequence
from typing import Protocol

from bridge.core.base import value
from bridge.core.event import Message
from bridge.core.records import Page

REASONS = (
    "batch_too_large", "body_too_large", "bug", "delivery_limit", "ended_the_process", "forged", "headers_too_large",
    "not_a_copy", "not_utf8", "redelivered_too_often", "schema_mismatch", "undecodable",
)  # fmt: skip
"""Why messages come into quarantine; those of other versions may be there too."""


@value(frozen=True, slots=True)
class KnownQuarantined:
    """A message in quarantine; `at` in Unix seconds. In a list `message` has no bytes, headers or properties."""

    id: str
    source: str
    reason: str
    detail: str
    at: float
    message: Message


@value(frozen=True, slots=True)
class QuarantineFilter:
    """Which messages: those that every given field fits. Times are Unix seconds of their coming into quarantine, from
    `since` until before `until`.
    """

    source: str | None = None
    reason: str | None = None
    since: float | None = None
    until: float | None = None


class Quarantine(Protocol):
    """All raise HistoryUnavailable."""

    async def messages(
        self, which: QuarantineFilter, *, after: str | None, limit: int
    ) -> Page[KnownQuarantined]:
        """Newest first, without bytes, headers and properties; ValueError for a cursor that is none of ours."""
        ...

    async def message(self, quarantined_id: str) -> KnownQuarantined | None:
        """It alone, whole."""
        ...

    async def ids(self, which: QuarantineFilter, behind: str, limit: int) -> Sequence[str]:
        """The oldest of those, behind this id; empty: from the first on."""
        ...

    async def drop(self, ids: Sequence[str]) -> int:
        """Delete them; gives how many were there."""
        ...
