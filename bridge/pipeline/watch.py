"""What the pipeline tells of itself: counted, and logged where somebody would want to know."""

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


class PipelineWatch:
    """Counters and log lines of the stages."""

    def __init__(
        self,
        metrics: Metrics,
        paused: Callable[[HookWorker, str], None] = lambda _runner, _reason: None,
    ) -> None:
        """`paused(runner, reason)` hears that the bridge itself paused a hook."""
        self._metrics = metrics
        self._paused = paused

    def unmatched(self, event: Event) -> None:
        """No hook asked for it."""
        self._metrics.source(event.source).unmatched.value += 1

    def unanswered(self, event: Event, filters: Sequence[tuple[Hook, EvaluationError]]) -> None:
        """Filters found a key missing or could not be computed: their hooks do not match."""
        for hook, why in filters:
            self._metrics.hook(hook.id, hook.target.type).filter_errors.value += 1
            log.debug("filter.unanswered", hook=hook.id, type=event.type, detail=why.detail)

    def quarantined(self, source: str, fault: Undecodable) -> None:
        """It cannot be handled."""
        self._metrics.source(source).quarantined[fault.reason].value += 1
        events.quarantined(source, fault.reason, fault.detail)

    def attempted(self, runner: HookWorker, delivery: Delivery, outcome: Outcome, attempt: Attempt) -> None:
        """An attempt ended."""
        runner.metrics.attempted(attempt.outcome, attempt.duration_ms / 1000)
        events.attempted(delivery, runner.hook.target.type, attempt, outcome)
        if attempt.code is not None and isinstance(runner.hook.target, ScriptTarget):
            runner.metrics.script_exits[str(attempt.code)].value += 1

    def copy_sent(self, runner: HookWorker, outcome: Outcome) -> None:
        """A copy was confirmed on the broker."""
        match outcome:
            case RetryLater():
                runner.metrics.retries.value += 1
            case Parked(reason=reason):
                runner.metrics.parked[reason].value += 1
            case _:
                pass

    def copy_failed(self, runner: HookWorker, error: Exception) -> None:
        """A copy could not be published; it will be tried again."""
        events.copy_failed(runner.hook.id, error)

    def stale_copy(self, delivery: Delivery) -> None:
        """A copy had been overtaken."""
        self._metrics.rare.stale_copies.inc()
        log.info("copy.stale", delivery=delivery.id, hook=delivery.hook, attempt=delivery.attempt)

    def bug(self, runner: HookWorker, error: Exception) -> None:
        """A target raised, which no target may."""
        events.hook_failed(runner.hook.id, error)

    def paused(self, runner: HookWorker, reason: str) -> None:
        """A hook was paused by the bridge itself."""
        events.hook_paused(runner.hook.id, reason)
        self._paused(runner, reason)

    def recorded(self, entry: Entry) -> None:
        """An entry is committed."""
        if isinstance(entry, Record) and entry.status in FINAL:
            metrics = self._metrics.hook(entry.delivery.hook, entry.target)
            if entry.status is Status.SUCCESS:
                metrics.delivered(entry.at - entry.delivery.event.received_at)
            else:
                metrics.ended(entry.status)

    def committed(self, seconds: float, rows: int) -> None:
        """A transaction of the history ended."""
        self._metrics.rare.history_commit.observe(seconds)
        self._metrics.rare.history_batch.observe(rows)

    def refused(self, entry: Entry, reason: str) -> None:
        """The database refused one entry for what it holds."""
        what = f"delivery {entry.delivery.id}" if isinstance(entry, Record) else type(entry).__name__.lower()
        events.entry_refused(what, reason)
