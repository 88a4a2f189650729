"""Messages that could not be handled, over HTTP: looked at, put back, dropped."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

from aiohttp import web

from bridge.core.access import Role
from bridge.core.errors import BrokerRefused, BrokerUnavailable, PublishFailed
from bridge.core.records import REASONS, KnownQuarantined, QuarantineFilter
from bridge.events.documents import (
    AskedQuarantine,
    DroppedManyDocument,
    QuarantinedAlone,
    QuarantinedInList,
    RequeuedDocument,
    RequeuedManyDocument,
    quarantined_alone,
    quarantined_in_list,
)
from bridge.hooks.names import AskedNames
from bridge.http.body import answer, body_of, large, page, unfit
from bridge.http.documents import PageDocument
from bridge.http.input import PAGE, PAGED, SOURCE, SPAN, Parameters, flag, not_found, path_id, read_page, text
from bridge.http.operation import CHANGED, UNCHANGED, Operation
from bridge.http.problem import Refused
from bridge.publishing.api import body_faults, content_of, header_faults
from bridge.publishing.documents import RequeueBody
from bridge.quarantine.service import LANES, Correction, NoWayBack, Requeuing
from bridge.settings.shape import nearest

_PATH = "/v1/quarantine"
_PATIENCE = 30.0
_RETRY_AFTER = "5"
_REASON = text("reason", "Why it could not be handled, as one word.")
_BACK = """
Publishes its bytes, headers and properties into the queue of its source, waits for the broker's confirm, then deletes
it here. A crash in between leaves it here as well. What still cannot be handled comes back with a new id.
One message may be corrected on its way: its body, its headers, its type.
"""


class QuarantineRoutes:
    """What a person does with messages in quarantine."""

    def __init__(self, requeuing: Requeuing, names: AskedNames) -> None:
        self._requeuing = requeuing
        self._names = names

    def operations(self) -> Sequence[Operation]:
        return [*self._looking(), *self._acting()]

    def _looking(self) -> list[Operation]:
        return [
            Operation(
                name="quarantine.list",
                method="GET",
                path=_PATH,
                summary="Messages that could not be handled, the newest first",
                handler=self._list,
                parameters=(SOURCE, _REASON, *SPAN, *PAGE),
                answers={200: PageDocument[QuarantinedInList]},
            ),
            Operation(
                name="quarantine.show",
                method="GET",
                path=f"{_PATH}/{{id}}",
                summary="One message, byte for byte",
                handler=self._show,
                answers={200: QuarantinedAlone},
            ),
            Operation(
                name="quarantine.body",
                method="GET",
                path=f"{_PATH}/{{id}}/body",
                summary="Its bytes alone",
                handler=self._body,
                answers={200: bytes},
            ),
        ]

    def _acting(self) -> list[Operation]:
        return [
            _changing(
                "quarantine.requeue",
                f"{_PATH}/{{id}}/requeue",
                "Put a message back into the queue of its source",
                self._requeue,
                {200: RequeuedDocument, 202: RequeuedDocument},
                body=RequeueBody,
                body_required=False,
            ),
            _changing(
                "quarantine.requeue_many",
                f"{_PATH}/requeue",
                "Put all messages back that fit",
                self._requeue_many,
                {200: RequeuedManyDocument},
                body=AskedQuarantine,
            ),
            *self._dropping(),
        ]

    def _dropping(self) -> list[Operation]:
        return [
            Operation(
                name="quarantine.drop",
                method="DELETE",
                path=f"{_PATH}/{{id}}",
                summary="Delete a message for good",
                handler=self._drop,
                role=Role.OPERATOR,
                answers={204: None},
            ),
            Operation(
                name="quarantine.drop_many",
                method="DELETE",
                path=_PATH,
                summary="Delete all messages for good that fit",
                handler=self._drop_many,
                role=Role.OPERATOR,
                parameters=(
                    SOURCE,
                    _REASON,
                    *SPAN,
                    flag("all", "true: all of them, where nothing else is given."),
                ),
                answers={200: DroppedManyDocument},
            ),
        ]

    # ---- looking --------------------------------------------------------------------------------------

    async def _list(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*PAGED, "source", "reason", "from", "to"))
        found = await read_page(given, partial(self._requeuing.page, await self._filter(given)))
        return page(map(quarantined_in_list, found.items), found.next)

    async def _filter(self, given: Parameters) -> QuarantineFilter:
        reason = given.text("reason")
        if reason is not None and (fault := await self._no_reason(reason)):
            given.unknown("reason", fault)
        return QuarantineFilter(await self._source(given), reason, *given.span())

    async def _source(self, given: Parameters) -> str | None:
        return LANES if given.text("source") == LANES else await self._names.source(given)

    async def _no_reason(self, reason: str) -> str:
        """Why nothing can be there for it; empty: something can."""
        if reason in REASONS:
            return ""
        there = await self._requeuing.page(QuarantineFilter(None, reason), after=None, limit=1)
        return (
            "" if there.items or there.next else f"nothing is there for {reason!r}{nearest(reason, REASONS)}"
        )

    async def _show(self, request: web.Request) -> web.Response:
        known = await self._known(request)
        return await large(partial(quarantined_alone, known), len(known.message.body))

    async def _body(self, request: web.Request) -> web.Response:
        known = await self._known(request)
        # Of whatever kind it is: nobody's browser is to make something of it.
        headers = {"Content-Disposition": f'attachment; filename="{known.id}"'}
        return web.Response(body=known.message.body, content_type="application/octet-stream", headers=headers)

    async def _known(self, request: web.Request) -> KnownQuarantined:
        Parameters(request).check()
        known = await self._requeuing.one(path_id(request))
        if known is None:
            raise not_found(request)
        return known

    # ---- changing -------------------------------------------------------------------------------------

    async def _requeue(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        asked = await body_of(request, RequeueBody, optional=True)
        correction = _correction(asked)
        async with _broker_as_503():
            do = self._requeuing.rehearse if asked.dry_run else self._requeuing.requeue
            back = await do(path_id(request), correction)
        if back is None:
            raise not_found(request)
        request[CHANGED] = {"source": back.source, "corrected": sorted(asked.model_fields_set - {"dry_run"})}
        request[UNCHANGED] = asked.dry_run
        response = answer(asdict(back) | {"dry_run": asked.dry_run})
        response.set_status(200 if asked.dry_run else 202)
        return response

    async def _requeue_many(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        asked = await body_of(request, AskedQuarantine)
        if faults := [fault async for fault in self._faults_of(asked)]:
            raise unfit(faults)
        async with _broker_as_503():
            tally = await self._requeuing.requeue_all(QuarantineFilter(asked.source, asked.reason))
        _tell(request, {"requeued": tally.done, "source": asked.source, "reason": asked.reason})
        document = {"requeued": tally.done, "kept": tally.stay, "error": tally.why or None}
        return answer(document | {"more": tally.more})

    async def _faults_of(self, asked: AskedQuarantine) -> AsyncIterator[tuple[str, str]]:
        if asked.reason is not None and (fault := await self._no_reason(asked.reason)):
            yield "reason", fault
        if asked.source not in {None, LANES} and (fault := await self._names.no_source(asked.source)):
            yield "source", fault

    async def _drop(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        if not await self._requeuing.drop(path_id(request)):
            raise not_found(request)
        return web.Response(status=204)

    async def _drop_many(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("source", "reason", "from", "to", "all"))
        which, everything = await self._filter(given), given.flag("all")
        if not everything and not any(given.has(name) for name in ("source", "reason", "from", "to")):
            given.wrong("all", "must be true to delete everything; or give a source, a reason, from or to")
        given.check()
        tally = await self._requeuing.drop_all(which)
        _tell(request, {"dropped": tally.done, "source": which.source, "reason": which.reason})
        return answer({"dropped": tally.done, "more": tally.more})


def _changing(
    name: str,
    path: str,
    summary: str,
    handler: Any,
    answers: dict[int, Any],
    *,
    body: Any,
    body_required: bool = True,
) -> Operation:
    return Operation(
        name=name,
        method="POST",
        path=path,
        summary=summary,
        description=_BACK.strip(),
        handler=handler,
        role=Role.OPERATOR,
        body=body,
        body_required=body_required,
        answers=answers,
        refusals=frozenset({409}),
    )


def _correction(asked: RequeueBody) -> Correction:
    """Raises Refused (422) for what no message can have."""
    if faults := [*body_faults(asked, needed=False), *header_faults(asked.headers)]:
        raise unfit(faults)
    return Correction(
        content_of(asked) if asked.given() else None,
        asked.type,
        asked.content_type,
        asked.content_encoding,
        asked.headers,
    )


def _tell(request: web.Request, changed: dict[str, Any]) -> None:
    """Whoever found nothing changed nothing."""
    request[CHANGED] = {name: value for name, value in changed.items() if value is not None}
    if not any(isinstance(value, int) and value for value in changed.values()):
        request[UNCHANGED] = True


@asynccontextmanager
async def _broker_as_503() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_PATIENCE):
            yield
    except (NoWayBack, BrokerRefused) as error:
        raise Refused(409, str(error)) from error
    except (PublishFailed, BrokerUnavailable, TimeoutError) as error:
        detail = f"the broker does not take it now: {str(error) or 'no answer'}"
        raise Refused(503, detail, headers={"Retry-After": _RETRY_AFTER}) from error
