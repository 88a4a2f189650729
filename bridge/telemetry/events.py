"""The log events, each as a typed function that writes one line with all fields.

While its level is off, a function costs next to nothing.
"""

import logging

import structlog

from bridge.core.access import AuditEntry
from bridge.core.delivery import Attempt, Delivery, Outcome, RetryLater
from bridge.formats.text import utc_seconds

_ATTEMPTS = logging.getLogger("bridge.attempts")
_attempts: structlog.stdlib.BoundLogger = structlog.get_logger("bridge.attempts")
_broker: structlog.stdlib.BoundLogger = structlog.get_logger("bridge.broker")
_hooks: structlog.stdlib.BoundLogger = structlog.get_logger("bridge.hooks")
_inlets: structlog.stdlib.BoundLogger = structlog.get_logger("bridge.inlets")
_events: structlog.stdlib.BoundLogger = structlog.get_logger("bridge.events")
_process: structlog.stdlib.BoundLogger = structlog.get_logger("bridge.process")


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
    )


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


# ---- inlets --------------------------------------------------------------------------------------------


def inlet_refused(inlet: str, remote: str | None, reasons: list[str]) -> None:
    """Logs a request that no verifier accepted; `reasons` has one for each verifier, in order, without secrets."""
    _inlets.info("inlet.refused", inlet=inlet, remote=remote, reasons=reasons)


def inlet_unavailable(inlet: str, reason: str) -> None:
    """Logs a request answered with 503 because its message was not confirmed; only the first of several in a row."""
    _inlets.warning("inlet.unavailable", inlet=inlet, reason=reason)


def inlet_available(inlet: str, refused: int) -> None:
    """Logs that messages are accepted again, after `refused` requests answered with 503."""
    _inlets.info("inlet.available", inlet=inlet, refused=refused)


# ---- hooks ---------------------------------------------------------------------------------------------


def breaker_opened(hook: str, reason: str, probe_in: float) -> None:
    """Logs that attempts of the hook are suspended; the next probe is due in `probe_in` seconds."""
    _hooks.warning("breaker.opened", hook=hook, reason=reason, probe_in=round(probe_in, 1))


def breaker_closed(hook: str, open_for: float) -> None:
    """Logs that the hook's target responds again, after `open_for` seconds."""
    _hooks.info("breaker.closed", hook=hook, open_for=round(open_for, 1))


def hook_paused(hook: str, reason: str) -> None:
    """Logs that the bridge paused a hook (410 Gone, only failures for days): its deliveries wait in its lane until a person
    resumes it.
    """
    _hooks.warning("hook.paused", hook=hook, reason=reason)


def hook_failing(hook: str, percent: int, since: float) -> None:
    """Logs that a hook has only failed since that Unix time, for `percent` of the time after which it is paused."""
    _hooks.warning("hook.failing", hook=hook, percent=percent, since=utc_seconds(since))


def hook_recovered(hook: str) -> None:
    """Logs that a hook reported as failing succeeded again."""
    _hooks.info("hook.recovered", hook=hook)


def hook_broken(hook: str, name: str, why: str, effect: str) -> None:
    """Logs a hook that cannot be served as configured; it is checked again on the next reload."""
    _hooks.error("hook.broken", hook=hook, name=name, reason=why, effect=effect)


def hooks_refused(why: str) -> None:
    """Logs that changed hooks cannot be read or activated here: the previous ones stay in force."""
    _hooks.error("hooks.refused", reason=why)


def hook_deleted(hook: str, name: str, lane: str, deliveries: int) -> None:
    """Logs that a hook's lane is `drained` or `dropped`, with the number of deliveries that became FAILED `hook_deleted`."""
    _hooks.info("hook.deleted", hook=hook, name=name, lane=lane, deliveries=deliveries)


def hook_failed(hook: str, error: BaseException) -> None:
    """Logs a bug in the handling of a hook's delivery, which is retried."""
    _hooks.error("hook.internal_error", hook=hook, error=repr(error), exc_info=error)


def copy_failed(hook: str, error: BaseException) -> None:
    """Logs a copy that could not be published to lane or ladder; the publish is retried until it succeeds."""
    _hooks.warning("copy.failed", hook=hook, error=str(error))


# ---- broker and database -------------------------------------------------------------------------------


def source_contract_mismatch(source: str, queue: str, detail: str) -> None:
    """Logs a source queue whose arguments differ from its publishers' declaration; it is consumed nevertheless."""
    _broker.warning("source.contract_mismatch", source=source, queue=queue, detail=detail)


def connection_lost(role: str, error: str, retry_in: float) -> None:
    """Logs that a connection to the broker was lost, or could not be opened."""
    _broker.warning("connection.lost", role=role, error=error, retry_in=round(retry_in, 2))


def connection_ends_again(role: str, error: str, source: str) -> None:
    """Logs a connection that ended three times within a minute, each time soon after it was opened; `source`: the only one
    consumed on it, else empty.
    """
    _broker.error(
        "connection.ends_again",
        role=role,
        error=error,
        source=source,
        remedy="look at the first messages of the source's queue, and at the broker's log",
    )


def token_not_renewed(role: str, error: str, ends_in: float) -> None:
    """Logs that a connection's access token, which expires in `ends_in` seconds, could not be renewed; this is retried until
    then.
    """
    _broker.error("login.not_renewed", role=role, error=error, ends_in=round(ends_in, 1))


def login_refused(role: str, seconds: float, error: str) -> None:
    """Logs that the login in this role has been refused for `seconds`; once a minute."""
    _broker.error(
        "login.refused",
        role=role,
        refused_for=round(seconds, 1),
        error=error,
        remedy="give the new login where the old one stands: it is read anew before each try",
    )


def logins_not_read(problems: list[str]) -> None:
    """Logs that the present settings cannot be read; connections use the previous credentials."""
    _broker.warning("login.not_read", problems=problems)


def connection_back(role: str, address: str, away: float) -> None:
    """Logs that a connection to the broker is open, for the first time or after `away` seconds."""
    _broker.info("connection.open", role=role, address=address, away=round(away, 1))


def database_in_the_open(host: str) -> None:
    """Logs that the database server offers no TLS: the connection can be read and modified."""
    _process.warning(
        "storage.unencrypted", host=host, remedy="switch TLS on there (ssl = on), or set storage.tls.mode"
    )


def prefix_shared(prefix: str) -> None:
    """Logs that another bridge with another history uses the same prefix on the same broker."""
    _process.error(
        "prefix_lock.shared",
        prefix=prefix,
        effect="each takes messages of the other, and neither history has everything",
        remedy="set another broker.prefix there, or the same storage.url",
    )


def database_pooled() -> None:
    """Logs that a connection pooler is in front of the database server."""
    _process.info(
        "storage.pooled", effect="no prepared statements are kept there, limits are set in each transaction"
    )


# ---- process -------------------------------------------------------------------------------------------


def started(version: str, sources: int, hooks: int) -> None:
    _process.info("bridge.started", version=version, sources=sources, hooks=hooks)


def listening(purpose: str, address: str) -> None:
    """Logs that a socket is open; `address` has the actual port."""
    _process.info("http.listening", purpose=purpose, address=address)


def request_malformed(remote: str, kind: str) -> None:
    """Logs bytes that are not a valid HTTP request, answered with 400; `kind` is the parser's name for the error."""
    _process.info("http.malformed", remote=remote, kind=kind)


def request_failed(method: str, path: str, error: BaseException, request_id: str | None = None) -> None:
    """Logs a bug in the handling of a request, which was answered with 500."""
    _process.error("http.internal_error", method=method, path=path, request_id=request_id, exc_info=error)


def api_answered(request_id: str, method: str, path: str, status: int, duration_ms: float) -> None:
    """Logs a response of the admin API: success at debug, a refusal at info, a failure at warning."""
    level = logging.DEBUG if status < 400 else logging.INFO if status < 500 else logging.WARNING
    _process.log(
        level,
        "api.answered",
        request_id=request_id,
        method=method,
        path=path,
        status=status,
        duration_ms=round(duration_ms, 1),
    )


def api_unavailable(request_id: str, reason: str) -> None:
    """Logs a request to the admin API answered with 503 because a dependency is unavailable."""
    _process.warning("api.unavailable", request_id=request_id, reason=reason)


def audit_failed(deed: AuditEntry, error: BaseException) -> None:
    """Logs a change whose entry in the audit log could not be written: this line is its only record."""
    _process.error(
        "audit.failed",
        error=repr(error),
        effect="the change is in force and missing in the audit log",
        at=deed.at,
        actor=deed.actor,
        role=deed.role,
        action=deed.action,
        object_type=deed.object_type,
        object_id=deed.object_id,
        request_id=deed.request_id,
        remote=deed.remote,
        detail=deed.detail,
    )


def tokens_guessed(remote: str) -> None:
    """Logs that an address sends many wrong tokens; its responses are delayed from now on. At most once a minute."""
    _process.warning("api.tokens_guessed", remote=remote, effect="answers to wrong tokens wait")


def waiting_for(what: str, error: str, left: float) -> None:
    """Logs that a dependency is missing at the start; it is retried for `left` seconds."""
    _process.warning("start.waiting", what=what, error=error, left=round(left, 1))


def reloaded(hooks: int, added: int, removed: int, changed: int, broken: int) -> None:
    """Logs the hooks of the file that are in force; `broken` of them cannot be served as configured."""
    _process.info(
        "config.reloaded", hooks=hooks, added=added, removed=removed, changed=changed, broken=broken
    )


def hardly_meant(path: str, warning: str) -> None:
    """Logs a warning about the configuration that does not prevent a start."""
    _process.warning("config.warning", path=path, warning=warning)


def needs_restart(sections: list[str]) -> None:
    """Logs changed sections of the file that need a restart; only hooks are reloaded at run time."""
    _process.warning("config.needs_restart", changed=sections, effect="in force after a restart")


def reload_refused(problems: list[str]) -> None:
    """Logs that the file has problems: the previous hooks stay in force."""
    _process.error("config.refused", problems=problems)


def stopping(signal: str, drain: float) -> None:
    """Logs that consumption has ended; attempts in flight get up to `drain` seconds."""
    _process.info("bridge.stopping", signal=signal, drain=drain)


def stopped(unfinished: int) -> None:
    """Logs the end of the process; `unfinished` attempts were cut off, whose messages the broker redelivers."""
    _process.info("bridge.stopped", unfinished=unfinished)
