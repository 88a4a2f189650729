"""What sources measured, read."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from bridge.model.value import value
from bridge.ports.statistics import Measured, MeasuredStep
from bridge.rules.statistics.spans import Step
from bridge.storage.admin_tables import measures
from bridge.storage.measures import ALL_EVENTS, OTHER
from bridge.storage.records.scan import distinct
from bridge.storage.statements import padded
from bridge.storage.text import storable

_AMOUNT = func.sum(measures.c.amount)
_MOST_LOOKED_UP = 50_000
_MOST_KINDS = 100


@value(frozen=True, slots=True)
class Which:
    """What is asked for; `begin` and `end` are those of steps, in Unix seconds."""

    source: str
    dimension: str
    step: Step
    begin: int
    end: int
    event_type: str | None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The same in SQL."""
        c, found = measures.c, self.of_source()
        if self.event_type is not None:
            found.append(c.event_type == storable(self.event_type))
        return [*found, c.start >= self.begin, c.start < self.end]

    def of_source(self) -> list[ColumnElement[bool]]:
        """Its source and dimension alone."""
        c = measures.c
        return [c.grain == self.step, c.source == self.source, c.dimension == self.dimension]


def top(connection: Connection, which: Which, order: str, limit: int) -> list[Measured]:
    """The keys with the most of `order`, the greatest first."""
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
    """The rows of these keys, each named by its whole key, of which what stands before `key` is told by the rows of all
    events; unless these are so many that to look at all rows of the span is quicker.
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
    """Each step in which there was an event."""
    c = measures.c
    chosen = select(c.start, c.measure, _AMOUNT).where(*which.conditions())
    found: dict[int, dict[str, float]] = {}
    for start, measure, amount in connection.execute(chosen.group_by(c.start, c.measure).order_by(c.start)):
        found.setdefault(start, {})[measure] = amount
    return [MeasuredStep(start, *_told(amounts)) for start, amounts in found.items()]


def _told(amounts: dict[str, Any]) -> tuple[int, dict[str, float]]:
    """How many events, and the sums, by name."""
    events = int(amounts.pop("", 0))
    return events, dict(sorted(amounts.items()))
