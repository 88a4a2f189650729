"""The delivery operations of the API: list, show, preview the request, retry, cancel."""

from functools import partial

from bridge.core.access import Role
from bridge.core.records import DeliveryFilter
from bridge.deliveries.documents import DeliveryAlone, DeliveryInList, RequestDocument
from bridge.deliveries.service import Found, NotNow, Requests, RetryDelivery, Unknown
from bridge.history.history import SqlHistory
from bridge.hooks.names import AskedNames
from bridge.hooks.presenter import Addresses
from bridge.http.documents import CountedPageDocument, NotFound
from bridge.http.input import (
    EVENT_TYPE,
    HOOK,
    OUTCOME,
    SOURCE,
    SPAN,
    STATUS_CODE,
    STATUSES,
    CountedQuery,
    Given,
    Query,
    count_behind,
    one_of,
    read_page,
    text,
    uuid,
    when,
)
from bridge.http.operation import Call, Operation, OperationGroup, Problems, Reply, conflict, reading

_ONE = "/v1/deliveries/{id}"
_PROBLEMS: Problems = {Unknown: lambda _, __: NotFound(), NotNow: conflict}


class _DeliveriesQuery(CountedQuery, looks_up=True):
    hook = HOOK
    statuses = STATUSES
    type = EVENT_TYPE
    event_id = text("event_id", "Id of its event; its beginning is enough.")
    source = SOURCE
    outcome = OUTCOME
    status_code = STATUS_CODE
    reason = text("reason", "The reason of the status, whole.")
    replay = uuid("replay", "Id of a replay that took them.")
    span = SPAN
    updated = Given(
        lambda given: given.span("updated_from", "updated_to"),
        when("updated_from", "Became what it is from this moment on"),
        when("updated_to", "Became what it is before this moment"),
    )
    order = one_of(
        "order",
        ("received", "updated"),
        "By receipt of the event, or by when the delivery became what it is (a final one: final); "
        "default updated where `updated_from` or `updated_to` is given.",
    )


class DeliveryRoutes(OperationGroup):
    """The operations that read deliveries."""

    def __init__(
        self, records: SqlHistory, addresses: Addresses, names: AskedNames, requests: Requests
    ) -> None:
        self._records = records
        self._addresses = addresses
        self._names = names
        self._requests = requests

    @reading("deliveries.list", "/v1/deliveries", "List deliveries, newest first")
    async def _list(self, call: Call[_DeliveriesQuery, None]) -> CountedPageDocument[DeliveryInList]:
        which = await self._filter(call.query)
        found = await read_page(call.query, partial(self._records.deliveries, which))
        more = await count_behind(call.query, found, partial(self._records.deliveries_beyond, which))
        name_of = self._names.of_hook
        items = (DeliveryInList.of(each, name_of) for each in found.items)
        return CountedPageDocument.counted(items, found.next, more)

    async def _filter(self, query: _DeliveriesQuery) -> DeliveryFilter:
        by_update = query.updated != (None, None)
        if by_update and query.order == "received":
            query.wrong("order", "must be updated, as `updated_from` and `updated_to` are of that order")
        return DeliveryFilter(
            hook=await self._names.hook(query, query.hook),
            statuses=query.statuses,
            event_type=await self._names.event_type(query, query.type),
            event_id=await self._names.event(query, query.event_id),
            since=query.span[0],
            until=query.span[1],
            updated_since=query.updated[0],
            updated_until=query.updated[1],
            source=await self._names.source(query, query.source),
            reason=query.reason,
            outcome=query.outcome,
            status_code=query.status_code,
            replay=query.replay,
            by_update=by_update or query.order == "updated",
        )

    @reading("deliveries.show", _ONE, "Get a delivery with its attempts")
    async def _show(self, call: Call[Query, None]) -> DeliveryAlone:
        found = await self._records.delivery(call.id)
        if found is None:
            raise NotFound
        return _alone(found, self._addresses, self._names)

    @Operation(
        name="deliveries.request",
        path=f"{_ONE}/request",
        summary="Get the request that would be sent now, and whether it equals the last one",
        answers={200: RequestDocument},
        problems=_PROBLEMS,
        refusals=frozenset({409}),
    )
    async def _request(self, call: Call[Query, None]) -> Reply:
        document = await self._requests.of(call.id)
        return Reply(document=document, size=len(document.body_text or document.body_base64 or ""))


def _acting(verb: str, summary: str, status: int) -> Operation:
    return Operation(
        name=f"deliveries.{verb}",
        method="POST",
        path=f"{_ONE}/{verb}",
        summary=summary,
        role=Role.OPERATOR,
        answers={status: DeliveryAlone},
        problems=_PROBLEMS,
        refusals=frozenset({409}),
    )


class DeliveryActions(OperationGroup):
    """The operations that retry and cancel a delivery."""

    def __init__(self, restarting: RetryDelivery, addresses: Addresses, names: AskedNames) -> None:
        self._restarting = restarting
        self._addresses = addresses
        self._names = names

    @_acting("retry", "Retry a delivery, regardless of its status", 202)
    async def _retry(self, call: Call[Query, None]) -> Reply:
        return self._changed(await self._restarting.retry(call.id))

    @_acting("cancel", "Cancel a waiting delivery", 200)
    async def _cancel(self, call: Call[Query, None]) -> Reply:
        return self._changed(await self._restarting.cancel(call.id))

    def _changed(self, found: Found) -> Reply:
        changed = {"hook": found[0].hook, "generation": found[0].generation}
        return Reply(document=_alone(found, self._addresses, self._names), changed=changed)


def _alone(found: Found, addresses: Addresses, names: AskedNames) -> DeliveryAlone:
    known, attempts = found
    return DeliveryAlone.of(known, attempts, addresses.of(known.hook), names.of_hook)
