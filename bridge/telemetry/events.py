"""Each thing worth knowing, as one typed function that writes one wide line.

Nothing here costs anything worth counting while its level is off.
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
    """One attempt ended: at debug when it delivered, at info when it did not."""
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
    """A message could not be handled and is kept whole."""
    _events.warning("message.quarantined", source=source, reason=reason, detail=detail)


def intake_failed(source: str, error: BaseException) -> None:
    """A bug in the routing of a message; the broker hands it out again."""
    _events.error("intake.internal_error", source=source, error=repr(error), exc_info=error)


def recall_failed(error: BaseException) -> None:
    """A bug in the look for what was done before; its messages are delivered as if they were new."""
    _events.error("redelivery_filter.internal_error", error=repr(error), exc_info=error)


def key_failed(source: str, detail: str) -> None:
    """The expression of `dedupe` came to nothing that can be a key; the first of a source."""
    _events.warning("dedupe.no_key", source=source, detail=detail, effect="such events are never duplicates")


def entry_refused(what: str, reason: str) -> None:
    """The database refused one entry for what it holds; the rest of its batch was written."""
    _events.error("history.entry_refused", entry=what, reason=reason)


# ---- inlets --------------------------------------------------------------------------------------------


def inlet_refused(inlet: str, remote: str | None, reasons: list[str]) -> None:
    """No verifier accepted a request; `reasons` has one for each, in their order, and holds no secret."""
    _inlets.info("inlet.refused", inlet=inlet, remote=remote, reasons=reasons)


def inlet_unavailable(inlet: str, reason: str) -> None:
    """A request was answered with 503 because nobody holds its message; the first of a row of them."""
    _inlets.warning("inlet.unavailable", inlet=inlet, reason=reason)


def inlet_available(inlet: str, refused: int) -> None:
    """Messages are taken again, after `refused` requests that were answered with 503."""
    _inlets.info("inlet.available", inlet=inlet, refused=refused)


# ---- hooks ---------------------------------------------------------------------------------------------


def breaker_opened(hook: str, reason: str, probe_in: float) -> None:
    """Attempts of the hook stop; the next probe is due in `probe_in` seconds."""
    _hooks.warning("breaker.opened", hook=hook, reason=reason, probe_in=round(probe_in, 1))


def breaker_closed(hook: str, open_for: float) -> None:
    """The hook's target answers again, after `open_for` seconds."""
    _hooks.info("breaker.closed", hook=hook, open_for=round(open_for, 1))


def hook_paused(hook: str, reason: str) -> None:
    """The bridge paused a hook by itself (410 Gone, nothing but failures for days): deliveries wait in its lane until
    a person resumes it.
    """
    _hooks.warning("hook.paused", hook=hook, reason=reason)


def hook_failing(hook: str, percent: int, since: float) -> None:
    """It has only failed since that Unix time, for `percent` of the time after which it is paused."""
    _hooks.warning("hook.failing", hook=hook, percent=percent, since=utc_seconds(since))


def hook_recovered(hook: str) -> None:
    """It succeeded again after it had been told to fail."""
    _hooks.info("hook.recovered", hook=hook)


def hook_broken(hook: str, name: str, why: str, effect: str) -> None:
    """A hook cannot be served as it is written; it is looked at again when hooks are read anew."""
    _hooks.error("hook.broken", hook=hook, name=name, reason=why, effect=effect)


def hooks_refused(why: str) -> None:
    """Hooks were changed, but cannot be read or put in force here: those of before stay in force."""
    _hooks.error("hooks.refused", reason=why)


def hook_deleted(hook: str, name: str, lane: str, deliveries: int) -> None:
    """Its lane is `drained` or `dropped`; so many deliveries became FAILED `hook_deleted`."""
    _hooks.info("hook.deleted", hook=hook, name=name, lane=lane, deliveries=deliveries)


def hook_failed(hook: str, error: BaseException) -> None:
    """A bug in the handling of a hook's delivery; the delivery is tried again."""
    _hooks.error("hook.internal_error", hook=hook, error=repr(error), exc_info=error)


def copy_failed(hook: str, error: BaseException) -> None:
    """A delivery's copy could not be put into lane or ladder; it is tried until it can."""
    _hooks.warning("copy.failed", hook=hook, error=str(error))


# ---- broker and database -------------------------------------------------------------------------------


def source_contract_mismatch(source: str, queue: str, detail: str) -> None:
    """The source's queue exists with other arguments than its publishers declare; it is consumed anyway."""
    _broker.warning("source.contract_mismatch", source=source, queue=queue, detail=detail)


def connection_lost(role: str, error: str, retry_in: float) -> None:
    """A connection to the broker went away, or could not be made."""
    _broker.warning("connection.lost", role=role, error=error, retry_in=round(retry_in, 2))


def connection_ends_again(role: str, error: str, source: str) -> None:
    """A connection ended three times within a minute, each time soon after it was made; `source`: the only one that is
    consumed there, else empty.
    """
    _broker.error(
        "connection.ends_again",
        role=role,
        error=error,
        source=source,
        remedy="look at the first messages of the source's queue, and at the broker's log",
    )


def token_not_renewed(role: str, error: str, ends_in: float) -> None:
    """A connection's access token ends in `ends_in` seconds and there is no new one; tried again until then."""
    _broker.error("login.not_renewed", role=role, error=error, ends_in=round(ends_in, 1))


def login_refused(role: str, seconds: float, error: str) -> None:
    """The login in this role has been refused for so long; told once a minute."""
    _broker.error(
        "login.refused",
        role=role,
        refused_for=round(seconds, 1),
        error=error,
        remedy="give the new login where the old one stands: it is read anew before each try",
    )


def logins_not_read(problems: list[str]) -> None:
    """What is written now cannot be read; connections are made with the logins of before."""
    _broker.warning("login.not_read", problems=problems)


def connection_back(role: str, address: str, away: float) -> None:
    """A connection to the broker is open (again), after `away` seconds without."""
    _broker.info("connection.open", role=role, address=address, away=round(away, 1))


def database_in_the_open(host: str) -> None:
    """The database's server offers no TLS: what is written there can be read and changed on its way."""
    _process.warning(
        "storage.unencrypted", host=host, remedy="switch TLS on there (ssl = on), or set storage.tls.mode"
    )


def prefix_shared(prefix: str) -> None:
    """Another bridge with another history serves the same prefix on the same broker."""
    _process.error(
        "prefix_lock.shared",
        prefix=prefix,
        effect="each takes messages of the other, and neither history has everything",
        remedy="set another broker.prefix there, or the same storage.url",
    )


def database_pooled() -> None:
    """A pooler stands before the database's server."""
    _process.info(
        "storage.pooled", effect="no prepared statements are kept there, limits are set in each transaction"
    )


# ---- the process ---------------------------------------------------------------------------------------


def started(version: str, sources: int, hooks: int) -> None:
    _process.info("bridge.started", version=version, sources=sources, hooks=hooks)


def listening(purpose: str, address: str) -> None:
    """A socket is open; `address` has the real port."""
    _process.info("http.listening", purpose=purpose, address=address)


def request_malformed(remote: str, kind: str) -> None:
    """Bytes came in that are no HTTP request, and were answered with 400; `kind` is how the parser calls it."""
    _process.info("http.malformed", remote=remote, kind=kind)


def request_failed(method: str, path: str, error: BaseException, request_id: str | None = None) -> None:
    """A bug in the handling of a request; it was answered with 500."""
    _process.error("http.internal_error", method=method, path=path, request_id=request_id, exc_info=error)


def api_answered(request_id: str, method: str, path: str, status: int, duration_ms: float) -> None:
    """The admin API answered: at debug what it was asked for, at info a refusal, at warning what it could not do."""
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
    """What a request to the admin API needs is away; it was answered with 503."""
    _process.warning("api.unavailable", request_id=request_id, reason=reason)


def audit_failed(deed: AuditEntry, error: BaseException) -> None:
    """Something was changed, and its entry in the audit log could not be written: this line is all there is of it."""
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
    """An address shows one wrong token after the other; its answers wait from now on. Told once in a minute."""
    _process.warning("api.tokens_guessed", remote=remote, effect="answers to wrong tokens wait")


def waiting_for(what: str, error: str, left: float) -> None:
    """What the bridge needs to start is not there yet; it is tried again for `left` seconds."""
    _process.warning("start.waiting", what=what, error=error, left=round(left, 1))


def reloaded(hooks: int, added: int, removed: int, changed: int, broken: int) -> None:
    """Hooks of the file as they are now in force; `broken` of them cannot be served as they are written."""
    _process.info(
        "config.reloaded", hooks=hooks, added=added, removed=removed, changed=changed, broken=broken
    )


def hardly_meant(path: str, warning: str) -> None:
    """Something in the configuration that hinders no start."""
    _process.warning("config.warning", path=path, warning=warning)


def needs_restart(sections: list[str]) -> None:
    """These sections of the file changed, too; only hooks are read anew while the bridge runs."""
    _process.warning("config.needs_restart", changed=sections, effect="in force after a restart")


def reload_refused(problems: list[str]) -> None:
    """The file has problems: what was in force stays in force."""
    _process.error("config.refused", problems=problems)


def stopping(signal: str, drain: float) -> None:
    """Consuming has ended; attempts under way get up to `drain` seconds."""
    _process.info("bridge.stopping", signal=signal, drain=drain)


def stopped(unfinished: int) -> None:
    """`unfinished` attempts were cut off; their messages are handed out again by the broker."""
    _process.info("bridge.stopped", unfinished=unfinished)
