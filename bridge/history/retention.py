"""Retention: deletes expired events with all their rows, in windows of consecutive event ids."""

import asyncio
import time
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog
from sqlalchemy import Connection, Table, and_, delete, exists, not_, select

from bridge.core.errors import HistoryUnavailable
from bridge.core.ports import History
from bridge.db.admin_tables import durations, failures, measures, replayed, sums
from bridge.db.rows import FINAL_STATUSES
from bridge.db.tables import attempts, deliveries, event_dimensions, events, evidence_forms, quarantine
from bridge.history.guards_store import SqlClaims
from bridge.history.leases import SqlReplicas
from bridge.measuring.spans import DAY, HOUR, HOURS_KEPT, MINUTE, MINUTES_KEPT, Step

BEFORE_ALL = str(UUID(int=0))
_FINAL = sorted(FINAL_STATUSES)
_DAY = 86_400.0
_MOST_DELIVERIES = 5000
"""Maximum deliveries in one window, so that no commit waits long; an event with more is deleted alone."""


@dataclass(frozen=True, slots=True)
class Window:
    """The result of one step: the last event it checked (None: no events were left), and the number it deleted."""

    last: str | None
    deleted: int


def prune_events(connection: Connection, after: str, finished_before: float, limit: int) -> Window:
    """Checks up to `limit` events after the id `after`, and deletes those final since before that Unix time.

    The age of an event without deliveries is that of its id.
    """
    last = _end_of_window(connection, after, newest_id(finished_before), limit)
    if last is None:
        return Window(None, 0)
    within = and_(deliveries.c.event_id > after, deliveries.c.event_id <= last)
    is_over = and_(deliveries.c.status.in_(_FINAL), deliveries.c.updated_at < finished_before)
    # Asked for beforehand, as there are no more of them than events in the window: within the statement PostgreSQL (15) evaluates
    # it for each row where its statistics are old, which is quadratic in the deliveries of an event.
    waiting = connection.scalars(select(deliveries.c.event_id).where(within, not_(is_over)).distinct()).all()
    over = and_(within, is_over, deliveries.c.event_id.not_in(waiting))
    connection.execute(
        delete(attempts).where(attempts.c.delivery_id.in_(select(deliveries.c.id).where(over)))
    )
    connection.execute(delete(deliveries).where(over))
    kept = exists().where(deliveries.c.id == replayed.c.delivery_id)
    taken = and_(replayed.c.event_id > after, replayed.c.event_id <= last)
    connection.execute(delete(replayed).where(taken, ~kept))
    # Checked on the remaining rows: another replica may have retried one of these deliveries just now.
    left = exists().where(deliveries.c.event_id == events.c.id)
    gone = connection.execute(delete(events).where(events.c.id > after, events.c.id <= last, ~left))
    _prune_dimensions(connection, after, last)
    return Window(last, gone.rowcount)


def _prune_dimensions(connection: Connection, after: str, last: str) -> None:
    c = event_dimensions.c
    kept = exists().where(events.c.id == c.event_id)
    connection.execute(delete(event_dimensions).where(c.event_id > after, c.event_id <= last, ~kept))


def prune_beside(connection: Connection, finished_before: float) -> None:
    """Deletes rows that only deleted events referenced: forms of evidence that no attempt can reference any more, and search
    entries of events that were not kept themselves.
    """
    oldest = connection.scalar(select(events.c.id).order_by(events.c.id).limit(1))
    received = finished_before if oldest is None else min(finished_before, time_of(oldest))
    # The use is written once a day: an attempt of today may reference a form used yesterday.
    unused = evidence_forms.c.used_at < received - 2 * _DAY
    connection.execute(delete(evidence_forms).where(unused))
    some = select(event_dimensions.c.event_id).where(
        event_dimensions.c.event_id <= newest_id(received - _DAY)
    )
    ids = some.order_by(event_dimensions.c.event_id).limit(_MOST_DELIVERIES)
    connection.execute(delete(event_dimensions).where(event_dimensions.c.event_id.in_(ids)))


def prune_quarantine(connection: Connection, before: float, limit: int) -> None:
    """Deletes at most `limit` messages quarantined before that Unix time."""
    oldest = select(quarantine.c.id).where(quarantine.c.quarantined_at < before).limit(limit)
    connection.execute(delete(quarantine).where(quarantine.c.id.in_(oldest)))


def newest_id(at: float) -> str:
    """Returns the greatest UUIDv7 of that Unix time: ids sort by time, so they serve as the index."""
    milliseconds = min(max(0, int(at * 1000)), (1 << 48) - 1)
    return str(UUID(int=milliseconds << 80 | (1 << 80) - 1))


def time_of(event_id: str) -> float:
    """Returns the Unix time at which an id was made, in seconds."""
    return (UUID(event_id).int >> 80) / 1000


def _end_of_window(connection: Connection, after: str, newest: str, limit: int) -> str | None:
    """Returns the id of the last of the next `limit` events, or of fewer if these have very many deliveries."""
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


# The background task that deletes expired rows, in small steps.


log = structlog.get_logger(__name__)

_LEASE = 60.0
"""Seconds by which the lease outlasts the pause between two rounds."""
_RENEW = 20.0
_BETWEEN = 0.05
"""Seconds between two steps, in which group commits can run."""


class KeptSums(Protocol):
    """The sums of statistics, which are stored outside the history."""

    async def prune_statistics(self, now: float, keep: float, limit: int) -> int:
        """Deletes about `limit` rows of days that ended more than `keep` seconds ago; returns the number deleted."""


class Retention:
    """Deletes in small transactions, so that deliveries continue meanwhile; one replica at a time does it."""

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
        """`keep`: seconds since the final status; `keep_sums`: seconds since the day; `every`: seconds between two rounds;
        `batch`: events, or rows of sums or claims, in one step.
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
        """Deletes until cancelled."""
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
        """Acquires or renews the lease, which outlasts a round, so that the same replica keeps the work while it lives."""
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


# The deletion of expired sums, in small steps.


_TABLES = (sums, durations, failures, measures)


def prune(connection: Connection, now: float, keep: float, limit: int) -> int:
    """Deletes at most about `limit` rows; returns the number deleted.

    Sums of minutes and hours are kept for one further step of the next length, so that a span never begins within a gap.
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
    """Deletes whole steps with about `limit` rows together, at least one step."""
    c = table.c
    old = select(c.start).where(c.grain == step, c.start < before).order_by(c.start)
    oldest = connection.scalar(old.limit(1))
    if oldest is None:
        return 0
    beyond = connection.scalar(old.offset(limit).limit(1))
    end = before if beyond is None else max(beyond, oldest + 1)
    return connection.execute(delete(table).where(c.grain == step, c.start < end)).rowcount
