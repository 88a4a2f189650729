"""Deletes what is over and old, event by event: its attempts and deliveries, then the event itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, and_, case, delete, exists, func, select

from bridge.storage.rows import FINAL_STATUSES
from bridge.storage.statements import padded
from bridge.storage.tables import attempts, deliveries, events, quarantine

BEFORE_ALL = str(UUID(int=0))
_FINAL = sorted(FINAL_STATUSES)
_MOST_DELIVERIES = 5000
"""In one transaction, so that no commit waits for long; an event with more is deleted alone."""


@dataclass(frozen=True, slots=True)
class Window:
    """What one step did: the last event it looked at (None: there was none left) and how many it deleted."""

    last: str | None
    deleted: int


def prune_events(connection: Connection, after: str, finished_before: float, limit: int) -> Window:
    """Look at up to `limit` events behind `after`, by id, and delete those over since before that Unix time."""
    found = connection.execute(
        select(events.c.id, events.c.received_at)
        .where(events.c.id > after, events.c.id <= newest_id(finished_before))
        .order_by(events.c.id)
        .limit(limit)
    ).all()
    if not found:
        return Window(None, 0)
    state = _deliveries_of(connection, [row.id for row in found], finished_before)
    last, over, rows = found[0].id, [], 0
    for event, received_at in found:
        count, all_over = state.get(event, (0, received_at < finished_before))
        rows += count
        if rows > max(_MOST_DELIVERIES, count):
            break
        last = event
        if all_over:
            over.append(event)
    return Window(last, _delete(connection, over, finished_before) if over else 0)


def prune_quarantine(connection: Connection, before: float, limit: int) -> None:
    """Delete at most `limit` messages that have been in quarantine since before that Unix time."""
    oldest = select(quarantine.c.id).where(quarantine.c.quarantined_at < before).limit(limit)
    connection.execute(delete(quarantine).where(quarantine.c.id.in_(oldest)))


def newest_id(at: float) -> str:
    """The greatest UUIDv7 that can have been made at that Unix time: ids sort by time, so they are the index."""
    milliseconds = min(max(0, int(at * 1000)), (1 << 48) - 1)
    return str(UUID(int=milliseconds << 80 | (1 << 80) - 1))


def _deliveries_of(connection: Connection, ids: list[str], before: float) -> dict[str, tuple[int, bool]]:
    """Of each event that has deliveries: how many, and whether all of them are over since before that time."""
    is_over = and_(deliveries.c.status.in_(_FINAL), deliveries.c.updated_at < before)
    rows = connection.execute(
        select(deliveries.c.event_id, func.count(), func.min(case((is_over, 1), else_=0)))
        .where(deliveries.c.event_id.in_(padded(ids)))
        .group_by(deliveries.c.event_id)
    )
    return {event: (count, bool(all_over)) for event, count, all_over in rows}


def _delete(connection: Connection, ids: Sequence[str], before: float) -> int:
    """The conditions are asked again: another replica may just have started one of these deliveries anew."""
    ids = padded(ids)
    over = and_(
        deliveries.c.event_id.in_(ids), deliveries.c.status.in_(_FINAL), deliveries.c.updated_at < before
    )
    connection.execute(
        delete(attempts).where(attempts.c.delivery_id.in_(select(deliveries.c.id).where(over)))
    )
    connection.execute(delete(deliveries).where(over))
    left = exists().where(deliveries.c.event_id == events.c.id)
    return connection.execute(delete(events).where(events.c.id.in_(ids), ~left)).rowcount
