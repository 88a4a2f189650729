"""Queries for what waits: deliveries by hook, from an index that has only these."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, select, text

from bridge.core.base import value
from bridge.db.engine import Reads, Store
from bridge.db.scan import as_literal
from bridge.db.tables import WAITING, deliveries
from bridge.history.retention import time_of

MOST_COUNTED = 500_000
"""Maximum waiting deliveries that are counted."""


@value(frozen=True, slots=True)
class Waiting:
    """The waiting deliveries of a hook, and the Unix time at which the event of the oldest was received."""

    count: int
    oldest_at: float


@value(frozen=True, slots=True)
class AllWaiting:
    """The waiting deliveries by hook. `exact` False: there are more, perhaps of further hooks."""

    by_hook: Mapping[str, Waiting]
    exact: bool

    @property
    def count(self) -> int:
        """Returns the number of waiting deliveries."""
        return sum(each.count for each in self.by_hook.values())

    @property
    def oldest_at(self) -> float | None:
        """Returns the Unix time at which the event of the oldest was received; None if none waits."""
        return min((each.oldest_at for each in self.by_hook.values()), default=None)


def _by_hook(connection: Connection, most: int = MOST_COUNTED) -> AllWaiting:
    c, older = deliveries.c, deliveries.alias("older")
    # The text must equal that of the index, or the index is not used.
    some = select(c.hook).where(text(WAITING)).limit(as_literal(most + 1)).subquery()
    grouped = select(some.c.hook, func.count().label("count")).group_by(some.c.hook).subquery()
    first = select(older.c.event_id).where(text(WAITING), older.c.hook == grouped.c.hook)
    oldest = first.order_by(older.c.event_id).limit(as_literal(1)).correlate(grouped).scalar_subquery()
    rows = connection.execute(select(grouped.c.hook, grouped.c.count, oldest)).all()
    found = {hook: Waiting(count, time_of(str(event))) for hook, count, event in rows}
    return AllWaiting(found, sum(each.count for each in found.values()) <= most)


class SqlWaiting(Store):
    """The store that counts waiting deliveries. Each method raises HistoryUnavailable."""

    by_hook = Reads(_by_hook)
