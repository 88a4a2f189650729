"""How hooks fare, kept up to date within the commit of what happened to them."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from bridge.ports.statistics import HookHealth
from bridge.storage.additions import put, put_if_later
from bridge.storage.admin_tables import hook_health
from bridge.storage.statements import Row, padded
from bridge.storage.tally import Fared

FIELDS = (
    "hook", "last_attempt_at", "last_success_at", "last_failure_at", "failing_since", "failed_attempts",
    "failed_deliveries",
)  # fmt: skip
_WELL = (
    "hook", "last_attempt_at", "last_success_at", "failing_since", "failed_attempts", "failed_deliveries",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(FIELDS)} FROM hook_health WHERE hook"  # noqa: S608 - names of our own columns


def update_health(connection: Connection, fared: Mapping[str, Fared]) -> None:
    """Read, bring up to date and write the rows of these hooks.

    Nobody comes between: the same commit has added to the sums of these hooks before, which only one can at a time.
    """
    if not fared or _all_well(connection, fared):
        return
    known = _known(connection, padded(sorted(fared)))
    after = (health_after(known.get(hook, HookHealth(hook)), each) for hook, each in fared.items())
    put(connection, hook_health, FIELDS, [_row(health) for health in after])


def _all_well(connection: Connection, fared: Mapping[str, Fared]) -> bool:
    """Whether nothing failed, and all of it was later than what is known: nearly always, and then there is nothing to read."""
    if any(each.failed for each in fared.values()):
        return False
    rows = [(hook, each.succeeded_at, each.succeeded_at, None, 0, 0) for hook, each in fared.items()]
    return put_if_later(connection, hook_health, _WELL, rows, "last_attempt_at")


def read_health(connection: Connection, hooks: list[str] | None) -> dict[str, HookHealth]:
    """What is known of these hooks, None: of all."""
    wanted = select(*(hook_health.c[name] for name in FIELDS))
    if hooks is not None:
        wanted = wanted.where(hook_health.c.hook.in_(padded(hooks)))
    return {row[0]: HookHealth(*row) for row in connection.execute(wanted)}


def _known(connection: Connection, hooks: list[str]) -> dict[str, HookHealth]:
    """As `read_health`, but in the driver's words: for one row SQLAlchemy takes ten times as long as the database."""
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(f"{_SELECT} = ANY($1::text[])", (hooks,))
    else:
        rows = connection.exec_driver_sql(f"{_SELECT} IN ({', '.join('?' * len(hooks))})", tuple(hooks))
    return {row[0]: HookHealth(*row) for row in rows}


def health_after(known: HookHealth, fared: Fared) -> HookHealth:
    """What goes for the hook once this is known too, in whatever order things come to be known.

    How many of the failures known were after a success that only now is known nobody can say: the last one was.
    """
    success = _latest(known.last_success_at, [] if fared.succeeded_at is None else [fared.succeeded_at])
    failure = _latest(known.last_failure_at, fared.failed)
    since, attempts, deliveries = known.failing_since, known.failed_attempts, known.failed_deliveries
    if success is not None and success != known.last_success_at and since is not None:
        if known.last_failure_at is None or success >= known.last_failure_at:
            since, attempts, deliveries = None, 0, 0
        elif success >= since:
            since, attempts, deliveries = known.last_failure_at, 1, min(deliveries, 1)
    after = [at for at in fared.failed if success is None or at > success]
    gave_up = [at for at in fared.gave_up if success is None or at > success]
    if after:
        since = min(after) if since is None else min(since, *after)
    return HookHealth(
        known.hook,
        last_attempt_at=_latest(known.last_attempt_at, [at for at in (success, failure) if at is not None]),
        last_success_at=success,
        last_failure_at=failure,
        failing_since=since,
        failed_attempts=attempts + len(after),
        failed_deliveries=deliveries + len(gave_up),
    )


def _row(health: HookHealth) -> Row:
    return (
        health.hook, health.last_attempt_at, health.last_success_at, health.last_failure_at, health.failing_since,
        health.failed_attempts, health.failed_deliveries,
    )  # fmt: skip


def _latest(known: float | None, others: list[float]) -> float | None:
    return max(others, default=None) if known is None else max([known, *others])
