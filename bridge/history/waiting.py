"""Queries for what waits: deliveries by hook, from an index that has only these."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, literal_column, select, text

from bridge.core.base import value
from bridge.db.engine import Reads, Store
from bridge.db.scan import as_literal, distinct_values
from bridge.db.tables import WAITING, deliveries
from bridge.history.retention import time_of

MOST_HOOKS = 20_000
MOST_COUNTED = 10_000
"""Maximum waiting deliveries of a hook that are counted."""


@value(frozen=True, slots=True)
class Waiting:
    """The waiting deliveries of a hook, and the Unix time at which the event of the oldest was received.

    `exact` False: there are more.
    """

    count: int
    oldest_at: float
    exact: bool = True


@value(frozen=True, slots=True)
class AllWaiting:
    """The waiting deliveries by hook."""

    by_hook: Mapping[str, Waiting]

    @property
    def count(self) -> int:
        """Returns the number of waiting deliveries; at least this many if it is not exact."""
        return sum(each.count for each in self.by_hook.values())

    @property
    def exact(self) -> bool:
        """Returns whether all were counted."""
        return all(each.exact for each in self.by_hook.values())

    @property
    def oldest_at(self) -> float | None:
        """Returns the Unix time at which the event of the oldest was received; None if none waits."""
        return min((each.oldest_at for each in self.by_hook.values()), default=None)


def _by_hook(connection: Connection, most: int = MOST_COUNTED) -> AllWaiting:
    c, waits = deliveries.c, text(WAITING)  # the text must equal that of the index, or the index is not used
    hook = distinct_values(c.hook, waits, most=MOST_HOOKS).c.value
    of_hook = select(c.event_id).where(waits, c.hook == hook).order_by(c.event_id)
    some = of_hook.limit(as_literal(most + 1)).correlate(hook.table).subquery()
    counted = select(func.count(literal_column("1"))).select_from(some).scalar_subquery()
    oldest = of_hook.limit(as_literal(1)).correlate(hook.table).scalar_subquery()
    rows = connection.execute(select(hook, counted, oldest).where(hook.is_not(None)))
    return AllWaiting(
        {
            hook: Waiting(min(count, most), time_of(str(event)), exact=count <= most)
            for hook, count, event in rows
        }
    )


class SqlWaiting(Store):
    """The store that counts waiting deliveries. Each method raises HistoryUnavailable."""

    by_hook = Reads(_by_hook)
