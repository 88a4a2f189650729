"""Deletes sums that are no longer kept, a few at a time."""

from sqlalchemy import Connection, Table, delete, select

from bridge.rules.statistics.spans import DAY, HOUR, HOURS_KEPT, MINUTE, MINUTES_KEPT, Step
from bridge.storage.admin_tables import durations, measures, sums

_TABLES = (sums, durations, measures)


def prune(connection: Connection, now: float, keep: float, limit: int) -> int:
    """Delete about `limit` rows at the most; gives how many.

    Minutes and hours go a step of the next length later than they may, so that a span never begins within a gap.
    """
    before: dict[Step, float] = {
        MINUTE: now - MINUTES_KEPT - HOUR,
        HOUR: now - HOURS_KEPT - DAY,
        DAY: now - max(keep, HOURS_KEPT) - DAY,
    }
    deleted = 0
    for table in _TABLES:
        for step, limit_of_step in before.items():
            if deleted < limit:
                deleted += _prune_steps(connection, table, step, int(limit_of_step), limit - deleted)
    return deleted


def _prune_steps(connection: Connection, table: Table, step: Step, before: int, limit: int) -> int:
    """Whole steps, as many as have `limit` rows together, or one."""
    c = table.c
    old = select(c.start).where(c.grain == step, c.start < before).order_by(c.start)
    oldest = connection.scalar(old.limit(1))
    if oldest is None:
        return 0
    beyond = connection.scalar(old.offset(limit).limit(1))
    end = before if beyond is None else max(beyond, oldest + 1)
    return connection.execute(delete(table).where(c.grain == step, c.start < end)).rowcount
