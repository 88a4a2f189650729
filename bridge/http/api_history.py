"""What the history holds, over HTTP: deliveries, events, quarantine."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from aiohttp import web

from bridge.admin.look_deliveries import delivery_alone, delivery_in_list
from bridge.admin.look_explain import Explain
from bridge.admin.look_messages import (
    as_event,
    event_alone,
    event_in_list,
    quarantined_alone,
    quarantined_in_list,
)
from bridge.http.api_answers import answer, aside, large, page, size_of
from bridge.http.api_parameters import Parameters, invalid, not_found, path_id
from bridge.ports.records import DeliveryFilter, EventFilter, Page, Records

T = TypeVar("T")

_PAGED = ("limit", "cursor")


class HistoryRoutes:
    """Reads, and changes nothing."""

    def __init__(self, records: Records, explain: Explain, most_body: int) -> None:
        """`most_body`: bytes that the body of an event may have once it is no longer compressed."""
        self._records = records
        self._explain = explain
        self._most_body = most_body

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/deliveries", self._deliveries),
            web.get("/v1/deliveries/{id}", self._delivery),
            web.get("/v1/events", self._events),
            web.get("/v1/events/{id}", self._event),
            web.get("/v1/quarantine", self._quarantine),
            web.get("/v1/quarantine/{id}", self._quarantined),
        ]

    async def _deliveries(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*_PAGED, "hook", "status", "type", "event_id", "from", "to"))
        which = DeliveryFilter(
            hook=given.name("hook"),
            statuses=given.statuses("status"),
            event_type=given.event_type("type"),
            event_id=given.uuid("event_id"),
            since=given.moment("from"),
            until=given.moment("to"),
        )
        found = await _page(given, partial(self._records.deliveries, which))
        return page(map(delivery_in_list, found.items), found.next)

    async def _delivery(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        found = await self._records.delivery(path_id(request))
        if found is None:
            raise not_found(request)
        return answer(delivery_alone(*found).model_dump())

    async def _events(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*_PAGED, "source", "type", "publisher_id", "from", "to"))
        which = EventFilter(
            source=given.name("source"),
            type=given.event_type("type"),
            publisher_id=given.text("publisher_id"),
            since=given.moment("from"),
            until=given.moment("to"),
        )
        found = await _page(given, partial(self._records.events, which))
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

    async def _quarantine(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*_PAGED, "source"))
        found = await _page(given, partial(self._records.quarantine, given.name("source")))
        return page(map(quarantined_in_list, found.items), found.next)

    async def _quarantined(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        known = await self._records.quarantined(path_id(request))
        if known is None:
            raise not_found(request)
        return await large(partial(quarantined_alone, known), len(known.message.body))


async def _page(given: Parameters, read: Callable[..., Awaitable[Page[T]]]) -> Page[T]:
    limit, cursor = given.limit(), given.cursor()
    given.check()
    try:
        return await read(after=cursor, limit=limit)
    except ValueError as error:
        raise invalid([("cursor", "is none of those that this list gave as `next`")]) from error
