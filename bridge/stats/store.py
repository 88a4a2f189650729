"""Queries over the sums of statistics."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Table, func, select, union_all

from bridge.core.base import value
from bridge.core.records import Failures, Grain, HookHealth, Measured, MeasuredStep, Sums
from bridge.db.admin_tables import durations, failures, measures, sums
from bridge.db.engine import Reads, Store, Writes
from bridge.db.rows import storable
from bridge.db.scan import distinct
from bridge.db.upserts import padded
from bridge.history.retention import prune
from bridge.history.sums import ALL_EVENTS, ALL_HOOKS, NO_CODE, OTHER, read_health
from bridge.measuring.spans import DAY, FAR, HOUR, MINUTE, Step, pieces

# The queries over the measures of sources.


_AMOUNT = func.sum(measures.c.amount)
_MOST_LOOKED_UP = 50_000
_MOST_KINDS = 100


@value(frozen=True, slots=True)
class Which:
    """The selection of measures; `begin` and `end` are those of steps, in Unix seconds."""

    source: str
    dimension: str
    step: Step
    begin: int
    end: int
    event_type: str | None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Returns the selection as SQL conditions."""
        c, found = measures.c, self.of_source()
        if self.event_type is not None:
            found.append(c.event_type == storable(self.event_type))
        return [*found, c.start >= self.begin, c.start < self.end]

    def of_source(self) -> list[ColumnElement[bool]]:
        """Returns the conditions for source and dimension only."""
        c = measures.c
        return [c.grain == self.step, c.source == self.source, c.dimension == self.dimension]


def top(connection: Connection, which: Which, order: str, limit: int) -> list[Measured]:
    """Returns the keys with the greatest `order`, in descending order."""
    c = measures.c
    ranked = select(c.key).where(*which.conditions(), c.measure == order, c.key != OTHER).group_by(c.key)
    keys = connection.scalars(ranked.order_by(_AMOUNT.desc(), c.key).limit(limit)).all()
    if not keys:
        return []
    of_keys = select(c.key, c.measure, _AMOUNT).where(*_named(connection, which, keys))
    found: dict[str, dict[str, float]] = {key: {} for key in keys}
    for key, measure, amount in connection.execute(of_keys.group_by(c.key, c.measure)):
        found[key][measure] = amount
    return [Measured(key, *_told(amounts)) for key, amounts in found.items()]


def _named(connection: Connection, which: Which, keys: Sequence[str]) -> list[ColumnElement[bool]]:
    """Returns conditions that select the rows of these keys by their whole primary key, whose columns before `key` come from
    the rows of all events; if these are too many, a scan of the span is quicker.
    """
    c, every = measures.c, replace(which, dimension=ALL_EVENTS)
    there = connection.execute(
        select(c.start, c.event_type).where(*every.conditions(), c.measure == "")
    ).all()
    starts, types = {start for start, _ in there}, {OTHER, *(kind for _, kind in there)}
    kinds = distinct(connection, c.measure, *every.of_source(), most=_MOST_KINDS)
    if len(kinds) * len(starts) * len(types) * len(keys) > _MOST_LOOKED_UP:
        return [*which.conditions(), c.key.in_(padded(keys))]
    columns = ((c.measure, kinds), (c.start, starts), (c.event_type, types), (c.key, keys))
    named = [column.in_(padded(sorted(values))) for column, values in columns]
    of_type = [] if which.event_type is None else [c.event_type == storable(which.event_type)]
    return [*which.of_source(), *named, *of_type]


def series(connection: Connection, which: Which) -> Sequence[MeasuredStep]:
    """Returns each step that has an event."""
    c = measures.c
    chosen = select(c.start, c.measure, _AMOUNT).where(*which.conditions())
    found: dict[int, dict[str, float]] = {}
    for start, measure, amount in connection.execute(chosen.group_by(c.start, c.measure).order_by(c.start)):
        found.setdefault(start, {})[measure] = amount
    return [MeasuredStep(start, *_told(amounts)) for start, amounts in found.items()]


def _told(amounts: dict[str, Any]) -> tuple[int, dict[str, float]]:
    events = int(amounts.pop("", 0))
    return events, dict(sorted(amounts.items()))


STEPS: Mapping[Grain, Step] = {"minute": MINUTE, "hour": HOUR, "day": DAY}
_FIGURES = ("succeeded", "failed", "skipped", "attempts", "attempts_failed", "duration_ms")


def _sums_by_hook(connection: Connection, begin: int, end: int, most: int) -> dict[str, Sums]:
    """Returns the sums of the first hooks only: percentiles of thousands of hooks would be expensive."""
    if begin >= end:
        return {}
    c = _within(sums, begin, end)
    deliveries = func.sum(c.succeeded + c.failed + c.skipped)
    wanted = select(c.hook).where(c.hook != ALL_HOOKS).group_by(c.hook)
    hooks = connection.scalars(wanted.order_by(deliveries.desc(), c.hook).limit(most)).all()
    found = _sums_of(connection, hooks, begin, end)
    return {hook: found[hook] for hook in hooks}


def _failures(
    connection: Connection, hooks: Sequence[str] | None, begin: int, end: int, most: int
) -> list[Failures]:
    """Returns the most frequent failures of these hooks, None: of all."""
    if begin >= end:
        return []
    c = _within(failures, begin, end, hooks)
    attempts = func.sum(c.attempts)
    figures = (attempts, func.sum(c.deliveries), func.min(c.start), func.max(c.start + c.grain))
    chosen = select(c.hook, c.outcome, c.code, *figures).group_by(c.hook, c.outcome, c.code)
    ordered = chosen.order_by(attempts.desc(), c.hook, c.outcome, c.code).limit(most)
    return [
        Failures(hook, outcome, None if code == NO_CODE else code, *map(int, counts))
        for hook, outcome, code, *counts in connection.execute(ordered)
    ]


def _causes(connection: Connection, begins: Mapping[str, int], most: int) -> dict[str, list[Failures]]:
    """Returns the most frequent failures of each hook since the beginning that is given for it."""
    found: dict[str, list[Failures]] = {hook: [] for hook in begins}
    for begin in set(begins.values()):
        hooks = [hook for hook, each in begins.items() if each == begin]
        for each in _failures(connection, hooks, begin, FAR, most * len(hooks)):
            if len(found[each.hook]) < most:
                found[each.hook].append(each)
    return found


class SqlStatistics(Store):
    """The store that reads the statistics. Spans are whole buckets, in Unix seconds, from `begin` to `end`
    (exclusive); `widened` of bridge.measuring.spans makes them. Each method raises HistoryUnavailable.
    """

    sums_by_hook = Reads(_sums_by_hook)
    failures = Reads(_failures)
    causes = Reads(_causes)
    prune_statistics = Writes(prune)

    async def sums(self, hook: str | None, begin: int, end: int) -> Sums:
        found = await self.engine.read(partial(_sums_of, hooks=[hook or ALL_HOOKS], begin=begin, end=end))
        return found.get(hook or ALL_HOOKS, Sums(durations={}))

    async def series(
        self, hook: str | None, grain: Grain, begin: int, end: int
    ) -> Sequence[tuple[int, Sums]]:
        work = partial(_series, hook=hook or ALL_HOOKS, step=STEPS[grain], begin=begin, end=end)
        return await self.engine.read(work)

    async def many_series(
        self, hooks: Sequence[str], grain: Grain, begin: int, end: int
    ) -> Mapping[str, Sequence[tuple[int, Sums]]]:
        return await self.engine.read(partial(_many_series, hooks=hooks, grain=grain, begin=begin, end=end))

    async def health(self, hooks: Sequence[str] | None = None) -> Mapping[str, HookHealth]:
        if hooks is not None and not hooks:
            return {}
        return await self.engine.read(partial(read_health, hooks=None if hooks is None else list(hooks)))

    async def measured_top(
        self,
        source: str,
        dimension: str,
        *,
        order: str,
        begin: int,
        end: int,
        limit: int,
        event_type: str | None = None,
    ) -> Sequence[Measured]:
        """Returns the values with the greatest sums of the measure `order`; by the number of events if that is `events`."""
        which = Which(source, dimension, DAY, begin, end, event_type)
        measure = "" if order == "events" else order
        return await self.engine.read(partial(top, which=which, order=measure, limit=limit))

    async def measured_series(
        self, source: str, grain: Literal["hour", "day"], begin: int, end: int, event_type: str | None = None
    ) -> Sequence[MeasuredStep]:
        which = Which(source, "", STEPS[grain], begin, end, event_type)
        return await self.engine.read(partial(series, which=which))


def _sums_of(connection: Connection, hooks: Sequence[str], begin: int, end: int) -> dict[str, Sums]:
    if not hooks or begin >= end:
        return {}
    counted: dict[str, dict[int, int]] = {hook: {} for hook in hooks}
    c = _within(durations, begin, end, hooks)
    for hook, bucket, attempts in connection.execute(
        select(c.hook, c.bucket, func.sum(c.attempts)).group_by(c.hook, c.bucket)
    ):
        counted[hook][bucket] = attempts
    c = _within(sums, begin, end, hooks)
    figures = select(c.hook, *(func.sum(c[name]) for name in _FIGURES)).group_by(c.hook)
    return {hook: as_sums(found, counted[hook]) for hook, *found in connection.execute(figures)}


def _series(connection: Connection, hook: str, step: Step, begin: int, end: int) -> list[tuple[int, Sums]]:
    c = sums.c
    where = (c.grain == step, c.hook == hook, c.start >= begin, c.start < end)
    rows = connection.execute(
        select(c.start, *(c[name] for name in _FIGURES)).where(*where).order_by(c.start)
    )
    return [(start, as_sums(figures, None)) for start, *figures in rows]


def _many_series(
    connection: Connection, hooks: Sequence[str], grain: Grain, begin: int, end: int
) -> dict[str, list[tuple[int, Sums]]]:
    """Returns the steps of each hook that have a delivery or attempt, in order."""
    c, found = sums.c, {hook: list[tuple[int, Sums]]() for hook in hooks}
    where = (c.grain == STEPS[grain], c.hook.in_(padded(hooks)), c.start >= begin, c.start < end)
    rows = select(c.hook, c.start, *(c[name] for name in _FIGURES)).where(*where).order_by(c.hook, c.start)
    for hook, start, *figures in connection.execute(rows):
        found[hook].append((start, as_sums(figures, None)))
    return found


def as_sums(figures: Sequence[Any], counted: Mapping[int, int] | None) -> Sums:
    """Returns figures in the order of the table's columns; PostgreSQL returns sums of integers as decimals."""
    succeeded, failed, skipped, attempts, attempts_failed = map(int, figures[:-1])
    return Sums(
        succeeded,
        failed,
        skipped,
        attempts,
        attempts_failed,
        duration_ms=float(figures[-1]),
        durations=counted and {bucket: int(count) for bucket, count in counted.items()},
    )


def _within(table: Table, begin: int, end: int, hooks: Sequence[str] | None = None) -> Any:
    """Returns the columns of all rows that make up the span.

    As a union: with OR, SQLite would remember the keys of all rows that it has read.
    """
    c = table.c
    every = [
        select(table).where(c.grain == piece.step, c.start >= piece.start, c.start < piece.end)
        for piece in pieces(begin, end)
    ]
    if hooks is not None:
        every = [one.where(c.hook.in_(padded(hooks))) for one in every]
    return union_all(*every).subquery().c
