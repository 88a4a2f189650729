"""The operation of the API that shows the overview."""

from bridge.http.input import Query
from bridge.http.operation import Call, OperationGroup, reading
from bridge.overview.documents import OverviewDocument
from bridge.overview.service import Overview


class OverviewRoutes(OperationGroup):
    """The operation that reads the overview."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    @reading("overview.show", "/v1/overview", "Get what needs attention, and the figures of the last hour")
    async def _show(self, _: Call[Query, None]) -> OverviewDocument:
        return await self._overview.now()
