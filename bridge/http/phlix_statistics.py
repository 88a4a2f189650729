"""Phlix's own statistics, under its paths and in its words, over the playbacks of all sources of its format."""

from collections.abc import Sequence

from aiohttp import web

from bridge.admin.measures import Measures
from bridge.http.api_answers import answer
from bridge.http.api_parameters import Parameters
from bridge.http.api_spans import FROM, SINCE, TO, asked_span
from bridge.http.api_statistics import TOP, TOP_LIMIT
from bridge.http.operation import Operation, reading
from bridge.model.documents.statistics import PlaybackDocument, TopMediaDocument, TopUsersDocument


class PhlixStatisticsRoutes:
    """Reads, and changes nothing."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures

    def operations(self) -> Sequence[Operation]:
        return [
            reading(
                "phlix.playback",
                "/v1/admin/stats/playback",
                "Phlix: playbacks day by day",
                self._playback,
                PlaybackDocument,
                FROM,
                TO,
            ),
            reading(
                "phlix.top_users",
                "/v1/admin/stats/top-users",
                "Phlix: who watches most",
                self._top_users,
                TopUsersDocument,
                TOP,
                SINCE,
            ),
            reading(
                "phlix.top_media",
                "/v1/admin/stats/top-media",
                "Phlix: what is watched most",
                self._top_media,
                TopMediaDocument,
                TOP,
                SINCE,
            ),
        ]

    async def _playback(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("from", "to"))
        asked = asked_span(given)
        given.check()
        return answer({"data": await self._measures.playback(asked)})

    async def _top_users(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("limit", "since"))
        asked, limit = asked_span(given, "since", None), given.limit(TOP_LIMIT)
        given.check()
        return answer({"data": await self._measures.top_users(asked, limit)})

    async def _top_media(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("limit", "since"))
        asked, limit = asked_span(given, "since", None), given.limit(TOP_LIMIT)
        given.check()
        return answer({"data": await self._measures.top_media(asked, limit)})
