"""What is asked of the history; each function over a connection, each one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text

from bridge.model.delivery import Known
from bridge.ports.history import HookState
from bridge.storage.rows import FINAL_STATUSES
from bridge.storage.statements import padded
from bridge.storage.tables import deliveries, events, hook_states


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """A delivery as the history has it. Times are Unix seconds; `attempts` is how many there were."""

    id: str
    event_id: str
    event_type: str
    hook: str
    target: str
    status: str
    reason: str
    generation: int
    attempts: int
    created_at: float
    updated_at: float
    next_attempt_at: float | None


def known(connection: Connection, ids: Sequence[str]) -> dict[str, Known]:
    """What is recorded of these deliveries; an id that cannot be one of ours has no row."""
    if connection.dialect.name == "postgresql":
        ids = [one for one in ids if _is_uuid(one)]
    if not ids:
        return {}
    c = deliveries.c
    rows = connection.execute(select(c.id, c.generation, c.attempts, c.status).where(c.id.in_(padded(ids))))
    return {
        one: Known(generation, attempts, status in FINAL_STATUSES)
        for one, generation, attempts, status in rows
    }


def stored_hook_states(connection: Connection) -> dict[str, HookState]:
    """Every stored state by hook id."""
    c = hook_states.c
    rows = connection.execute(select(c.hook, c.paused, c.reason, c.changed_at))
    return {hook: HookState(hook, paused, reason, at) for hook, paused, reason, at in rows}


def store_hook_state(connection: Connection, state: HookState) -> None:
    """Put the state in place of what was stored of its hook."""
    connection.execute(delete(hook_states).where(hook_states.c.hook == state.hook))
    connection.execute(
        insert(hook_states).values(
            hook=state.hook, paused=state.paused, reason=state.reason, changed_at=state.at
        )
    )


def counts_by_status(connection: Connection) -> dict[str, int]:
    """How many deliveries have each status; a status that none has is absent."""
    status = deliveries.c.status
    return dict(connection.execute(select(status, func.count()).group_by(status)).all())


def newest_deliveries(connection: Connection, limit: int) -> list[StoredDelivery]:
    """At most `limit` deliveries, the newest first."""
    c = deliveries.c
    joined = select(
        c.id, c.event_id, events.c.type.label("event_type"), c.hook, c.target, c.status, c.reason, c.generation, c.attempts,
        c.created_at, c.updated_at, c.next_attempt_at,
    ).join(events, events.c.id == c.event_id)  # fmt: skip
    found = connection.execute(joined.order_by(c.id.desc()).limit(limit))
    return [StoredDelivery(**row) for row in found.mappings()]


def touch(connection: Connection) -> None:
    """Read something that only a usable database has."""
    connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()


def _is_uuid(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True
