"""Deliveries over HTTP: what became of them, started anew, given up."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from aiohttp import web

from bridge.admin.look_addresses import Addresses
from bridge.admin.look_deliveries import delivery_alone, delivery_in_list
from bridge.admin.restarting import Found, NotNow, Restarting, Unknown
from bridge.http.api_answers import answer, page
from bridge.http.api_pages import PAGED, read_page
from bridge.http.api_parameters import Parameters, not_found, path_id
from bridge.http.described import EVENT_TYPE, HOOK, PAGE, SPAN, STATUSES, uuid
from bridge.http.operation import CHANGED, Operation
from bridge.http.problem import Refused
from bridge.model.access import Role
from bridge.model.documents import DeliveryAlone, DeliveryInList, PageDocument
from bridge.ports.records import DeliveryFilter, Records


class DeliveryRoutes:
    """Reads, and changes nothing."""

    def __init__(self, records: Records, addresses: Addresses) -> None:
        self._records = records
        self._addresses = addresses

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                name="deliveries.list",
                method="GET",
                path="/v1/deliveries",
                summary="Deliveries, the newest first",
                handler=self._list,
                parameters=(
                    HOOK,
                    STATUSES,
                    EVENT_TYPE,
                    uuid("event_id", "Id of its event."),
                    *SPAN,
                    *PAGE,
                ),
                answers={200: PageDocument[DeliveryInList]},
            ),
            Operation(
                name="deliveries.show",
                method="GET",
                path="/v1/deliveries/{id}",
                summary="One delivery with its attempts",
                handler=self._show,
                answers={200: DeliveryAlone},
            ),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*PAGED, "hook", "status", "type", "event_id", "from", "to"))
        which = DeliveryFilter(
            hook=self._addresses.hook_id(given.name("hook")),
            statuses=given.statuses("status"),
            event_type=given.event_type("type"),
            event_id=given.uuid("event_id"),
            since=given.moment("from"),
            until=given.moment("to"),
        )
        found = await read_page(given, partial(self._records.deliveries, which))
        return page(map(delivery_in_list, found.items), found.next)

    async def _show(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        found = await self._records.delivery(path_id(request))
        if found is None:
            raise not_found(request)
        return _alone(found, self._addresses)


class DeliveryActions:
    """What a person does with a delivery."""

    def __init__(self, restarting: Restarting, addresses: Addresses) -> None:
        self._restarting = restarting
        self._addresses = addresses

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                name="deliveries.retry",
                method="POST",
                path="/v1/deliveries/{id}/retry",
                summary="Start it anew, whatever its status",
                handler=self._retry,
                role=Role.OPERATOR,
                answers={202: DeliveryAlone},
                refusals=frozenset({409}),
            ),
            Operation(
                name="deliveries.cancel",
                method="POST",
                path="/v1/deliveries/{id}/cancel",
                summary="Give up one that waits",
                handler=self._cancel,
                role=Role.OPERATOR,
                answers={200: DeliveryAlone},
                refusals=frozenset({409}),
            ),
        ]

    async def _retry(self, request: web.Request) -> web.Response:
        return await self._done(request, self._restarting.retry, 202)

    async def _cancel(self, request: web.Request) -> web.Response:
        return await self._done(request, self._restarting.cancel, 200)

    async def _done(
        self, request: web.Request, action: Callable[[str], Awaitable[Found]], status: int
    ) -> web.Response:
        Parameters(request).check()
        try:
            found = await action(path_id(request))
        except Unknown:
            raise not_found(request) from None
        except NotNow as reason:
            raise Refused(409, str(reason)) from None
        request[CHANGED] = {"hook": found[0].hook, "generation": found[0].generation}
        response = _alone(found, self._addresses)
        response.set_status(status)
        return response


def _alone(found: Found, addresses: Addresses) -> web.Response:
    known, attempts = found
    return answer(delivery_alone(known, attempts, addresses.of(known.hook)).model_dump())
