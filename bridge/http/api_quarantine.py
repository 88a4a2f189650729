"""Messages that could not be handled, over HTTP."""

from collections.abc import Sequence
from functools import partial

from aiohttp import web

from bridge.admin.look_messages import quarantined_alone, quarantined_in_list
from bridge.http.api_answers import large, page
from bridge.http.api_pages import PAGED, read_page
from bridge.http.api_parameters import Parameters, not_found, path_id
from bridge.http.described import PAGE, SOURCE
from bridge.http.operation import Operation
from bridge.model.documents import PageDocument, QuarantinedAlone, QuarantinedInList
from bridge.ports.records import Records


class QuarantineRoutes:
    """Looking at what could not be handled."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                name="quarantine.list",
                method="GET",
                path="/v1/quarantine",
                summary="Messages that could not be handled",
                handler=self._list,
                parameters=(SOURCE, *PAGE),
                answers={200: PageDocument[QuarantinedInList]},
            ),
            Operation(
                name="quarantine.show",
                method="GET",
                path="/v1/quarantine/{id}",
                summary="One, byte for byte",
                handler=self._show,
                answers={200: QuarantinedAlone},
            ),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        given = Parameters(request, (*PAGED, "source"))
        found = await read_page(given, partial(self._records.quarantine, given.name("source")))
        return page(map(quarantined_in_list, found.items), found.next)

    async def _show(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        known = await self._records.quarantined(path_id(request))
        if known is None:
            raise not_found(request)
        return await large(partial(quarantined_alone, known), len(known.message.body))
