"""The overview: alarms from the state of this process and the history, and figures from the sums."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, get_args

from bridge.core.base import value
from bridge.core.errors import HistoryUnavailable
from bridge.core.records import Beyond, Failures, Replay, Sums
from bridge.db.engine import Engine
from bridge.history.waiting import AllWaiting, SqlWaiting
from bridge.hooks.presenter import SeenHook, breaker_word, seen_hooks
from bridge.hooks.service import InForce
from bridge.measuring.spans import FAR, HOUR, MINUTE, percentile, widened
from bridge.overview.documents import (
    AlarmDocument,
    AlarmKind,
    CauseDocument,
    CountDocument,
    OverviewDocument,
    TilesDocument,
)
from bridge.quarantine.store import QuarantineCount, SqlQuarantine
from bridge.replays.store import SqlReplays
from bridge.stats.store import SqlStatistics

MOST_ALARMS = 200
_MOST_CAUSED = 50
"""Maximum failing hooks whose causes are looked up."""
_MOST_CAUSES = 10
_FRESH = 1.0
"""Seconds for which an overview is given again."""
_DOWN = {"connecting", "left"}


@value(frozen=True, slots=True)
class Stores:
    """The stores that the overview reads."""

    statistics: SqlStatistics
    waiting: SqlWaiting
    quarantine: SqlQuarantine
    replays: SqlReplays

    @classmethod
    def over(cls, engine: Engine) -> Self:
        """Returns the stores in one database."""
        return cls(SqlStatistics(engine), SqlWaiting(engine), SqlQuarantine(engine), SqlReplays(engine))


@value(frozen=True, slots=True)
class Found:
    """The findings in the history: the sums since `begin`, the causes of failing hooks, and what waits."""

    begin: int
    sums: Sums
    causes: Mapping[str, Sequence[Failures]]
    waiting: AllWaiting
    quarantine: Sequence[QuarantineCount]
    replays: Sequence[Replay]


class Overview:
    """Makes the overview, at most once a second however many ask for it."""

    def __init__(
        self,
        status: Callable[[], Mapping[str, Any]],
        in_force: InForce,
        stores: Stores,
        auto_pause_after: float,
    ) -> None:
        """`status` returns the state of broker, database and consumers, as /health/ready shows it."""
        self._status = status
        self._in_force = in_force
        self._stores = stores
        self._auto_pause_after = auto_pause_after
        self._made: tuple[float, OverviewDocument] | None = None
        self._making = asyncio.Lock()

    async def now(self) -> OverviewDocument:
        """Returns the overview, up to a second old."""
        async with self._making:
            if self._made is None or time.monotonic() - self._made[0] > _FRESH:
                made = await self._make(time.time())
                self._made = time.monotonic(), made
            return self._made[1]

    async def _make(self, now: float) -> OverviewDocument:
        status, hooks = self._status(), seen_hooks(self._in_force)
        try:
            found = await self._find(hooks, now)
        except HistoryUnavailable:
            found = None
        alarms = [*_of_process(status, reachable=found is not None), *self._of_hooks(hooks, found)]
        if found is not None:
            alarms += [*map(_of_quarantine, found.quarantine), *map(_of_replay, found.replays)]
        failed_at = [each.health.last_failure_at for each in hooks if each.health is not None]
        return OverviewDocument.unchecked(
            at=now,
            alarms=alarms[:MOST_ALARMS],
            more_alarms=max(0, len(alarms) - MOST_ALARMS),
            last_failure_at=max((at for at in failed_at if at is not None), default=None),
            tiles=None if found is None else _tiles(found),
        )

    async def _find(self, hooks: Sequence[SeenHook], now: float) -> Found:
        stores = self._stores
        failing = [(each.hook.id, since) for each in hooks if (since := _failing_since(each)) is not None]
        begins = {hook: _begin(since, now) for hook, since in failing[:_MOST_CAUSED]}
        begin, _ = widened(now - HOUR, None, now)
        return Found(
            begin,
            await stores.statistics.sums(None, begin, FAR),
            await stores.statistics.causes(begins, _MOST_CAUSES),
            await stores.waiting.by_hook(),
            await stores.quarantine.counts(now - HOUR),
            await stores.replays.unfinished(),
        )

    def _of_hooks(self, hooks: Sequence[SeenHook], found: Found | None) -> list[AlarmDocument]:
        alarms = [each for hook in hooks if (each := self._of_hook(hook, found)) is not None]
        return sorted(alarms, key=lambda each: (_KINDS.index(each.kind), -(each.waiting or 0)))

    def _of_hook(self, seen: SeenHook, found: Found | None) -> AlarmDocument | None:
        """Returns the worst alarm of a hook, None if it is well or disabled."""
        breaker = "closed" if seen.runner is None else breaker_word(seen.runner)
        more: dict[str, Any]
        if seen.broken is not None:
            more = {"kind": "hook_broken", "level": "critical", "reason": seen.broken}
        elif not seen.hook.enabled:
            return None
        elif seen.paused:
            more = {"kind": "hook_paused", "level": "warning", **_paused(seen)}
        elif _failing_since(seen) is not None:
            more = {"kind": "hook_failing", "level": "critical", **self._failing(seen, found)}
        elif breaker != "closed":
            more = {"kind": "breaker_open", "level": "warning"}
        else:
            return None
        waiting = None if found is None else found.waiting.by_hook.get(seen.hook.id)
        count = None if found is None else 0 if waiting is None else waiting.count
        return _alarm(id=seen.hook.id, name=seen.hook.name, breaker=breaker, waiting=count, **more)

    def _failing(self, seen: SeenHook, found: Found | None) -> dict[str, Any]:
        since, after = _failing_since(seen) or 0.0, self._auto_pause_after
        attended = max(
            seen.said.at if seen.said is not None else 0.0,
            seen.stored.updated_at if seen.stored is not None else 0.0,
        )
        causes = [] if found is None else found.causes.get(seen.hook.id, [])
        return {
            "since": since,
            "failed": 0 if seen.health is None else seen.health.failed_deliveries,
            "causes": [CauseDocument.of(each) for each in causes],
            "pauses_at": max(since, attended) + after if after > 0 else None,
        }


def _begin(since: float, now: float) -> int:
    """Returns the beginning of a failing period in whole steps: hooks that fail since the same hour share a query."""
    return widened(since, None, now, HOUR if now - since > HOUR else MINUTE)[0]


def _failing_since(seen: SeenHook) -> float | None:
    return seen.health.failing_since if seen.health is not None and seen.health.only_fails else None


def _paused(seen: SeenHook) -> dict[str, Any]:
    said, stored = seen.said, seen.stored
    reason = (seen.runner.pause_reason if seen.runner is not None else "") or (said.reason if said else "")
    if said is not None and (said.paused or said.said_paused):
        since: float | None = said.at
    else:
        since = None if stored is None else stored.updated_at
    return {"since": since, "reason": reason or None}


def _of_process(status: Mapping[str, Any], *, reachable: bool) -> Iterator[AlarmDocument]:
    if status["database"] != "up" or not reachable:
        yield _alarm(kind="database_down", level="critical")
    for role, state in status["broker"].items():
        if state != "up":
            yield _alarm(kind="broker_down", level="critical", id=role, name=role)
    for source, state in status["consumers"].items():
        if state in _DOWN:
            yield _alarm(kind="source_down", level="critical", id=source, name=source, reason=state)
    for problem in status["problems"]:
        yield _alarm(kind="problem", level="critical", reason=problem)


def _of_quarantine(found: QuarantineCount) -> AlarmDocument:
    return _alarm(
        kind="quarantine", level="warning", id=found.reason, name=found.reason, since=found.first_at,
        count=found.all.count, exact=found.all.exact,
    )  # fmt: skip


def _of_replay(replay: Replay) -> AlarmDocument:
    return _alarm(
        kind="replay_running", level="info", id=replay.id, name=replay.id, since=replay.created_at, count=replay.done,
        total=max(replay.total, replay.done), exact=replay.exact,
    )  # fmt: skip


def _alarm(**members: Any) -> AlarmDocument:
    return AlarmDocument.unchecked(**{**_NO_ALARM, **members})


_KINDS = get_args(AlarmKind)
_NO_ALARM: dict[str, Any] = {
    name: field.get_default(call_default_factory=True)
    for name, field in AlarmDocument.model_fields.items()
    if not field.is_required()
} | {"id": "", "name": ""}


def _tiles(found: Found) -> TilesDocument:
    sums, waiting = found.sums, found.waiting
    p95 = percentile(sums.durations or {}, 0.95)
    lately = [each.lately for each in found.quarantine]
    return TilesDocument.unchecked(
        sums,
        since=found.begin,
        delivered=sums.succeeded,
        p95_ms=None if p95 is None else round(p95, 3),
        waiting=CountDocument.of(Beyond(waiting.count, waiting.exact)),
        oldest_waiting_at=waiting.oldest_at,
        quarantined=CountDocument.of(
            Beyond(sum(each.count for each in lately), all(each.exact for each in lately))
        ),
    )
