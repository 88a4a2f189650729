"""The event operations of the API: list, search, show."""

import asyncio
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated

from pydantic import Field

from bridge.core.base import value
from bridge.core.records import EventFilter, EventStatus, KnownEvent
from bridge.events.documents import EventAlone, EventInList, EventPageDocument, SearchedDocument, as_event
from bridge.events.explain import Explain
from bridge.events.types import SeenTypes
from bridge.expressions.engine import Filter, compile_filter
from bridge.formats.parse import Bounds
from bridge.history.history import SqlHistory
from bridge.hooks.names import AskedNames
from bridge.http.body import LARGE, aside, size_of
from bridge.http.documents import NotFound
from bridge.http.input import (
    SOURCE,
    SPAN,
    CountedQuery,
    EventType,
    Given,
    Parameter,
    Parameters,
    Query,
    any_text,
    count_behind,
    event_type_of,
    flag,
    one_of,
    parsed,
    read_page,
    text,
)
from bridge.http.operation import Call, OperationGroup, Reply, reading
from bridge.routing.table import check
from bridge.settings.shape import nearest

# The search for events by an expression: events are read and evaluated, newest first, within bounds.


MOST_LOOKED_AT = 20_000
"""Maximum events that one page evaluates."""
PATIENCE = 1.0
"""Seconds for which one page continues to search."""
_AT_ONCE = 200
_MOST_BYTES = 4 * 1024 * 1024
"""Maximum bytes of bodies in memory at a time."""
_UNPARSED = frozenset(
    {"id", "publisher_id", "type", "source", "time", "received_at", "headers", "format", "identity"}
)
"""Fields that are columns of the history, and need no parsing of the body."""
_ASKING = ThreadPoolExecutor(1, thread_name_prefix="search")
"""One thread for all searches: evaluating many bodies must not take the whole process."""


@value(frozen=True, slots=True)
class Searched:
    """The matching events and the extent of the search; `next` None: it reached the end.

    `back_to` is when the last event that was evaluated was received, in Unix seconds; None if there was none. `unanswered`
    counts events for which the expression was neither true nor false.
    """

    items: tuple[KnownEvent, ...]
    next: str | None
    looked_at: int
    unanswered: int
    back_to: float | None


class Search:
    """Searches the events of the history by an expression."""

    def __init__(self, records: SqlHistory, bounds: Bounds) -> None:
        """`bounds` limit the parsing of event bodies."""
        self._records = records
        self._bounds = bounds

    async def page(self, which: EventFilter, where: Filter, *, after: str | None, limit: int) -> Searched:
        """Returns up to `limit` events that fit both; raises ValueError for an invalid cursor, HistoryUnavailable."""
        ends_at = time.monotonic() + PATIENCE
        found: list[KnownEvent] = []
        looked_at, unanswered, back_to = 0, 0, None
        while True:
            page = await self._records.whole_events(
                which, after=after, limit=min(_AT_ONCE, MOST_LOOKED_AT - looked_at), most_bytes=_MOST_BYTES
            )
            answers = await asyncio.get_running_loop().run_in_executor(
                _ASKING, partial(self._ask, page.items, where)
            )
            after = page.next
            for known, answer in zip(page.items, answers, strict=True):
                looked_at, back_to = looked_at + 1, known.received_at
                unanswered += answer is None
                if answer:
                    found.append(known)
                if len(found) == limit and known is not page.items[-1]:
                    after = self._records.behind(known.id)
                    break
            enough = len(found) >= limit or looked_at >= MOST_LOOKED_AT or time.monotonic() >= ends_at
            if after is None or enough:
                listed = await self._records.listed_events([known.id for known in found])
                return Searched(tuple(listed), after, looked_at, unanswered, back_to)

    def _ask(self, events: Sequence[KnownEvent], where: Filter) -> list[bool | None]:
        """Returns the result for each event, None for neither true nor false; a missing key is false."""
        return [self._answer(known, where) for known in events]

    def _answer(self, known: KnownEvent, where: Filter) -> bool | None:
        event = as_event(known, None if where.view.fields <= _UNPARSED else self._bounds)
        answer = where.ask(where.view.of(event), event)
        if isinstance(answer, bool):
            return answer
        return False if answer.missing else None


_MOST_DIMENSIONS = 5
MOST_WHERE = 2000
"""Maximum characters of an expression in a query."""
_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_-]{0,66})=(.{1,200})", re.DOTALL)
_WHERE = (
    'CEL over the event, as in a hook\'s filter: `event.data.customer_id == "17"`. Every event that fits the other '
    "filters is read and asked, the newest first, for a second at the most: then the page ends, short or empty, and "
    "`next` goes on. `searched` tells how far it looked. Give `from`, `type` or `source` with it where you can."
)
_DIMENSION = (
    "`name=value`: events whose source has this dimension (`sources[].dimensions`), with this value; found by an index, "
    "for events received since the dimension is declared. May be repeated."
)


def _compiled(text: str) -> Filter:
    if len(text) > MOST_WHERE:
        raise ValueError(f"has {len(text)} characters, the limit is {MOST_WHERE}")
    return compile_filter(text)


def is_pattern(text: str) -> bool:
    """Returns whether the text has wildcards."""
    return not {"*", "#"}.isdisjoint(text.split("."))


def _type_or_pattern(text: str) -> str:
    if is_pattern(text):
        check(text)
    return event_type_of(text)


def _status(given: Parameters) -> EventStatus | None:
    word = given.read("status", any_text)
    if word is not None and word not in set(EventStatus):
        told = f"{word[:60]!r} is no status; there are {', '.join(EventStatus)}"
        given.unknown("status", told + nearest(word, list(EventStatus)))
        return None
    return None if word is None else EventStatus(word)


class _EventsQuery(CountedQuery, looks_up=True):
    source = SOURCE
    type = parsed(
        "type",
        _type_or_pattern,
        EventType,
        "The event type, whole, or a pattern as in a hook: `customers.*`.",
    )
    publisher_id = text("publisher_id", "The publisher's own id.")
    webhook_id = text("webhook_id", "The id that receivers see (`webhook-id`).")
    status = Given(_status, *one_of("status", tuple(EventStatus), "What came of it.").parameters)
    dimensions = Given(lambda given: given.all("dimension"), Parameter("dimension", list[str], _DIMENSION))
    where = parsed("where", _compiled, Annotated[str, Field(min_length=1, max_length=MOST_WHERE)], _WHERE)
    span = SPAN


class _EventQuery(Query):
    explain = flag("explain", "true: with what every hook would decide today.")


class HistoryRoutes(OperationGroup):
    """The operations that read events."""

    def __init__(
        self,
        records: SqlHistory,
        explain: Explain,
        names: AskedNames,
        dimensions: Sequence[str],
        bounds: Bounds,
        *,
        types: SeenTypes,
    ) -> None:
        """`dimensions` are the names of the dimensions of all sources. `bounds` limit the parsing of event bodies."""
        self._records = records
        self._explain = explain
        self._names = names
        self._dimensions = dimensions
        self._bounds = bounds
        self._types = types
        self._search = Search(records, bounds)

    @reading("events.list", "/v1/events", "List events, newest first")
    async def _events(self, call: Call[_EventsQuery, None]) -> EventPageDocument:
        query = call.query
        pattern = query.type if query.type is not None and is_pattern(query.type) else None
        which = EventFilter(
            source=await self._names.source(query, query.source),
            type=None if pattern is not None else await self._names.event_type(query, query.type),
            types=None if pattern is None else frozenset(await self._types.matching(pattern)),
            publisher_id=query.publisher_id,
            since=query.span[0],
            until=query.span[1],
            status=query.status,
            webhook_id=query.webhook_id,
            dimensions=self._keys(query),
        )
        if query.where is not None:
            return await self._searched(query, which, query.where)
        found = await read_page(query, partial(self._records.events, which))
        more = await count_behind(query, found, partial(self._records.events_beyond, which))
        return EventPageDocument.counted(map(EventInList.of, found.items), found.next, more)

    async def _searched(self, query: _EventsQuery, which: EventFilter, where: Filter) -> EventPageDocument:
        if query.count:
            query.wrong("count", "goes not with `where`: what is behind the page was not looked at")
        found = await read_page(query, partial(self._search.page, which, where))
        page = EventPageDocument.of(map(EventInList.of, found.items), found.next)
        page.searched = SearchedDocument.unchecked(found, events=found.looked_at)
        return page

    def _keys(self, query: _EventsQuery) -> tuple[tuple[str, str], ...]:
        found = []
        for each in query.dimensions:
            pair = _PAIR.fullmatch(each)
            if pair is None:
                query.wrong("dimension", "is written name=value, such as customer=17")
            elif pair[1] not in self._dimensions:
                query.unknown(
                    "dimension", f"no source has a dimension {pair[1]!r}{nearest(pair[1], self._dimensions)}"
                )
            else:
                found.append((pair[1], pair[2]))
        if len(found) > _MOST_DIMENSIONS:
            query.wrong("dimension", f"there may be {_MOST_DIMENSIONS} of them")
        return tuple(found)

    @reading("events.show", "/v1/events/{id}", "Get an event with its deliveries", EventAlone)
    async def _event(self, call: Call[_EventQuery, None]) -> Reply:
        explained = call.query.explain
        found = await self._records.event(call.id)
        if found is None:
            raise NotFound
        known, deliveries = found
        # All hooks evaluate the event, however small it is.
        size = LARGE if explained else size_of(known.message)
        event = await aside(partial(as_event, known, self._bounds), size)
        hooks = await aside(partial(self._explain.event, event), size) if explained else None
        whole = partial(EventAlone.whole, known, event, deliveries, self._names.of_hook, hooks)
        return Reply(document=await aside(whole, size), size=size)
