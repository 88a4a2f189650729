"""The types of events: those in the history, and those that catalogues list."""

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Self

from pydantic import Field

from bridge.formats.event_types import beginning_with
from bridge.history.types import SeenType, SqlEventTypes
from bridge.http.documents import ClosedDocument, UtcMoment
from bridge.http.input import Query, flag, text
from bridge.http.operation import Call, OperationGroup, reading
from bridge.routing.table import matches

_FRESH = 5.0
"""Seconds for which the types are remembered with their counts."""
_FRESH_NAMES = 1.0


class SeenTypes:
    """The types of events in the history, read again after some seconds."""

    def __init__(self, store: SqlEventTypes) -> None:
        self._store = store
        self._found: tuple[float, Mapping[str, SeenType]] = (-_FRESH, {})
        self._names: tuple[float, Sequence[str]] = (-_FRESH, ())

    async def all(self) -> Mapping[str, SeenType]:
        """Returns the types; raises HistoryUnavailable."""
        if time.monotonic() - self._found[0] > _FRESH:
            self._found = time.monotonic(), await self._store.seen()
        return self._found[1]

    async def names(self) -> Sequence[str]:
        """Returns the types alone, which takes much less time; raises HistoryUnavailable."""
        if time.monotonic() - self._names[0] > _FRESH_NAMES:
            self._names = time.monotonic(), await self._store.names()
        return self._names[1]

    async def matching(self, pattern: str) -> Sequence[str]:
        """Returns the types that a valid pattern matches."""
        return sorted(kind for kind in await self.names() if matches(pattern, kind))


class EventTypeDocument(ClosedDocument):
    """An event type, with its events in the history."""

    type: str
    """Event type, such as customers.customer.create."""
    sources: list[str]
    """Names of the sources of these events."""
    count: Annotated[int, Field(ge=0)]
    """Number of events in the history, counted up to 500 for each source."""
    exact: bool
    """false: there are more."""
    last_at: UtcMoment | None
    """When the last was received; null if there is none."""
    meaning: str | None
    """Meaning, if a catalogue lists the type."""

    @classmethod
    def of(cls, kind: str, seen: SeenType | None, meaning: str | None) -> Self:
        """Returns the document; `seen` None: no event has the type."""
        if seen is None:
            return cls.unchecked(type=kind, sources=[], count=0, exact=True, last_at=None, meaning=meaning)
        return cls.unchecked(seen, sources=list(seen.sources), meaning=meaning)


class EventTypesDocument(ClosedDocument):
    """The types of events."""

    items: list[EventTypeDocument]
    """In alphabetical order, at most 1,000."""


class _TypesQuery(Query):
    q = text("q", "Text that stands in the type.")
    catalogue = flag("catalogue", "true: also those that a catalogue lists and no event has.")


_MOST = 1000


class EventTypeRoutes(OperationGroup):
    """The operation that lists event types."""

    def __init__(self, types: SeenTypes) -> None:
        self._types = types

    @reading("events.types", "/v1/events/types", "List the types of events in the history, with counts")
    async def _list(self, call: Call[_TypesQuery, None]) -> EventTypesDocument:
        seen, query = await self._types.all(), call.query
        meanings = {known.type: known.meaning for known in beginning_with("")}
        kinds = {*seen, *(meanings if query.catalogue else ())}
        wanted = sorted(kind for kind in kinds if query.q is None or query.q in kind)
        items = [EventTypeDocument.of(each, seen.get(each), meanings.get(each)) for each in wanted[:_MOST]]
        return EventTypesDocument.unchecked(items=items)
