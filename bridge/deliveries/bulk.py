"""Retrying and cancelling many deliveries in one request: those with these ids, or those that fit a filter."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated, Any

from pydantic import Field

from bridge.core.access import Role
from bridge.core.base import StrictModel
from bridge.core.delivery import FINAL, Status
from bridge.core.records import DeliveryFilter, KnownDelivery
from bridge.deliveries.service import RetryDelivery
from bridge.history.history import SqlHistory
from bridge.hooks.names import KnownNames, UnknownName
from bridge.http.body import unfit
from bridge.http.documents import ClosedDocument
from bridge.http.input import Query, is_id
from bridge.http.operation import Call, Operation, OperationGroup, Reply
from bridge.measuring.spans import moment
from bridge.replays.documents import MOST_IDS, Statuses

MOST = 10_000
"""Maximum deliveries of one request."""
PATIENCE = 20.0
"""Seconds that a request may take, since a client waits for it."""
_AT_ONCE = 200
_WAITING = frozenset(Status) - FINAL
_MOMENTS = ("from", "to", "updated_from", "updated_to")


class AskedDeliveries(StrictModel):
    """A filter of deliveries, which have to match every given field; as the parameters of the list."""

    hook: str | None = Field(default=None, min_length=1, max_length=67)
    """Id or name of their hook."""
    status: Statuses | None = None
    """Their status; default: FAILED to retry, those that wait to cancel."""
    type: str | None = Field(default=None, min_length=1, max_length=255)
    """Type of their event."""
    source: str | None = Field(default=None, min_length=1, max_length=64)
    """Source of their event."""
    outcome: str | None = Field(default=None, min_length=1, max_length=64)
    """Outcome of their last attempt."""
    status_code: int | None = None
    """HTTP status or exit code of their last attempt."""
    reason: str | None = Field(default=None, min_length=1, max_length=512)
    """Reason of their status."""
    replay: str | None = Field(default=None, min_length=36, max_length=36)
    """Id of a replay that took them."""
    from_: str | None = Field(default=None, alias="from", min_length=1, max_length=64)
    """Only events received from then on."""
    to: str | None = Field(default=None, min_length=1, max_length=64)
    """Only events received before that."""
    updated_from: str | None = Field(default=None, min_length=1, max_length=64)
    """Only those that became what they are from then on."""
    updated_to: str | None = Field(default=None, min_length=1, max_length=64)
    """Only those that became what they are before that."""


class BulkBody(StrictModel):
    """The deliveries to retry or cancel: `ids`, or `filter`."""

    ids: Annotated[list[str], Field(min_length=1, max_length=MOST_IDS)] | None = None
    """Ids of deliveries."""
    filter: AskedDeliveries | None = None
    """Filter of deliveries."""
    dry_run: bool = False
    """true: only count them."""


class BulkDocument(ClosedDocument):
    """The result for many deliveries."""

    dry_run: bool
    """true: nothing was changed."""
    count: Annotated[int, Field(ge=0)]
    """Number of deliveries that were retried or cancelled, or would be."""
    left_out: Annotated[int, Field(ge=0)]
    """Number of further ones that cannot be: their hook is gone or disabled, their event is gone, or they became final."""
    exact: bool
    """false: there are more; the count ended at 10,000, or after 20 s."""


class Bulk:
    """Counts, retries and cancels deliveries, page by page."""

    def __init__(self, records: SqlHistory, restarting: RetryDelivery) -> None:
        self._records = records
        self._restarting = restarting

    async def count(
        self, pages: AsyncIterator[Sequence[KnownDelivery]], fits: Callable[[KnownDelivery], bool]
    ) -> BulkDocument:
        """Returns the number of deliveries that may be changed."""

        async def look(some: Sequence[KnownDelivery]) -> int:
            return sum(map(fits, some))

        return await self._each(pages, look, dry_run=True)

    async def change(
        self,
        pages: AsyncIterator[Sequence[KnownDelivery]],
        fits: Callable[[KnownDelivery], bool],
        do: Callable[[Sequence[KnownDelivery]], Awaitable[int]],
    ) -> BulkDocument:
        """Does this with the deliveries that may be changed."""

        async def change(some: Sequence[KnownDelivery]) -> int:
            return await do([each for each in some if fits(each)])

        return await self._each(pages, change, dry_run=False)

    async def _each(
        self,
        pages: AsyncIterator[Sequence[KnownDelivery]],
        do: Callable[[Sequence[KnownDelivery]], Awaitable[int]],
        *,
        dry_run: bool,
    ) -> BulkDocument:
        ends_at = time.monotonic() + PATIENCE
        count = left_out = 0
        async for some in pages:
            if count >= MOST or time.monotonic() > ends_at:
                return BulkDocument(dry_run=dry_run, count=count, left_out=left_out, exact=False)
            done = await do(some)
            count, left_out = count + done, left_out + len(some) - done
        return BulkDocument(dry_run=dry_run, count=count, left_out=left_out, exact=True)

    async def named(self, ids: Sequence[str]) -> AsyncIterator[Sequence[KnownDelivery]]:
        """Yields the deliveries with these ids that exist."""
        for each in dict.fromkeys(ids):
            if (found := await self._records.delivery(each)) is not None:
                yield [found[0]]

    async def fitting(self, which: DeliveryFilter) -> AsyncIterator[Sequence[KnownDelivery]]:
        """Yields the deliveries that fit, newest first."""
        after: str | None = None
        while True:
            page = await self._records.deliveries(which, after=after, limit=_AT_ONCE)
            yield page.items
            after = page.next
            if after is None:
                return


def _bulk(verb: str, summary: str, example: dict[str, Any]) -> Operation:
    return Operation(
        name=f"deliveries.{verb}_many",
        method="POST",
        path=f"/v1/deliveries/{verb}",
        summary=summary,
        role=Role.OPERATOR,
        example=example,
        answers={200: BulkDocument},
    )


class BulkRoutes(OperationGroup):
    """The operations on many deliveries."""

    def __init__(self, records: SqlHistory, restarting: RetryDelivery, names: KnownNames) -> None:
        self._bulk = Bulk(records, restarting)
        self._restarting = restarting
        self._names = names

    @_bulk(
        "retry",
        "Retry the deliveries with these ids, or those that fit a filter",
        {"filter": {"hook": "crm", "status_code": 503, "updated_from": "-1h"}, "dry_run": True},
    )
    async def _retry(self, call: Call[Query, BulkBody]) -> Reply:
        return await self._answer(
            call.body, frozenset({Status.FAILED}), self._restarting.may_retry, self._restarting.retry_some
        )

    @_bulk(
        "cancel",
        "Cancel the waiting deliveries with these ids, or those that fit a filter",
        {"filter": {"hook": "crm", "reason": "hook_paused"}},
    )
    async def _cancel(self, call: Call[Query, BulkBody]) -> Reply:
        return await self._answer(
            call.body, _WAITING, lambda each: each.status in _WAITING, self._restarting.cancel_some
        )

    async def _answer(
        self,
        body: BulkBody,
        usual: frozenset[Status],
        fits: Callable[[KnownDelivery], bool],
        do: Callable[[Sequence[KnownDelivery]], Awaitable[int]],
    ) -> Reply:
        if (body.ids is None) == (body.filter is None):
            raise unfit([("ids", "give either `ids` or `filter`")])
        if body.ids is not None:
            if wrong := [number for number, each in enumerate(body.ids) if not is_id(each)]:
                raise unfit([(f"ids[{number}]", "must be a UUID") for number in wrong])
            pages = self._bulk.named([each.lower() for each in body.ids])
        else:
            assert body.filter is not None
            pages = self._bulk.fitting(await self._filter(body.filter, usual))
        if body.dry_run:
            return Reply(document=await self._bulk.count(pages, fits), changed=None)
        done = await self._bulk.change(pages, fits, do)
        asked = (
            {"ids": len(body.ids)}
            if body.ids
            else {"filter": body.filter.model_dump(mode="json", exclude_none=True, by_alias=True)}
            if body.filter
            else {}
        )
        return Reply(document=done, changed={"count": done.count, **asked})

    async def _filter(self, asked: AskedDeliveries, usual: frozenset[Status]) -> DeliveryFilter:
        faults: list[tuple[str, str]] = []
        found: dict[str, Any] = {}
        for name, find in (
            ("hook", self._names.hook),
            ("type", self._names.event_type),
            ("source", self._names.source),
        ):
            try:
                text = getattr(asked, name)
                found[name] = None if text is None else await find(text)
            except UnknownName as error:
                faults.append((f"filter.{name}", str(error)))
        for name in _MOMENTS:
            try:
                text = getattr(asked, "from_" if name == "from" else name)
                found[name] = None if text is None else moment(text, time.time(), end=name.endswith("to"))
            except ValueError as error:
                faults.append((f"filter.{name}", str(error)))
        if asked.replay is not None and not is_id(asked.replay):
            faults.append(("filter.replay", "must be a UUID"))
        if faults:
            raise unfit(faults)
        by_update = (found["updated_from"], found["updated_to"]) != (None, None)
        return DeliveryFilter(
            hook=found["hook"], statuses=frozenset(asked.status or usual), event_type=found["type"], source=found["source"],
            since=found["from"], until=found["to"], updated_since=found["updated_from"], updated_until=found["updated_to"],
            outcome=asked.outcome, status_code=asked.status_code, reason=asked.reason, replay=asked.replay, by_update=by_update,
        )  # fmt: skip
