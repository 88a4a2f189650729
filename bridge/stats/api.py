"""The statistics operations of the API: on hooks, and on the measures of sources."""

from collections.abc import Callable
from typing import Literal, cast

from bridge.core.records import Grain
from bridge.hooks.names import AskedNames
from bridge.http.documents import NotFound
from bridge.http.input import (
    EVENT_TYPE,
    HOOK,
    SOURCE,
    SPAN,
    Given,
    Name,
    Parameter,
    Query,
    at_most,
    invalid,
    name,
    one_of,
)
from bridge.http.operation import Call, Operation, OperationGroup, reading
from bridge.settings.shape import nearest
from bridge.stats import documents
from bridge.stats.service import HookStatistics, Measures, TimeRange, TooManySteps

MOST_HOOKS = 50
TOP = at_most(10, "How many there may be.")


class _HookQuery(Query):
    span = SPAN


class _OverallQuery(Query, looks_up=True):
    span = SPAN
    hook = HOOK
    by = one_of("by", ("minute", "hour", "day"), "Tell the series of minutes, hours or days.")


class _ManyQuery(Query, looks_up=True):
    hooks = Given(
        lambda given: list(dict.fromkeys(given.all("hook"))),
        Parameter("hook", list[Name], "Id or name of a hook; may be repeated, up to 50 times."),
    )
    by = one_of("by", ("minute", "hour", "day"), "Length of a step; default hour.")
    span = SPAN


class _SourceQuery(Query, looks_up=True):
    source = SOURCE


class _TopQuery(Query, looks_up=True):
    source = SOURCE
    dimension = name("dimension", "Name of the dimension.", required=True)
    order = name("order", "events (default), or the name of a dimension that is a number.")
    type = EVENT_TYPE
    span = SPAN
    limit = TOP


class _SeriesQuery(Query, looks_up=True):
    source = SOURCE
    by = one_of("by", ("hour", "day"), "Length of a step; default day.")
    type = EVENT_TYPE
    span = SPAN


class _FailuresQuery(Query, looks_up=True):
    hook = HOOK
    span = SPAN
    limit = at_most(50, "How many combinations of hook, outcome and code there may be.")


class StatisticsRoutes(OperationGroup):
    """The operations that read statistics."""

    def __init__(
        self,
        hooks: HookStatistics,
        measures: Measures,
        hook_id: Callable[[str], str | None],
        names: AskedNames,
    ) -> None:
        """`hook_id` returns the id of the hook with an id or name, None if it does not exist."""
        self._hooks = hooks
        self._measures = measures
        self._hook_id = hook_id
        self._names = names

    @reading(
        "hooks.stats",
        "/v1/hooks/{id}/stats",
        "Get statistics of a hook: deliveries, success rate, response times",
    )
    async def _hook(self, call: Call[_HookQuery, None]) -> documents.HookStatsDocument:
        hook = self._hook_id(call.which)
        if hook is None:
            raise NotFound(f"no hook has this name or id{self._names.nearest_hook(call.which)}")
        return await self._hooks.of_hook(hook, TimeRange(*call.query.span))

    @Operation(
        name="stats.show",
        path="/v1/stats",
        summary="Get statistics of all hooks; with `by` as a time series",
        problems={TooManySteps: lambda error, _: invalid([("by", str(error))])},
    )
    async def _overall(self, call: Call[_OverallQuery, None]) -> documents.StatsDocument:
        query = call.query
        hook = await self._names.hook(query, query.hook)
        query.check()
        return await self._hooks.overall(TimeRange(*query.span), hook, cast("Grain | None", query.by))

    @Operation(
        name="stats.series",
        path="/v1/stats/series",
        summary="Get the time series of several hooks, such as 24 hours of 50 hooks",
        problems={TooManySteps: lambda error, _: invalid([("by", str(error))])},
    )
    async def _many(self, call: Call[_ManyQuery, None]) -> documents.ManySeriesDocument:
        query = call.query
        if not 1 <= len(query.hooks) <= MOST_HOOKS:
            query.wrong("hook", f"must be given, and at most {MOST_HOOKS} times")
        hooks = [await self._names.hook(query, each) for each in query.hooks[:MOST_HOOKS]]
        query.check()
        by = cast("Grain", query.by or "hour")
        known = [hook for hook in dict.fromkeys(hooks) if hook is not None]
        return await self._hooks.series(TimeRange(*query.span), known, by)

    @reading("failures.list", "/v1/failures", "Count failures by hook, outcome and code, most attempts first")
    async def _failures(self, call: Call[_FailuresQuery, None]) -> documents.FailuresDocument:
        query = call.query
        hook = await self._names.hook(query, query.hook)
        query.check()
        return await self._hooks.failures(TimeRange(*query.span), hook, query.limit)

    @reading("stats.dimensions", "/v1/stats/dimensions", "List the dimensions of a source's events")
    async def _dimensions(self, call: Call[_SourceQuery, None]) -> documents.DimensionsDocument:
        source = self._source(call.query, call.query.source)
        call.query.check()
        return documents.DimensionsDocument(source=source, items=self._measures.dimensions(source))

    @reading(
        "stats.top", "/v1/stats/top", "List the values of a dimension with the most events or the highest sum"
    )
    async def _top(self, call: Call[_TopQuery, None]) -> documents.TopDocument:
        query = call.query
        source = self._source(query, query.source)
        kind = await self._names.event_type(query, query.type)
        known = self._measures.dimensions(source)
        told = f"source {source} has {', '.join(known) or 'none (`sources[].dimensions`)'}"
        order = query.order or "events"
        if query.dimension is None:
            query.wrong("dimension", "is missing")
        elif query.dimension not in known:
            query.wrong("dimension", told)
        if order not in {"events", *known}:
            query.wrong("order", f"must be events, or a dimension: {told}")
        query.check()
        return await self._measures.top(
            source,
            query.dimension or "",
            TimeRange(*query.span),
            order=order,
            limit=query.limit,
            event_type=kind,
        )

    @reading(
        "stats.measures",
        "/v1/stats/measures",
        "Get the number of events and the sums of dimensions as a time series",
    )
    async def _series(self, call: Call[_SeriesQuery, None]) -> documents.MeasuresDocument:
        query = call.query
        source = self._source(query, query.source)
        kind = await self._names.event_type(query, query.type)
        query.check()
        by = cast("Literal['hour', 'day']", query.by or "day")
        return await self._measures.series(source, by, TimeRange(*query.span), kind)

    def _source(self, query: Query, source: str | None) -> str:
        """Returns the source in the query; it may be omitted if only one source has measures."""
        measuring = self._measures.sources
        if source is None:
            if len(measuring) != 1:
                among = ", ".join(measuring[:20]) or "none measures anything (`sources[].dimensions`)"
                query.wrong("source", f"is missing; there are: {among}")
                return ""
            return measuring[0]
        if not self._measures.knows(source):
            query.unknown("source", f"there is no source {source!r}{nearest(source, measuring)}")
        return source
