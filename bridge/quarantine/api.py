"""The quarantine operations of the API: list, show, requeue, drop."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

from bridge.core.access import Role
from bridge.core.errors import BrokerRefused, BrokerUnavailable, PublishFailed
from bridge.core.records import REASONS, KnownQuarantined, QuarantineFilter
from bridge.events import documents
from bridge.hooks.names import AskedNames
from bridge.http.body import aside, raw_body, unfit
from bridge.http.documents import NotFound, PageDocument, RequestProblem
from bridge.http.input import SOURCE, SPAN, PageQuery, Query, flag, read_page, text
from bridge.http.operation import Call, Operation, OperationGroup, Reply, reading
from bridge.measuring.spans import moment
from bridge.publishing.api import RequeueBody, body_faults, content_of, header_faults
from bridge.quarantine.service import LANES, Correction, NoWayBack, Requeuing
from bridge.settings.shape import nearest

_PATH = "/v1/quarantine"
_ONE = f"{_PATH}/{{id}}"
_PATIENCE = 30.0
_RETRY_AFTER = "5"
_REASON = text("reason", "Why it could not be handled, as one word.")
_BACK = """
Publishes its bytes, headers and properties into the queue of its source, waits for the broker's confirm, then deletes
it here. A crash in between leaves it here as well. What still cannot be handled comes back with a new id.
One message may be corrected on its way: its body, its headers, its type.
"""


class _ListQuery(PageQuery, looks_up=True):
    source = SOURCE
    reason = _REASON
    span = SPAN


class _DropQuery(Query, looks_up=True):
    source = SOURCE
    reason = _REASON
    span = SPAN
    all = flag("all", "true: all of them, where nothing else is given.")


class QuarantineRoutes(OperationGroup):
    """The operations on quarantined messages."""

    def __init__(self, requeuing: Requeuing, names: AskedNames) -> None:
        self._requeuing = requeuing
        self._names = names

    # ---- reading --------------------------------------------------------------------------------------

    @reading("quarantine.list", _PATH, "List messages in quarantine, newest first")
    async def _list(self, call: Call[_ListQuery, None]) -> PageDocument[documents.QuarantinedInList]:
        which = await self._filter(call.query)
        found = await read_page(call.query, partial(self._requeuing.store.messages, which))
        return PageDocument.of(map(documents.QuarantinedInList.of, found.items), found.next)

    async def _filter(self, query: _ListQuery | _DropQuery) -> QuarantineFilter:
        source, reason = query.source, query.reason
        if reason is not None and (fault := await self._no_reason(reason)):
            query.unknown("reason", fault)
        if source != LANES:
            source = await self._names.source(query, source)
        return QuarantineFilter(source, reason, *query.span)

    async def _no_reason(self, reason: str) -> str:
        """Returns an error text if the quarantine cannot have this reason; else empty text."""
        if reason in REASONS:
            return ""
        of_it = QuarantineFilter(None, reason)
        there = await self._requeuing.store.messages(of_it, after=None, limit=1)
        return (
            "" if there.items or there.next else f"nothing is there for {reason!r}{nearest(reason, REASONS)}"
        )

    @reading("quarantine.show", _ONE, "Get a message from quarantine", documents.QuarantinedAlone)
    async def _show(self, call: Call[Query, None]) -> Reply:
        known = await self._known(call)
        size = len(known.message.body)
        return Reply(document=await aside(partial(documents.QuarantinedAlone.whole, known), size), size=size)

    @reading("quarantine.body", f"{_ONE}/body", "Get the body of a message", bytes)
    async def _body(self, call: Call[Query, None]) -> Reply:
        known = await self._known(call)
        # The content type is not passed on, so that no browser renders the body.
        headers = {"Content-Disposition": f'attachment; filename="{known.id}"'}
        return Reply(document=known.message.body, headers=headers)

    async def _known(self, call: Call[Query, None]) -> KnownQuarantined:
        known = await self._requeuing.store.message(call.id)
        if known is None:
            raise NotFound
        return known

    # ---- changing -------------------------------------------------------------------------------------

    @Operation(
        name="quarantine.requeue",
        method="POST",
        path=f"{_ONE}/requeue",
        summary="Requeue a message to the queue of its source",
        description=_BACK.strip(),
        role=Role.OPERATOR,
        body_required=False,
        answers={200: documents.RequeuedDocument, 202: documents.RequeuedDocument},
        refusals=frozenset({409}),
    )
    async def _requeue(self, call: Call[Query, RequeueBody]) -> Reply:
        asked = call.body
        correction = await aside(partial(_correction, asked), len(await raw_body(call.request)))
        async with _broker_as_503():
            do = self._requeuing.rehearse if asked.dry_run else self._requeuing.requeue
            back = await do(call.id, correction)
        if back is None:
            raise NotFound
        changed = {"source": back.source, "corrected": sorted(asked.model_fields_set - {"dry_run"})}
        return Reply(
            document=documents.RequeuedDocument(**asdict(back), dry_run=asked.dry_run),
            status=200 if asked.dry_run else 202,
            changed=None if asked.dry_run else changed,
        )

    @Operation(
        name="quarantine.requeue_many",
        method="POST",
        path=f"{_PATH}/requeue",
        summary="Requeue all matching messages",
        description=_BACK.strip(),
        role=Role.OPERATOR,
        answers={200: documents.RequeuedManyDocument},
        refusals=frozenset({409}),
    )
    async def _requeue_many(self, call: Call[Query, documents.AskedQuarantine]) -> Reply:
        asked = call.body
        span, faults = _span(asked)
        faults += [fault async for fault in self._faults_of(asked)]
        if faults:
            raise unfit(faults)
        async with _broker_as_503():
            tally = await self._requeuing.requeue_all(QuarantineFilter(asked.source, asked.reason, *span))
        document = documents.RequeuedManyDocument(
            requeued=tally.done, kept=tally.stay, error=tally.why or None, more=tally.more
        )
        return Reply(document=document, changed=_changed("requeued", tally.done, asked))

    async def _faults_of(self, asked: documents.AskedQuarantine) -> AsyncIterator[tuple[str, str]]:
        if asked.reason is not None and (fault := await self._no_reason(asked.reason)):
            yield "reason", fault
        if asked.source not in {None, LANES} and (fault := await self._names.no_source(asked.source)):
            yield "source", fault

    @Operation(
        name="quarantine.drop",
        method="DELETE",
        path=_ONE,
        summary="Delete a message from quarantine",
        role=Role.OPERATOR,
        answers={204: None},
    )
    async def _drop(self, call: Call[Query, None]) -> Reply:
        if not await self._requeuing.drop(call.id):
            raise NotFound
        return Reply()

    @Operation(
        name="quarantine.drop_many",
        method="DELETE",
        path=_PATH,
        summary="Delete all matching messages from quarantine",
        role=Role.OPERATOR,
        answers={200: documents.DroppedManyDocument},
    )
    async def _drop_many(self, call: Call[_DropQuery, None]) -> Reply:
        query = call.query
        which = await self._filter(query)
        if not query.all and not any(query.has(name) for name in ("source", "reason", "from", "to")):
            query.wrong("all", "must be true to delete everything; or give a source, a reason, from or to")
        query.check()
        tally = await self._requeuing.drop_all(which)
        document = documents.DroppedManyDocument(dropped=tally.done, more=tally.more)
        return Reply(document=document, changed=_changed("dropped", tally.done, which))


def _span(
    asked: documents.AskedQuarantine,
) -> tuple[tuple[float | None, float | None], list[tuple[str, str]]]:
    """Returns the span in Unix seconds, and what is wrong with it."""
    found: list[float | None] = []
    faults = []
    for name, given in (("from", asked.from_), ("to", asked.to)):
        try:
            found.append(None if given is None else moment(given, time.time(), end=name == "to"))
        except ValueError as error:
            found.append(None)
            faults.append((name, str(error)))
    return (found[0], found[1]), faults


def _changed(
    verb: str, done: int, which: documents.AskedQuarantine | QuarantineFilter
) -> dict[str, Any] | None:
    """Returns the changes for the audit log, None if no message was found."""
    told = {verb: done, "source": which.source, "reason": which.reason}
    return {name: value for name, value in told.items() if value is not None} if done else None


def _correction(asked: RequeueBody) -> Correction:
    """Returns the correction; raises RequestProblem (422) for values that no message can have."""
    if faults := [*body_faults(asked, needed=False), *header_faults(asked.headers)]:
        raise unfit(faults)
    return Correction(
        content_of(asked) if asked.given() else None,
        asked.type,
        asked.content_type,
        asked.content_encoding,
        asked.headers,
    )


@asynccontextmanager
async def _broker_as_503() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_PATIENCE):
            yield
    except (NoWayBack, BrokerRefused) as error:
        raise RequestProblem(409, str(error)) from error
    except (PublishFailed, BrokerUnavailable, TimeoutError) as error:
        detail = f"the broker does not take it now: {str(error) or 'no answer'}"
        raise RequestProblem(503, detail, headers={"Retry-After": _RETRY_AFTER}) from error
