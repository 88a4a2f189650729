"""The loggers whose names do not follow from a module, and the log events of intake, delivery and process as functions.

While its level is off, a function costs next to nothing.
"""

import logging

import structlog

from bridge.core.delivery import Attempt, Delivery, Outcome, RetryLater

_ATTEMPTS = logging.getLogger("bridge.attempts")
_attempts: structlog.stdlib.BoundLogger = structlog.get_logger("bridge.attempts")
broker: structlog.stdlib.BoundLogger = structlog.get_logger("bridge.broker")
hooks: structlog.stdlib.BoundLogger = structlog.get_logger("bridge.hooks")
inlets: structlog.stdlib.BoundLogger = structlog.get_logger("bridge.inlets")
_events: structlog.stdlib.BoundLogger = structlog.get_logger("bridge.events")
process: structlog.stdlib.BoundLogger = structlog.get_logger("bridge.process")


def attempted(delivery: Delivery, target: str, attempt: Attempt, outcome: Outcome) -> None:
    """Logs the end of an attempt: at debug if it delivered, else at info."""
    failed = attempt.outcome != "delivered"
    level = logging.INFO if failed else logging.DEBUG
    if not _ATTEMPTS.isEnabledFor(level):
        return
    event = delivery.event
    _attempts.log(
        level,
        "attempt.failed" if failed else "attempt.delivered",
        delivery=delivery.id,
        event_id=event.id,
        type=event.type,
        source=event.source,
        hook=delivery.hook,
        target=target,
        attempt=attempt.number,
        outcome=attempt.outcome,
        code=attempt.code,
        duration_ms=round(attempt.duration_ms, 1),
        error=attempt.error,
        wait=round(outcome.wait, 1) if isinstance(outcome, RetryLater) else None,
        then=type(outcome).__name__,
        **_trace_of(delivery),
    )


def _trace_of(delivery: Delivery) -> dict[str, str]:
    trace = delivery.trace
    return {} if trace is None else {"trace_id": trace.trace_id, "span_id": trace.span_id}


# ---- events --------------------------------------------------------------------------------------------


def quarantined(source: str, reason: str, detail: str) -> None:
    """Logs a message that could not be handled and was quarantined."""
    _events.warning("message.quarantined", source=source, reason=reason, detail=detail)


def intake_failed(source: str, error: BaseException) -> None:
    """Logs a bug in the routing of a message, which the broker redelivers."""
    _events.error("intake.internal_error", source=source, error=repr(error), exc_info=error)


def recall_failed(error: BaseException) -> None:
    """Logs a bug in the lookup of redelivered messages, which are delivered as new ones."""
    _events.error("redelivery_filter.internal_error", error=repr(error), exc_info=error)


def key_failed(source: str, detail: str) -> None:
    """Logs that the expression of `dedupe` gave no valid key; once for each source."""
    _events.warning("dedupe.no_key", source=source, detail=detail, effect="such events are never duplicates")


def entry_refused(what: str, reason: str) -> None:
    """Logs an entry that the database refused for its content; the rest of its batch was written."""
    _events.error("history.entry_refused", entry=what, reason=reason)


# ---- hooks ---------------------------------------------------------------------------------------------


def breaker_opened(hook: str, reason: str, probe_in: float) -> None:
    """Logs that attempts of the hook are suspended; the next probe is due in `probe_in` seconds."""
    hooks.warning("breaker.opened", hook=hook, reason=reason, probe_in=round(probe_in, 1))


def breaker_closed(hook: str, open_for: float) -> None:
    """Logs that the hook's target responds again, after `open_for` seconds."""
    hooks.info("breaker.closed", hook=hook, open_for=round(open_for, 1))


def hook_paused(hook: str, reason: str) -> None:
    """Logs that the bridge paused a hook (410 Gone, only failures for days): its deliveries wait in its lane until a person
    resumes it.
    """
    hooks.warning("hook.paused", hook=hook, reason=reason)


def hook_failed(hook: str, error: BaseException) -> None:
    """Logs a bug in the handling of a hook's delivery, which is retried."""
    hooks.error("hook.internal_error", hook=hook, error=repr(error), exc_info=error)


def copy_failed(hook: str, error: BaseException) -> None:
    """Logs a copy that could not be published to lane or ladder; the publish is retried until it succeeds."""
    hooks.warning("copy.failed", hook=hook, error=str(error))


# ---- broker and database -------------------------------------------------------------------------------


def connection_lost(role: str, error: str, retry_in: float) -> None:
    """Logs that a connection to the broker was lost, or could not be opened."""
    broker.warning("connection.lost", role=role, error=error, retry_in=round(retry_in, 2))


def connection_ends_again(role: str, error: str, source: str) -> None:
    """Logs a connection that ended three times within a minute, each time soon after it was opened; `source`: the only one
    consumed on it, else empty.
    """
    broker.error(
        "connection.ends_again",
        role=role,
        error=error,
        source=source,
        remedy="look at the first messages of the source's queue, and at the broker's log",
    )


def login_refused(role: str, seconds: float, error: str) -> None:
    """Logs that the login in this role has been refused for `seconds`; once a minute."""
    broker.error(
        "login.refused",
        role=role,
        refused_for=round(seconds, 1),
        error=error,
        remedy="give the new login where the old one stands: it is read anew before each try",
    )


def logins_not_read(problems: list[str]) -> None:
    """Logs that the present settings cannot be read; connections use the previous credentials."""
    broker.warning("login.not_read", problems=problems)


def connection_back(role: str, address: str, away: float) -> None:
    """Logs that a connection to the broker is open, for the first time or after `away` seconds."""
    broker.info("connection.open", role=role, address=address, away=round(away, 1))


# ---- process -------------------------------------------------------------------------------------------


def started(version: str, sources: int, hooks: int) -> None:
    process.info("bridge.started", version=version, sources=sources, hooks=hooks)


def waiting_for(what: str, error: str, left: float) -> None:
    """Logs that a dependency is missing at the start; it is retried for `left` seconds."""
    process.warning("start.waiting", what=what, error=error, left=round(left, 1))


def traces_lost(endpoint: str) -> None:
    """Logs that spans could not be exported; told once, until some are exported again."""
    process.warning("traces.not_exported", endpoint=endpoint, effect="spans are dropped; deliveries go on")


def traces_exported(endpoint: str) -> None:
    """Logs that spans are exported again."""
    process.info("traces.exported", endpoint=endpoint)


def stopping(signal: str, drain: float) -> None:
    """Logs that consumption has ended; attempts in flight get up to `drain` seconds."""
    process.info("bridge.stopping", signal=signal, drain=drain)


def stopped(unfinished: int) -> None:
    """Logs the end of the process; `unfinished` attempts were cut off, whose messages the broker redelivers."""
    process.info("bridge.stopped", unfinished=unfinished)
