"""Events of the history, over HTTP."""

from collections.abc import Sequence
from functools import partial

from aiohttp import web

from bridge.admin.look_explain import Explain
from bridge.admin.look_messages import (
    as_event,
    event_alone,
    event_in_list,
)
from bridge.http.api_answers import aside, large, page, size_of
from bridge.http.api_pages import PAGED, read_page
from bridge.http.api_parameters import Parameters, not_found, path_id
from bridge.http.described import EVENT_TYPE, PAGE, SOURCE, SPAN, flag, one_of, text
from bridge.http.operation import Operation, reading
from bridge.model.documents import (
    EventAlone,
    EventInList,
    PageDocument,
)
from bridge.ports.records import EventFilter, EventStatus, Records


class HistoryRoutes:
    """Reads, and changes nothing."""

    def __init__(self, records: Records, explain: Explain, most_body: int) -> None:
        """`most_body`: bytes that the body of an event may have once it is no longer compressed."""
        self._records = records
        self._explain = explain
        self._most_body = most_body

    def operations(self) -> Sequence[Operation]:
        return [
            reading(
                "events.list",
                "/v1/events",
                "Events, the newest first",
                self._events,
                PageDocument[EventInList],
                SOURCE,
                EVENT_TYPE,
                text("publisher_id", "The publisher's own id."),
                one_of("status", tuple(EventStatus), "What came of it."),
                *SPAN,
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
        given = Parameters(request, (*PAGED, "source", "type", "publisher_id", "status", "from", "to"))
        which = EventFilter(
            source=given.name("source"),
            type=given.event_type("type"),
            publisher_id=given.text("publisher_id"),
            since=given.moment("from"),
            until=given.moment("to"),
            status=_status(given),
        )
        found = await read_page(given, partial(self._records.events, which))
        return page(map(event_in_list, found.items), found.next)

    async def _event(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("explain",))
        explained = given.flag("explain")
        given.check()
        found = await self._records.event(path_id(request))
        if found is None:
            raise not_found(request)
        known, deliveries = found
        size = size_of(known.message)
        event = await aside(partial(as_event, known, self._most_body), size)
        hooks = self._explain.event(event) if explained else None
        return await large(partial(event_alone, known, event, deliveries, hooks), size)


def _status(given: Parameters) -> EventStatus | None:
    word = given.text("status")
    if word is None or word in set(EventStatus):
        return None if word is None else EventStatus(word)
    given.wrong("status", f"must be one of {', '.join(EventStatus)}")
    return None
