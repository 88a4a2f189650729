"""What this process does now, over HTTP: sources, and why events go where they go."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from aiohttp import web

from bridge.admin.look_explain import Explain, asked
from bridge.admin.look_sources import Consumed, Counts, source_documents
from bridge.http.api_answers import LARGE, aside, large, page
from bridge.http.api_bodies import body_in_time
from bridge.http.api_parameters import Parameters, invalid
from bridge.http.described import PAGE
from bridge.http.operation import Operation, reading
from bridge.model.documents import PageDocument, SourceDocument
from bridge.model.errors import SettingsError
from bridge.model.source import Source

T = TypeVar("T")

_PAGED = ("limit", "cursor")
_CURSOR = re.compile(r"[A-Za-z0-9_-]{1,67}")


class LiveRoutes:
    """Reads, and changes nothing."""

    def __init__(
        self,
        sources: Sequence[Source],
        explain: Explain,
        *,
        consumed: Consumed,
        counts: Counts,
    ) -> None:
        self._sources = sources
        self._explain = explain
        self._consumed = consumed
        self._counts = counts

    def operations(self) -> Sequence[Operation]:
        return [
            reading(
                "sources.list",
                "/v1/sources",
                "Sources with their queues",
                self._list_sources,
                PageDocument[SourceDocument],
                *PAGE,
            ),
            Operation(
                name="explain.message",
                method="POST",
                path="/v1/explain",
                summary="What would come of a message, and why; nothing is delivered or recorded",
                handler=self._explain_message,
                body=dict[str, Any],
                answers={200: dict[str, Any]},
                audited=False,
            ),
        ]

    async def _list_sources(self, request: web.Request) -> web.Response:
        sources, following = _page(Parameters(request, _PAGED), self._sources, lambda source: source.name)
        return page(await source_documents(sources, self._consumed, self._counts), following)

    async def _explain_message(self, request: web.Request) -> web.Response:
        Parameters(request).check()
        body = await body_in_time(request)
        try:
            what = await aside(partial(asked, body), len(body))
            return await large(partial(self._explain.message, what), LARGE)
        except SettingsError as error:
            raise invalid((fault.path, fault.message) for fault in error.problems) from None


def _page(given: Parameters, items: Sequence[T], name: Callable[[T], str]) -> tuple[list[T], str | None]:
    """Items in the order of their names; the cursor is the last name of the page before."""
    limit, cursor = given.limit(), given.cursor()
    if cursor is not None and not _CURSOR.fullmatch(cursor):
        given.wrong("cursor", "is none of those that this list gave as `next`")
    given.check()
    left = sorted((item for item in items if cursor is None or name(item) > cursor), key=name)
    return left[:limit], name(left[limit - 1]) if len(left) > limit else None
