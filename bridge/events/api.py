"""Events of the history, over HTTP."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Annotated

from aiohttp import web
from pydantic import Field

from bridge.core.records import EventFilter, EventStatus
from bridge.events.documents import EventAlone, EventPageDocument, as_event, event_alone, event_in_list
from bridge.events.explain import Explain
from bridge.events.search import Search
from bridge.expressions.engine import Filter, compile_filter
from bridge.formats.parse import Bounds
from bridge.formats.text import utc_seconds
from bridge.history.history import SqlHistory
from bridge.hooks.names import AskedNames
from bridge.http.body import LARGE, answer, aside, large, page, size_of
from bridge.http.input import (
    COUNT,
    COUNTED,
    EVENT_TYPE,
    PAGE,
    SOURCE,
    SPAN,
    Parameters,
    counted_page,
    flag,
    not_found,
    one_of,
    path_id,
    read_page,
    text,
)
from bridge.http.operation import Operation, Parameter, reading
from bridge.settings.shape import nearest

_FILTERS = ("source", "type", "publisher_id", "webhook_id", "status", "dimension", "where", "from", "to")
_MOST_DIMENSIONS = 5
MOST_WHERE = 2000
"""Characters of an expression in a query."""
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


class HistoryRoutes:
    """Reads, and changes nothing."""

    def __init__(
        self,
        records: SqlHistory,
        explain: Explain,
        names: AskedNames,
        dimensions: Sequence[str],
        bounds: Bounds,
    ) -> None:
        """`dimensions`: names of those that sources have. `bounds`: what is parsed of the bodies of events."""
        self._records = records
        self._explain = explain
        self._names = names
        self._dimensions = dimensions
        self._bounds = bounds
        self._search = Search(records, bounds)

    def operations(self) -> Sequence[Operation]:
        return [
            reading(
                "events.list",
                "/v1/events",
                "Events, the newest first",
                self._events,
                EventPageDocument,
                SOURCE,
                EVENT_TYPE,
                text("publisher_id", "The publisher's own id."),
                text("webhook_id", "The id that receivers see (`webhook-id`)."),
                one_of("status", tuple(EventStatus), "What came of it."),
                Parameter("dimension", list[str], _DIMENSION),
                Parameter("where", Annotated[str, Field(min_length=1, max_length=MOST_WHERE)], _WHERE),
                *SPAN,
                COUNT,
                *PAGE,
            ),
            reading(
                "events.show",
                "/v1/events/{id}",
                "One event with its deliveries",
                self._event,
                EventAlone,
                flag("explain", "true: with what every hook would decide today."),
            ),
        ]

    async def _events(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*COUNTED, *_FILTERS))
        since, until = given.span()
        which = EventFilter(
            source=await self._names.source(given),
            type=await self._names.event_type(given),
            publisher_id=given.text("publisher_id"),
            since=since,
            until=until,
            status=_status(given),
            webhook_id=given.text("webhook_id"),
            dimensions=self._keys(given),
        )
        where = given.read("where", _compiled)
        if where is not None:
            return await self._searched(given, which, where)
        found, more = await counted_page(
            given, partial(self._records.events, which), partial(self._records.events_beyond, which)
        )
        return page(map(event_in_list, found.items), found.next, more)

    async def _searched(self, given: Parameters, which: EventFilter, where: Filter) -> web.Response:
        if given.flag("count"):
            given.wrong("count", "goes not with `where`: what is behind the page was not looked at")
        found = await read_page(given, partial(self._search.page, which, where))
        searched = {
            "events": found.looked_at,
            "back_to": None if found.back_to is None else utc_seconds(found.back_to),
            "unanswered": found.unanswered,
        }
        items = [event_in_list(each).model_dump() for each in found.items]
        return answer({"items": items, "next": found.next, "searched": searched})

    def _keys(self, given: Parameters) -> tuple[tuple[str, str], ...]:
        """The dimensions that are asked for, each with its key."""
        found = []
        for each in given.all("dimension"):
            pair = _PAIR.fullmatch(each)
            if pair is None:
                given.wrong("dimension", "is written name=value, such as customer=17")
            elif pair[1] not in self._dimensions:
                given.unknown(
                    "dimension", f"no source has a dimension {pair[1]!r}{nearest(pair[1], self._dimensions)}"
                )
            else:
                found.append((pair[1], pair[2]))
        if len(found) > _MOST_DIMENSIONS:
            given.wrong("dimension", f"there may be {_MOST_DIMENSIONS} of them")
        return tuple(found)

    async def _event(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("explain",))
        explained = given.flag("explain")
        given.check()
        found = await self._records.event(path_id(request))
        if found is None:
            raise not_found(request)
        known, deliveries = found
        # However small it is, all hooks are asked.
        size = LARGE if explained else size_of(known.message)
        event = await aside(partial(as_event, known, self._bounds), size)
        hooks = await aside(partial(self._explain.event, event), size) if explained else None
        return await large(partial(event_alone, known, event, deliveries, self._names.of_hook, hooks), size)


def _compiled(text: str) -> Filter:
    if len(text) > MOST_WHERE:
        raise ValueError(f"has {len(text)} characters, the limit is {MOST_WHERE}")
    return compile_filter(text)


def _status(given: Parameters) -> EventStatus | None:
    word = given.text("status")
    if word is not None and word not in set(EventStatus):
        told = f"{word[:60]!r} is no status; there are {', '.join(EventStatus)}"
        given.unknown("status", told + nearest(word, list(EventStatus)))
        return None
    return None if word is None else EventStatus(word)
