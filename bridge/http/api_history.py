"""What the history holds, over HTTP: deliveries and events."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from aiohttp import web

from bridge.admin.look_deliveries import delivery_alone, delivery_in_list
from bridge.admin.look_explain import Explain
from bridge.admin.look_messages import (
    as_event,
    event_alone,
    event_in_list,
)
from bridge.http.api_answers import answer, aside, large, page, size_of
from bridge.http.api_pages import PAGED, read_page
from bridge.http.api_parameters import Parameters, not_found, path_id
from bridge.http.described import EVENT_TYPE, HOOK, PAGE, SOURCE, SPAN, STATUSES, flag, text, uuid
from bridge.http.operation import Handler, Operation, Parameter
from bridge.model.documents import (
    DeliveryAlone,
    DeliveryInList,
    EventAlone,
    EventInList,
    PageDocument,
)
from bridge.ports.records import DeliveryFilter, EventFilter, Records


class HistoryRoutes:
    """Reads, and changes nothing."""

    def __init__(self, records: Records, explain: Explain, most_body: int) -> None:
        """`most_body`: bytes that the body of an event may have once it is no longer compressed."""
        self._records = records
        self._explain = explain
        self._most_body = most_body

    def operations(self) -> Sequence[Operation]:
        return [
            _get(
                "deliveries.list",
                "/v1/deliveries",
                "Deliveries, the newest first",
                self._deliveries,
                PageDocument[DeliveryInList],
                HOOK,
                STATUSES,
                EVENT_TYPE,
                uuid("event_id", "Id of its event."),
                *SPAN,
                *PAGE,
            ),
            _get(
                "deliveries.show",
                "/v1/deliveries/{id}",
                "One delivery with its attempts",
                self._delivery,
                DeliveryAlone,
            ),
            _get(
                "events.list",
                "/v1/events",
                "Events, the newest first",
                self._events,
                PageDocument[EventInList],
                SOURCE,
                EVENT_TYPE,
                text("publisher_id", "The publisher's own id."),
                *SPAN,
                *PAGE,
            ),
            _get(
                "events.show",
                "/v1/events/{id}",
                "One event with its deliveries",
                self._event,
                EventAlone,
                flag("explain", "true: with what every hook would decide today."),
            ),
        ]

    async def _deliveries(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*PAGED, "hook", "status", "type", "event_id", "from", "to"))
        which = DeliveryFilter(
            hook=given.name("hook"),
            statuses=given.statuses("status"),
            event_type=given.event_type("type"),
            event_id=given.uuid("event_id"),
            since=given.moment("from"),
            until=given.moment("to"),
        )
        found = await read_page(given, partial(self._records.deliveries, which))
        return page(map(delivery_in_list, found.items), found.next)

    async def _delivery(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        found = await self._records.delivery(path_id(request))
        if found is None:
            raise not_found(request)
        return answer(delivery_alone(*found).model_dump())

    async def _events(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*PAGED, "source", "type", "publisher_id", "from", "to"))
        which = EventFilter(
            source=given.name("source"),
            type=given.event_type("type"),
            publisher_id=given.text("publisher_id"),
            since=given.moment("from"),
            until=given.moment("to"),
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


def _get(
    name: str, path: str, summary: str, handler: Handler, document: Any, *parameters: Parameter
) -> Operation:
    return Operation(
        name=name,
        method="GET",
        path=path,
        summary=summary,
        handler=handler,
        parameters=parameters,
        answers={200: document},
    )
