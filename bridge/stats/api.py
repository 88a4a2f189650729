"""Statistics over HTTP: of hooks, and of what sources measure."""

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, cast

from aiohttp import web
from pydantic import WithJsonSchema

from bridge.core.statistics import Grain
from bridge.hooks.names import AskedNames
from bridge.http.body import answer
from bridge.http.input import EVENT_TYPE, HOOK, SOURCE, Name, Parameters, invalid, no_hook, one_of
from bridge.http.operation import Operation, Parameter
from bridge.settings.shape import nearest
from bridge.stats.documents import (
    FROM,
    TO,
    DimensionsDocument,
    HookStatsDocument,
    MeasuresDocument,
    StatsDocument,
    TopDocument,
    asked_span,
)
from bridge.stats.measures import Measures
from bridge.stats.service import HookStatistics, TooManySteps

_GRAINS = ("minute", "hour", "day")
_COARSE = ("hour", "day")
TOP_LIMIT = 10
TOP = Parameter(
    "limit",
    Annotated[int, WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 200, "default": TOP_LIMIT})],
    "How many there may be.",
)


class StatisticsRoutes:
    """Reads, and changes nothing."""

    def __init__(
        self,
        hooks: HookStatistics,
        measures: Measures,
        hook_id: Callable[[str], str | None],
        names: AskedNames,
    ) -> None:
        """`hook_id` gives the id of the hook that an id or a name means, None where there is none."""
        self._hooks = hooks
        self._measures = measures
        self._hook_id = hook_id
        self._names = names

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                name="hooks.stats",
                method="GET",
                path="/v1/hooks/{id}/stats",
                summary="How a hook fares: deliveries, success rate, response times",
                handler=self._hook,
                parameters=(FROM, TO),
                answers={200: HookStatsDocument},
            ),
            Operation(
                name="stats.show",
                method="GET",
                path="/v1/stats",
                summary="How hooks fare, together and one by one; with `by` step by step",
                handler=self._overall,
                parameters=(
                    FROM,
                    TO,
                    HOOK,
                    one_of("by", _GRAINS, "Tell the series of minutes, hours or days."),
                ),
                answers={200: StatsDocument},
            ),
            *self._of_measures(),
        ]

    def _of_measures(self) -> list[Operation]:
        return [
            Operation(
                name="stats.dimensions",
                method="GET",
                path="/v1/stats/dimensions",
                summary="What is measured of a source's events",
                handler=self._dimensions,
                parameters=(SOURCE,),
                answers={200: DimensionsDocument},
            ),
            Operation(
                name="stats.top",
                method="GET",
                path="/v1/stats/top",
                summary="The values of a dimension with the most events, or the greatest sum",
                handler=self._top,
                parameters=(
                    SOURCE,
                    Parameter("dimension", Name, "Name of the dimension.", required=True),
                    Parameter(
                        "order", Name, "events (default), or the name of a dimension that is a number."
                    ),
                    EVENT_TYPE,
                    FROM,
                    TO,
                    TOP,
                ),
                answers={200: TopDocument},
            ),
            self._of_steps(),
        ]

    def _of_steps(self) -> Operation:
        return Operation(
            name="stats.measures",
            method="GET",
            path="/v1/stats/measures",
            summary="How many events, and the sums of their numbers, step by step",
            handler=self._series,
            parameters=(
                SOURCE,
                one_of("by", _COARSE, "Length of a step; default day."),
                EVENT_TYPE,
                FROM,
                TO,
            ),
            answers={200: MeasuresDocument},
        )

    async def _hook(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("from", "to"))
        asked = asked_span(given)
        given.check()
        which = request.match_info["id"]
        hook = self._hook_id(which)
        if hook is None:
            raise no_hook(request, self._names.nearest_hook(which))
        return answer(await self._hooks.of_hook(hook, asked))

    async def _overall(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("from", "to", "hook", "by"))
        asked, hook = asked_span(given), await self._names.hook(given)
        by = cast("Grain | None", given.word("by", _GRAINS))
        given.check()
        try:
            return answer(await self._hooks.overall(asked, hook, by))
        except TooManySteps as error:
            raise invalid([("by", str(error))]) from None

    async def _dimensions(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("source",))
        source = self._source(given)
        given.check()
        return answer({"source": source, "items": self._measures.dimensions(source)})

    async def _top(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("source", "dimension", "order", "type", "from", "to", "limit"))
        source, asked = self._source(given), asked_span(given)
        kind = await self._names.event_type(given)
        known = self._measures.dimensions(source)
        dimension, order = given.name("dimension"), given.name("order") or "events"
        if dimension is None:
            given.wrong("dimension", "is missing")
        elif dimension not in known:
            given.wrong("dimension", self._unknown(source, known))
        if order not in {"events", *known}:
            given.wrong("order", f"must be events, or a dimension: {self._unknown(source, known)}")
        limit = given.limit(TOP_LIMIT)
        given.check()
        found = await self._measures.top(
            source, dimension or "", asked, order=order, limit=limit, event_type=kind
        )
        return answer(found)

    async def _series(self, request: web.Request) -> web.Response:
        given = Parameters(request, ("source", "by", "type", "from", "to"))
        source, asked = self._source(given), asked_span(given)
        kind = await self._names.event_type(given)
        by = cast("Literal['hour', 'day']", given.word("by", _COARSE) or "day")
        given.check()
        return answer(await self._measures.series(source, by, asked, kind))

    def _source(self, given: Parameters) -> str:
        """The source that is named; may be left out where only one measures anything."""
        source, measuring = given.name("source"), self._measures.sources
        if source is None:
            if len(measuring) != 1:
                among = ", ".join(measuring[:20]) or "none measures anything (`sources[].dimensions`)"
                given.wrong("source", f"is missing; there are: {among}")
                return ""
            return measuring[0]
        if not self._measures.knows(source):
            given.unknown("source", f"there is no source {source!r}{nearest(source, measuring)}")
        return source

    def _unknown(self, source: str, known: Sequence[str]) -> str:
        return f"source {source} has {', '.join(known) or 'none (`sources[].dimensions`)'}"
