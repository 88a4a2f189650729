"""The monitor of failing hooks and of the quarantine: publishes warnings, and pauses hooks that fail for too long."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection, func, select, update

from bridge.core.access import Actor, AuditEntry, Role
from bridge.core.base import Backoff
from bridge.core.errors import BridgeError
from bridge.core.event import OWN_EVENTS, Message
from bridge.core.hook import Hook
from bridge.core.ports import Outgoing, Publisher
from bridge.db.admin_tables import hook_health as health
from bridge.db.admin_tables import hooks
from bridge.db.engine import Reads, Store, Writes
from bridge.db.tables import hook_states, quarantine
from bridge.formats.text import utc_seconds
from bridge.history.leases import SqlReplicas
from bridge.meta import words
from bridge.pipeline.hook_table import HookTable
from bridge.pipeline.hook_worker import HookWorker
from bridge.routing.table import listens
from bridge.telemetry import events
from bridge.wire.copies import Authenticator

# The publisher of meta events to the hooks that receive them.


log = structlog.get_logger(__name__)

_APP_ID = "amqp-bridge"
_MOST = 1000
"""Maximum number of waiting tasks; beyond it, the oldest is dropped."""


class BackgroundQueue:
    """Runs tasks in the order in which they were added; a task that fails with a BridgeError is retried."""

    def __init__(self, name: str) -> None:
        """`name` is used in the log."""
        self._name = name
        self._waiting: deque[Callable[[], Awaitable[None]]] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, work: Callable[[], Awaitable[None]]) -> None:
        """Adds a task, which runs soon."""
        if len(self._waiting) >= _MOST:
            self._waiting.popleft()
            log.error("background_task.dropped", errands=self._name, effect=f"more than {_MOST} wait")
        self._waiting.append(work)
        self._idle.clear()
        self._arrived.set()

    async def run(self) -> None:
        """Runs tasks until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._done(self._waiting.popleft())
            self._idle.set()

    async def drained(self) -> None:
        """Waits until every added task has run."""
        await self._idle.wait()

    async def _done(self, work: Callable[[], Awaitable[None]]) -> None:
        backoff = Backoff(0.5)
        while True:
            try:
                await work()
            except BridgeError as error:
                log.warning("background_task.failed", errands=self._name, error=str(error))
                await backoff.pause()
            except Exception:
                # A bug in one task must affect neither the others nor the bridge.
                log.exception("background_task.internal_error", errands=self._name)
                return
            else:
                return


class MetaEventPublisher:
    """The publisher of meta events to the hooks that receive them (source `bridge`)."""

    def __init__(
        self,
        publisher: Publisher,
        queue: str,
        table: HookTable,
        errands: BackgroundQueue,
        *,
        new_id: Callable[[], str],
        authenticator: Authenticator,
        pages: str = "",
    ) -> None:
        """Prepare the publisher. `errands` run `tell` in the background; `authenticator` signs the messages; `pages` is the
        address of the operator UI as people reach it, empty if it is not known.
        """
        self._publisher = publisher
        self._queue = queue
        self._table = table
        self._errands = errands
        self._new_id = new_id
        self._authenticator = authenticator
        self._pages = pages
        self._bound = words.RateLimiter()

    def tell(self, kind: words.MetaType, about: Hook, facts: words.Facts, *, by_person: bool) -> None:
        """Publishes the event in the background, if a hook receives it; never raises and never waits.

        An event caused by deliveries (not `by_person`) about a hook that itself receives meta events is not published,
        because it may have been caused by meta events.
        """
        if not by_person and listens(about, OWN_EVENTS):
            return
        if self._anybody_listens():
            kept_back = self._bound.take((kind, about.id), time.monotonic())
            if kept_back is None:
                log.info("meta_event.kept_back", type=str(kind), hook=about.id)
                return
            told = {**facts, "kept_back": kept_back} if kept_back else facts
            self._errands.add(partial(self._publish, self._message(kind, told)))

    async def publish(self, kind: words.MetaType, facts: words.Facts, about: Hook | None = None) -> None:
        """Publish and return after the broker's confirm, or at once if no hook receives it. Raises BridgeError.

        For findings of a periodic check, which repeats the event if this fails.
        """
        if self._anybody_listens() and not (about is not None and listens(about, OWN_EVENTS)):
            await self._publish(self._message(kind, facts))

    def _anybody_listens(self) -> bool:
        """Returns whether a hook receives meta events; otherwise the queue would grow without a consumer."""
        return self._table.routing.is_named(OWN_EVENTS)

    def _message(self, kind: words.MetaType, facts: words.Facts) -> Outgoing:
        now = datetime.now(UTC)
        link = words.page_of(facts, self._pages)
        told = {**facts, "link": link} if link else facts
        body = orjson.dumps({**told, "time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z")})
        like = Message(body, content_type="application/json", app_id=_APP_ID, type=str(kind), timestamp=now)
        headers = self._authenticator.sign({}, like, body)
        return Outgoing("", self._queue, self._new_id(), body, headers, like)

    async def _publish(self, message: Outgoing) -> None:
        await self._publisher.publish(message)


BRIDGE = Actor("bridge", Role.ADMIN)
"""The actor of changes that the bridge makes by itself."""


class HookEvents:
    """Publishes meta events about the state of hooks."""

    def __init__(self, publisher: MetaEventPublisher, table: HookTable) -> None:
        self._publisher, self._table = publisher, table

    def changed(self, runner: HookWorker, kind: words.MetaType, facts: words.Facts) -> None:
        """Publishes a change that happened by itself."""
        self._publisher.tell(kind, runner.hook, facts, by_person=False)

    def paused(self, runner: HookWorker, reason: str) -> None:
        """Publishes that the bridge paused the hook."""
        facts = words.state_changed(runner.hook, words.MetaType.PAUSED, OWN_EVENTS, time.time(), reason)
        self.changed(runner, words.MetaType.PAUSED, facts)

    def switched(self, entry: AuditEntry) -> None:
        """Publishes what this entry of the audit log says of a hook, if a person switched it."""
        runner = self._table.get(entry.object_id)
        if runner is not None and entry.actor != BRIDGE.name:
            detail = orjson.loads(entry.detail)
            for kind in words.switched_by(entry.action, detail):
                reason = str(detail.get("reason") or "")
                facts = words.state_changed(runner.hook, kind, entry.actor, entry.at, reason)
                self._publisher.tell(kind, runner.hook, facts, by_person=True)


FAILING = "failing"
"""The reason of a pause after only failures for too long."""

_LEASE = 60.0
_QUARANTINE_WINDOW = 60.0
_QUARANTINE_QUIET = 600.0


class FailingHookMonitor:
    """The monitor, run by one replica at a time: the holder of the lease."""

    def __init__(
        self,
        failure_records: "SqlFailureRecords",
        leases: SqlReplicas,
        table: HookTable,
        publisher: MetaEventPublisher,
        *,
        holder: str,
        threshold: float,
        pause: Callable[[HookWorker, str], None],
        new_id: Callable[[], str],
    ) -> None:
        """`threshold`: seconds of only failures after which `pause` is called, 0: never; `holder`: this process."""
        self._records = failure_records
        self._leases = leases
        self._table = table
        self._meta_events = publisher
        self._holder = holder
        self._threshold = threshold
        self._pause = pause
        self._new_id = new_id
        self._leased_until = 0.0

    async def run(self) -> None:
        """Check periodically until cancelled."""
        every = min(max(self._threshold / 40, 0.25), 5.0) if self._threshold else 5.0
        while True:
            await asyncio.sleep(every)
            try:
                if await self._is_ours():
                    await self.check(time.time())
            except BridgeError as error:
                log.info("failing_hooks.failed", error=str(error), effect="looks again soon")
            except Exception:
                # Whatever error the check has, deliveries continue.
                log.exception("failing_hooks.internal_error", effect="looks again soon")

    async def check(self, now: float) -> None:
        """Check once. Raises BridgeError if broker or database are unavailable; the rest is left to the next check."""
        for record in await self._records.failure_records():
            await self._check_hook(record)
        await self._check_quarantine(now)

    async def _is_ours(self) -> bool:
        if time.monotonic() < self._leased_until - _LEASE / 2:
            return True
        asked_at = time.monotonic()
        ours = await self._leases.lease("herald", self._holder, _LEASE)
        self._leased_until = asked_at + _LEASE if ours else 0.0
        return ours

    async def _check_hook(self, record: words.FailureRecord) -> None:
        runner = self._table.get(record.hook)
        if runner is None:
            return
        told = words.words_for(record, self._threshold)
        if told.recovered:
            await self._meta_events.publish(
                words.MetaType.RECOVERED, words.recovered(runner.hook, record), runner.hook
            )
            await self._records.note_warning(record, 0, None)
            events.hooks.info("hook.recovered", hook=record.hook)
        elif told.levels and runner.hook.enabled and not runner.paused:
            await self._warn(runner, record, told)

    async def _warn(self, runner: HookWorker, record: words.FailureRecord, told: words.DueWarnings) -> None:
        """Publish the warning, then store it: a crash in between repeats a warning and loses none."""
        for level in told.levels:
            facts = words.failing(runner.hook, record, level, told.since, self._threshold)
            await self._meta_events.publish(words.MetaType.FAILING, facts, runner.hook)
            since = utc_seconds(told.since)
            events.hooks.warning("hook.failing", hook=record.hook, percent=level, since=since)
            if level == words.LEVELS[-1]:
                self._pause(runner, FAILING)
            if not await self._records.note_warning(record, level, told.since):
                return
            record = replace(record, warned=level, warned_since=told.since)

    async def _check_quarantine(self, now: float) -> None:
        """Checks the quarantine; at most one event in ten minutes per source across replicas, by a lease each."""
        lately = await self._records.quarantined(now - _QUARANTINE_WINDOW)
        fresh = [source for source in lately if source != OWN_EVENTS]
        if not fresh:
            return
        counted = await self._records.quarantined(now - _QUARANTINE_QUIET)
        for source in fresh:
            await self._tell_of_quarantine(source, counted.get(source, lately[source]), now)

    async def _tell_of_quarantine(self, source: str, messages: int, now: float) -> None:
        name, once = f"quarantine.growing {source}", self._new_id()
        if await self._leases.lease(name, once, _QUARANTINE_QUIET):
            try:
                facts = words.quarantine_growing(source, messages, now - _QUARANTINE_QUIET)
                await self._meta_events.publish(words.MetaType.QUARANTINE_GROWING, facts)
            except BridgeError:
                await self._leases.release(name, once)
                raise


# The health of hooks and the warnings sent, in the database.


_FIELDS = (
    health.c.hook,
    health.c.failing_since,
    health.c.last_failure_at,
    health.c.last_success_at,
    health.c.failed_attempts,
    health.c.warned,
    health.c.warned_since,
)


def _records(connection: Connection) -> list[words.FailureRecord]:
    """Returns the hooks that fail now, or whose last warning is not cleared."""
    wanted = (
        select(*_FIELDS, hook_states.c.changed_at, hooks.c.updated_at)
        .select_from(health)
        .outerjoin(hook_states, hook_states.c.hook == health.c.hook)
        .outerjoin(hooks, hooks.c.id == health.c.hook)
        .where(health.c.failing_since.is_not(None) | (health.c.warned > 0))
    )
    return [_record(row) for row in connection.execute(wanted)]


def _record(row: Sequence[Any]) -> words.FailureRecord:
    *fields, said_at, changed_at = row
    return replace(words.FailureRecord(*fields), attended_at=max(said_at or 0.0, changed_at or 0.0))


def _remember(connection: Connection, before: words.FailureRecord, level: int, since: float | None) -> bool:
    """Stores the published level of a failing period (0: none); returns False if the state changed since."""
    change = (
        update(health)
        .where(
            health.c.hook == before.hook,
            health.c.warned == before.warned,
            health.c.warned_since.is_not_distinct_from(before.warned_since),
        )
        .values(warned=level, warned_since=since)
    )
    return connection.execute(change).rowcount == 1


def _quarantined(connection: Connection, since: float) -> dict[str, int]:
    """Returns the number of messages quarantined since that Unix time, by source; sources with none are absent."""
    wanted = (
        select(quarantine.c.source, func.count().label("messages"))
        .where(quarantine.c.quarantined_at >= since)
        .group_by(quarantine.c.source)
    )
    return {row.source: row.messages for row in connection.execute(wanted)}


class SqlFailureRecords(Store):
    """The store of hooks' failing states and warnings, for all replicas. Each method raises HistoryUnavailable."""

    failure_records = Reads(_records)
    note_warning = Writes(_remember)
    quarantined = Reads(_quarantined)
