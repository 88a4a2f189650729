"""What is asked of the history; each function over a connection, each one statement."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, delete, func, insert, select, text, update

from bridge.model.delivery import Known
from bridge.ports.history import HistorySize, HookState
from bridge.storage.revision import next_revision
from bridge.storage.rows import FINAL_STATUSES
from bridge.storage.statements import padded
from bridge.storage.tables import deliveries, hook_states, metadata, quarantine
from bridge.storage.text import storable


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
    rows = connection.execute(select(c.hook, c.paused, c.reason, c.changed_at, c.said_enabled, c.said_paused))
    return {row[0]: HookState(*row) for row in rows}


def store_hook_state(connection: Connection, state: HookState) -> None:
    """Put the state in place of what was stored of its hook."""
    connection.execute(delete(hook_states).where(hook_states.c.hook == state.hook))
    connection.execute(
        insert(hook_states).values(
            hook=state.hook,
            paused=state.paused,
            reason=storable(state.reason),
            changed_at=state.at,
            said_enabled=state.said_enabled,
            said_paused=state.said_paused,
        )
    )


def store_own_pause(connection: Connection, state: HookState) -> None:
    """Put what the bridge itself says of a hook in place of what it said before; what a person said stays."""
    next_revision(connection)
    own = {"paused": state.paused, "reason": storable(state.reason), "changed_at": state.at}
    statement = update(hook_states).where(hook_states.c.hook == state.hook).values(own)
    if not connection.execute(statement).rowcount:
        connection.execute(insert(hook_states).values(hook=state.hook, **own))


def counts_by_status(connection: Connection) -> dict[str, int]:
    """How many deliveries have each status; a status that none has is absent."""
    status = deliveries.c.status
    return dict(connection.execute(select(status, func.count()).group_by(status)).all())


def size(connection: Connection) -> HistorySize:
    """How much there is; the tables of others in the same database do not count."""
    quarantined = connection.execute(select(func.count()).select_from(quarantine)).scalar_one()
    return HistorySize(_bytes(connection), quarantined)


def _bytes(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        sizes = text(
            "SELECT coalesce(sum(pg_total_relation_size(to_regclass(quote_ident(name)))), 0) FROM unnest(CAST(:names AS text[])) AS name"
        )
        return int(connection.execute(sizes, {"names": list(metadata.tables)}).scalar_one())
    file = Path(connection.exec_driver_sql("PRAGMA database_list").one()[2])
    parts = (file, *(file.with_name(f"{file.name}{ending}") for ending in ("-wal", "-shm")))
    return sum(part.stat().st_size for part in parts if part.exists())


def touch(connection: Connection) -> None:
    """Read something that only a usable database has."""
    connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()


def _is_uuid(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True
