"""Deliveries over HTTP: what became of them, started anew, given up."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from aiohttp import web

from bridge.core.access import Role
from bridge.core.records import DeliveryFilter
from bridge.deliveries.documents import (
    DeliveryAlone,
    DeliveryInList,
    RequestDocument,
    delivery_alone,
    delivery_in_list,
)
from bridge.deliveries.requests import Requests
from bridge.deliveries.service import Found, NotNow, RetryDelivery, Unknown
from bridge.history.history import SqlHistory
from bridge.hooks.names import AskedNames
from bridge.hooks.presenter import Addresses
from bridge.http.body import answer, large, page
from bridge.http.documents import CountedPageDocument
from bridge.http.input import (
    COUNT,
    COUNTED,
    EVENT_TYPE,
    HOOK,
    HOW,
    PAGE,
    SPAN,
    STATUSES,
    Parameters,
    When,
    counted_page,
    not_found,
    one_of,
    path_id,
    text,
)
from bridge.http.operation import CHANGED, Operation, Parameter
from bridge.http.problem import Refused

_ORDERS = ("received", "updated")
_FILTERS = ("hook", "status", "type", "event_id", "from", "to", "updated_from", "updated_to", "order")

_LISTED = (
    HOOK,
    STATUSES,
    EVENT_TYPE,
    text("event_id", "Id of its event; its beginning is enough."),
    *SPAN,
    Parameter("updated_from", When, f"Became what it is from this moment on: {HOW}."),
    Parameter("updated_to", When, f"Became what it is before this moment: {HOW}."),
    one_of(
        "order",
        _ORDERS,
        "By receipt of the event, or by when the delivery became what it is (a final one: final); "
        "default updated where `updated_from` or `updated_to` is given.",
    ),
    COUNT,
    *PAGE,
)


class DeliveryRoutes:
    """Reads, and changes nothing."""

    def __init__(
        self, records: SqlHistory, addresses: Addresses, names: AskedNames, requests: Requests
    ) -> None:
        self._records = records
        self._addresses = addresses
        self._names = names
        self._requests = requests

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                name="deliveries.list",
                method="GET",
                path="/v1/deliveries",
                summary="Deliveries, the newest first",
                handler=self._list,
                parameters=_LISTED,
                answers={200: CountedPageDocument[DeliveryInList]},
            ),
            Operation(
                name="deliveries.show",
                method="GET",
                path="/v1/deliveries/{id}",
                summary="One delivery with its attempts",
                handler=self._show,
                answers={200: DeliveryAlone},
            ),
            Operation(
                name="deliveries.request",
                method="GET",
                path="/v1/deliveries/{id}/request",
                summary="What it would send now, and whether that is what it sent last",
                handler=self._request,
                answers={200: RequestDocument},
                refusals=frozenset({409}),
            ),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*COUNTED, *_FILTERS))
        since, until = given.span()
        updated_since, updated_until = given.span("updated_from", "updated_to")
        by_update = updated_since is not None or updated_until is not None
        order = given.word("order", _ORDERS)
        if by_update and order == "received":
            given.wrong("order", "must be updated, as `updated_from` and `updated_to` are of that order")
        which = DeliveryFilter(
            hook=await self._names.hook(given),
            statuses=given.statuses("status"),
            event_type=await self._names.event_type(given),
            event_id=await self._names.event(given),
            since=since,
            until=until,
            updated_since=updated_since,
            updated_until=updated_until,
            by_update=by_update or order == "updated",
        )
        found, more = await counted_page(
            given, partial(self._records.deliveries, which), partial(self._records.deliveries_beyond, which)
        )
        name_of = self._names.of_hook
        return page((delivery_in_list(each, name_of) for each in found.items), found.next, more)

    async def _show(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        found = await self._records.delivery(path_id(request))
        if found is None:
            raise not_found(request)
        return _alone(found, self._addresses, self._names)

    async def _request(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        try:
            document = await self._requests.of(path_id(request))
        except Unknown:
            raise not_found(request) from None
        except NotNow as reason:
            raise Refused(409, str(reason)) from None
        return await large(document.model_dump, len(document.body_text or document.body_base64 or ""))


class DeliveryActions:
    """What a person does with a delivery."""

    def __init__(self, restarting: RetryDelivery, addresses: Addresses, names: AskedNames) -> None:
        self._restarting = restarting
        self._addresses = addresses
        self._names = names

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
        response = _alone(found, self._addresses, self._names)
        response.set_status(status)
        return response


def _alone(found: Found, addresses: Addresses, names: AskedNames) -> web.Response:
    known, attempts = found
    return answer(delivery_alone(known, attempts, addresses.of(known.hook), names.of_hook).model_dump())
