"""The observer of the pipeline: counts events of the stages, and logs those that an operator needs to see."""

from collections.abc import Callable, Sequence

import structlog

from bridge.core.delivery import FINAL, Attempt, Delivery, Entry, Outcome, Parked, Record, RetryLater, Status
from bridge.core.event import Event, Undecodable
from bridge.core.hook import Hook
from bridge.core.target import ScriptTarget
from bridge.expressions.engine import EvaluationError
from bridge.pipeline.hook_worker import HookWorker
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)


class FilterErrors:
    """The counter of filters that have no answer."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def unanswered(self, event: Event, filters: Sequence[tuple[Hook, EvaluationError]]) -> None:
        """Counts filters that found a key missing or could not be evaluated: their hooks do not match."""
        for hook, why in filters:
            self._metrics.hook(hook.id, hook.target.type).filter_errors.value += 1
            log.debug("filter.unanswered", hook=hook.id, type=event.type, detail=why.detail)


class PipelineWatch:
    """The counters and log lines of the stages."""

    def __init__(
        self,
        metrics: Metrics,
        paused: Callable[[HookWorker, str], None] = lambda _runner, _reason: None,
    ) -> None:
        """`paused(worker, reason)` is called when the bridge itself paused a hook."""
        self._metrics = metrics
        self._paused = paused

    def unmatched(self, event: Event) -> None:
        """Counts an event that no hook asked for."""
        self._metrics.source(event.source).unmatched.value += 1

    def quarantined(self, source: str, fault: Undecodable) -> None:
        """Counts and logs a message that cannot be handled."""
        self._metrics.source(source).quarantined[fault.reason].value += 1
        events.quarantined(source, fault.reason, fault.detail)

    def attempted(self, runner: HookWorker, delivery: Delivery, outcome: Outcome, attempt: Attempt) -> None:
        """Counts and logs an attempt that ended."""
        runner.metrics.attempted(attempt.outcome, attempt.duration_ms / 1000, delivery)
        events.attempted(delivery, runner.hook.target.type, attempt, outcome)
        if attempt.code is not None and isinstance(runner.hook.target, ScriptTarget):
            runner.metrics.script_exits[str(attempt.code)].value += 1

    def copy_sent(self, runner: HookWorker, outcome: Outcome) -> None:
        """Counts a copy that the broker confirmed."""
        match outcome:
            case RetryLater():
                runner.metrics.retries.value += 1
            case Parked(reason=reason):
                runner.metrics.parked[reason].value += 1
            case _:
                pass

    def copy_failed(self, runner: HookWorker, error: Exception) -> None:
        """Logs a copy that could not be published; the publish is retried."""
        events.copy_failed(runner.hook.id, error)

    def stale_copy(self, delivery: Delivery) -> None:
        """Counts a stale copy."""
        self._metrics.rare.stale_copies.inc()
        log.info("copy.stale", delivery=delivery.id, hook=delivery.hook, attempt=delivery.attempt)

    def bug(self, runner: HookWorker, error: Exception) -> None:
        """Logs an exception from a target, which is a bug."""
        events.hook_failed(runner.hook.id, error)

    def paused(self, runner: HookWorker, reason: str) -> None:
        """Logs that the bridge itself paused a hook."""
        events.hook_paused(runner.hook.id, reason)
        self._paused(runner, reason)

    def recorded(self, entry: Entry) -> None:
        """Counts an entry that is committed."""
        if isinstance(entry, Record) and entry.status in FINAL:
            metrics = self._metrics.hook(entry.delivery.hook, entry.target)
            if entry.status is Status.SUCCESS:
                metrics.delivered(entry.at - entry.delivery.event.received_at, entry.delivery)
            else:
                metrics.ended(entry.status)

    def committed(self, seconds: float, rows: int) -> None:
        """Counts a committed transaction of the history."""
        self._metrics.database_up.value = 1
        self._metrics.rare.history_commit.observe(seconds)
        self._metrics.rare.history_batch.observe(rows)

    def unavailable(self) -> None:
        """Notes that a transaction could not be made because the database does not answer."""
        self._metrics.database_up.value = 0

    def refused(self, entry: Entry, reason: str) -> None:
        """Logs an entry that the database refused."""
        what = f"delivery {entry.delivery.id}" if isinstance(entry, Record) else type(entry).__name__.lower()
        events.entry_refused(what, reason)
