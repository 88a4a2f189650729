"""Deletes what is over and old: a window of events by their ids at a time, with all that belongs to them."""

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog
from sqlalchemy import Connection, Table, and_, delete, exists, not_, select

from bridge.core.errors import HistoryUnavailable
from bridge.core.ports import History
from bridge.db.admin_tables import durations, measures, sums
from bridge.db.rows import FINAL_STATUSES
from bridge.db.tables import attempts, deliveries, event_dimensions, events, evidence_forms, quarantine
from bridge.history.claims_store import SqlClaims
from bridge.history.leases import SqlReplicas
from bridge.measuring.spans import DAY, HOUR, HOURS_KEPT, MINUTE, MINUTES_KEPT, Step

BEFORE_ALL = str(UUID(int=0))
_FINAL = sorted(FINAL_STATUSES)
_DAY = 86_400.0
_MOST_DELIVERIES = 5000
"""In one window, so that no commit waits for long; an event with more is deleted alone."""


@dataclass(frozen=True, slots=True)
class Window:
    """What one step did: the last event it looked at (None: there was none left) and how many it deleted."""

    last: str | None
    deleted: int


def prune_events(connection: Connection, after: str, finished_before: float, limit: int) -> Window:
    """Look at up to `limit` events behind `after`, by id, and delete those over since before that Unix time.

    An event without deliveries is as old as its id says.
    """
    last = _end_of_window(connection, after, newest_id(finished_before), limit)
    if last is None:
        return Window(None, 0)
    within = and_(deliveries.c.event_id > after, deliveries.c.event_id <= last)
    is_over = and_(deliveries.c.status.in_(_FINAL), deliveries.c.updated_at < finished_before)
    # NOT IN is worked out once; NOT EXISTS for each row again, which is quadratic in an event's deliveries.
    waiting = select(deliveries.c.event_id).where(within, not_(is_over))
    over = and_(within, is_over, deliveries.c.event_id.not_in(waiting))
    connection.execute(
        delete(attempts).where(attempts.c.delivery_id.in_(select(deliveries.c.id).where(over)))
    )
    connection.execute(delete(deliveries).where(over))
    # Asked of what is left now: another replica may just have started one of these deliveries anew.
    left = exists().where(deliveries.c.event_id == events.c.id)
    gone = connection.execute(delete(events).where(events.c.id > after, events.c.id <= last, ~left))
    _prune_dimensions(connection, after, last)
    return Window(last, gone.rowcount)


def _prune_dimensions(connection: Connection, after: str, last: str) -> None:
    c = event_dimensions.c
    kept = exists().where(events.c.id == c.event_id)
    connection.execute(delete(event_dimensions).where(c.event_id > after, c.event_id <= last, ~kept))


def prune_beside(connection: Connection, finished_before: float) -> None:
    """Delete what only belonged to events that are gone: forms of evidence that no attempt can refer to any more, and
    what events are found by that were never kept themselves.
    """
    oldest = connection.scalar(select(events.c.id).order_by(events.c.id).limit(1))
    received = finished_before if oldest is None else min(finished_before, time_of(oldest))
    # Written once on each day on which it is used: an attempt of today may refer to that of yesterday.
    unused = evidence_forms.c.used_at < received - 2 * _DAY
    connection.execute(delete(evidence_forms).where(unused))
    some = select(event_dimensions.c.event_id).where(
        event_dimensions.c.event_id <= newest_id(received - _DAY)
    )
    ids = some.order_by(event_dimensions.c.event_id).limit(_MOST_DELIVERIES)
    connection.execute(delete(event_dimensions).where(event_dimensions.c.event_id.in_(ids)))


def prune_quarantine(connection: Connection, before: float, limit: int) -> None:
    """Delete at most `limit` messages that have been in quarantine since before that Unix time."""
    oldest = select(quarantine.c.id).where(quarantine.c.quarantined_at < before).limit(limit)
    connection.execute(delete(quarantine).where(quarantine.c.id.in_(oldest)))


def newest_id(at: float) -> str:
    """The greatest UUIDv7 that can have been made at that Unix time: ids sort by time, so they are the index."""
    milliseconds = min(max(0, int(at * 1000)), (1 << 48) - 1)
    return str(UUID(int=milliseconds << 80 | (1 << 80) - 1))


def time_of(event_id: str) -> float:
    """When an id was made, in Unix seconds."""
    return (UUID(event_id).int >> 80) / 1000


def _end_of_window(connection: Connection, after: str, newest: str, limit: int) -> str | None:
    """The id of the last of the next `limit` events, or of fewer where they have very many deliveries."""
    some = select(events.c.id).where(events.c.id > after, events.c.id <= newest).order_by(events.c.id)
    window = some.limit(limit).subquery()
    # Not max(): PostgreSQL 15 has none for UUIDs.
    last = connection.scalar(select(window.c.id).order_by(window.c.id.desc()).limit(1))
    too_many = connection.scalar(
        select(deliveries.c.event_id)
        .where(deliveries.c.event_id > after)
        .order_by(deliveries.c.event_id)
        .offset(_MOST_DELIVERIES)
        .limit(1)
    )
    if last is None or too_many is None or too_many > last:
        return last
    before = select(events.c.id).where(events.c.id > after, events.c.id < too_many)
    fewer: str | None = connection.scalar(before.order_by(events.c.id.desc()).limit(1))
    return fewer or too_many


# Removes what the history has kept for long enough, a little at a time.


log = structlog.get_logger(__name__)

_LEASE = 60.0
"""Seconds for which the work stays with a replica beyond its next round."""
_RENEW = 20.0
_BETWEEN = 0.05
"""Seconds: group commits go through in between."""


class KeptSums(Protocol):
    """Sums of statistics, which are kept above the history."""

    async def prune_statistics(self, now: float, keep: float, limit: int) -> int:
        """Delete about `limit` expired rows, rows of days after `keep` seconds; returns the number deleted."""
        ...


class Retention:
    """Prunes in small transactions, so that deliveries go on meanwhile; of several replicas one does it."""

    def __init__(
        self,
        history: History,
        statistics: KeptSums,
        claims: SqlClaims,
        leases: SqlReplicas,
        replica_id: str,
        *,
        keep: float,
        keep_sums: float,
        every: float,
        batch: int,
    ) -> None:
        """`keep`: seconds since the final status; `keep_sums`: seconds since the day; `every`: seconds between two looks;
        `batch`: events, or rows of sums or claims, at once.
        """
        self._history = history
        self._leases = leases
        self._replica_id = replica_id
        self._held_at = 0.0
        self._statistics = statistics
        self._claims = claims
        self._keep = keep
        self._keep_sums = keep_sums
        self._every = every
        self._batch = batch

    async def run(self) -> None:
        """Prune until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            started = time.monotonic()
            try:
                removed = await self._round() if await self._is_mine() else 0
            except HistoryUnavailable as error:
                log.warning("retention.failed", error=str(error))
            else:
                if removed:
                    log.info(
                        "retention.removed", events=removed, seconds=round(time.monotonic() - started, 1)
                    )

    async def _is_mine(self) -> bool:
        """Whoever has it keeps it while it lives, so that no other comes between two of its rounds."""
        self._held_at = time.monotonic()
        return await self._leases.lease("retention", self._replica_id, self._every + _LEASE)

    async def _round(self) -> int:
        total = 0
        while removed := await self._history.prune(time.time() - self._keep, self._batch):
            total += removed
            if not await self._is_still_mine():
                return total
            await asyncio.sleep(_BETWEEN)
        while await self._statistics.prune_statistics(time.time(), self._keep_sums, self._batch):
            if not await self._is_still_mine():
                break
            await asyncio.sleep(_BETWEEN)
        while await self._claims.forget_claims(await self._claims.now(), self._batch):
            if not await self._is_still_mine():
                break
            await asyncio.sleep(_BETWEEN)
        return total

    async def _is_still_mine(self) -> bool:
        return time.monotonic() - self._held_at <= _RENEW or await self._is_mine()


# Deletes sums that are no longer kept, a few at a time.


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
