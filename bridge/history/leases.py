"""The replicas and their leases, by the clock of the database, since the clocks of hosts differ."""

import time

from sqlalchemy import Connection, delete, func, or_, select

from bridge.core.records import Replica
from bridge.db.admin_tables import leases, replicas
from bridge.db.engine import Reads, Store, Writes
from bridge.db.upserts import any_insert

_STEP = 60.0
"""Minimum seconds by which a clock goes back that count as set, and not as a correction."""
_FORGOTTEN_AFTER = 3600.0
"""Seconds after which the row of a replica that did not stop cleanly is deleted."""


def now(connection: Connection) -> float:
    """Returns the Unix time in seconds of the clock that all replicas share."""
    if connection.dialect.name == "sqlite":
        return time.time()  # one process, one host
    return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)


def _seen(connection: Connection, replica: Replica) -> None:
    at = now(connection)
    values = {
        "id": replica.id,
        "host": replica.host,
        "targets": replica.targets,
        "started_at": replica.started_at,
        "seen_at": at,
        "revision": replica.revision,
        "settled": replica.settled,
    }
    statement = any_insert(connection, replicas).values(values)
    changing = {name: values[name] for name in ("seen_at", "revision", "settled")}
    connection.execute(statement.on_conflict_do_update(index_elements=[replicas.c.id], set_=changing))
    connection.execute(delete(replicas).where(replicas.c.seen_at < at - _FORGOTTEN_AFTER))


def _there(connection: Connection, within: float) -> list[Replica]:
    """Returns the replicas with a heartbeat in the last `within` seconds."""
    at = now(connection)
    # A heartbeat in the future is from a replica that has gone, before the clock was set back.
    seen = replicas.c.seen_at.between(at - within, at + within)
    rows = connection.execute(select(replicas).where(seen).order_by(replicas.c.id))
    return [
        Replica(row.id, row.host, row.targets, row.started_at, row.seen_at, row.revision, row.settled)
        for row in rows
    ]


def _leave(connection: Connection, replica_id: str) -> None:
    connection.execute(delete(leases).where(leases.c.holder == replica_id))
    connection.execute(delete(replicas).where(replicas.c.id == replica_id))


def _lease(connection: Connection, name: str, holder: str, seconds: float) -> bool:
    """Acquire or renew the lease for this many seconds; returns False while another replica holds it."""
    at = now(connection)
    statement = any_insert(connection, leases).values(name=name, holder=holder, until=at + seconds)
    # A lease that ends later than any lease could was acquired before the clock was set back.
    free = or_(leases.c.holder == holder, leases.c.until <= at, leases.c.until > at + seconds + _STEP)
    taken = connection.execute(
        statement.on_conflict_do_update(
            index_elements=[leases.c.name],
            set_={"holder": statement.excluded.holder, "until": statement.excluded.until},
            where=free,
        )
    )
    return taken.rowcount > 0


def _release(connection: Connection, name: str, holder: str) -> None:
    connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))


class SqlReplicas(Store):
    """The store of replicas and leases. All methods raise HistoryUnavailable."""

    seen = Writes(_seen)
    replicas = Reads(_there)
    leave = Writes(_leave)
    lease = Writes(_lease)
    release = Writes(_release)
