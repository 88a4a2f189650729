"""What sources measured, read."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from bridge.model.value import value
from bridge.ports.statistics import Measured, MeasuredStep
from bridge.rules.statistics.spans import Step
from bridge.storage.admin_tables import measures
from bridge.storage.measures import OTHER
from bridge.storage.statements import padded
from bridge.storage.text import storable

_AMOUNT = func.sum(measures.c.amount)


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
        c = measures.c
        found = [c.grain == self.step, c.source == self.source, c.dimension == self.dimension]
        if self.event_type is not None:
            found.append(c.event_type == storable(self.event_type))
        return [*found, c.start >= self.begin, c.start < self.end]


def top(connection: Connection, which: Which, order: str, limit: int) -> list[Measured]:
    """The keys with the most of `order`, the greatest first."""
    c = measures.c
    ranked = select(c.key).where(*which.conditions(), c.measure == order, c.key != OTHER).group_by(c.key)
    keys = connection.scalars(ranked.order_by(_AMOUNT.desc(), c.key).limit(limit)).all()
    if not keys:
        return []
    of_keys = select(c.key, c.measure, _AMOUNT).where(*which.conditions(), c.key.in_(padded(keys)))
    found: dict[str, dict[str, float]] = {key: {} for key in keys}
    for key, measure, amount in connection.execute(of_keys.group_by(c.key, c.measure)):
        found[key][measure] = amount
    return [Measured(key, *_told(amounts)) for key, amounts in found.items()]


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
