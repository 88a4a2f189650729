"""The history database: SQLite for one process, PostgreSQL for several replicas."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

from sqlalchemy import Column, Connection, delete, exists, func, insert, select, text, update

from bridge.core.delivery import Entry, Known, weight
from bridge.core.errors import Problem, SettingsError
from bridge.core.ports import DatabaseLogin, HistorySize, HookState
from bridge.core.records import IdOf, KnownDelivery, KnownEvent
from bridge.db.admin_tables import next_revision, replays
from bridge.db.engine import Engine, Reads, Store, Writes
from bridge.db.migrations import migrate
from bridge.db.rows import FINAL_STATUSES, storable
from bridge.db.scan import distinct
from bridge.db.sqlite import SqliteEngine
from bridge.db.tables import deliveries, events, hook_states, metadata, quarantine
from bridge.db.upserts import padded
from bridge.history import deliveries as history_deliveries
from bridge.history import events as history_events
from bridge.history.batches import Batches, KnownAlready, RowsRefused
from bridge.history.retention import BEFORE_ALL, prune_beside, prune_events, prune_quarantine
from bridge.history.types import names
from bridge.settings.databases import SqliteFile, read_database
from bridge.settings.transport import StorageTls

# The queries of the history; each function runs one statement on a connection.


def known(connection: Connection, ids: Sequence[str]) -> dict[str, Known]:
    """Returns what is recorded of these deliveries; an id that is not a UUID has no row."""
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
    """Returns all stored hook states by hook id."""
    c = hook_states.c
    rows = connection.execute(select(c.hook, c.paused, c.reason, c.changed_at, c.said_enabled, c.said_paused))
    return {row[0]: HookState(*row) for row in rows}


def store_hook_state(connection: Connection, state: HookState) -> None:
    """Stores the state of a hook, replacing the previous one."""
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
    """Stores the bridge's own part of a hook's state; the part set by a person stays."""
    next_revision(connection)
    own = {"paused": state.paused, "reason": storable(state.reason), "changed_at": state.at}
    statement = update(hook_states).where(hook_states.c.hook == state.hook).values(own)
    if not connection.execute(statement).rowcount:
        connection.execute(insert(hook_states).values(hook=state.hook, **own))


def _counts_by_status(connection: Connection) -> dict[str, int]:
    """Returns the number of deliveries by status; statuses without deliveries are absent."""
    status = deliveries.c.status
    return dict(connection.execute(select(status, func.count()).group_by(status)).all())


def _size(connection: Connection) -> HistorySize:
    """Returns the size of the history; other tables in the same database are not counted."""
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
    """Reads a row that exists only in a usable database."""
    connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()


def _is_uuid(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True


_IDS_AT_ONCE = 8192
_SLOWEST = 128 * 1024
"""Assumed minimum bytes per second of the connection to the database, by which the timeout for a commit of
large bodies grows.
"""
_LONGEST = 3600.0
_EVENTS_AT_ONCE = 500


async def open_history(
    url: str,
    tls: StorageTls | None = None,
    *,
    timeout: float = 10.0,
    login: DatabaseLogin | None = None,
    alone: bool = False,
) -> "SqlHistory":
    """Opens the history at `sqlite:///file.db` or `postgresql://user:password@host/database`, and migrates its tables.

    `tls` and `login` are for PostgreSQL. `timeout`, in seconds, bounds a transaction; with SQLite, the wait for another process
    that has locked the file. `alone`: no other process may open the file in this way. Raises SettingsError if the URL cannot
    hold a history or only a newer version can read it, HistoryUnavailable if the database cannot be reached, AlreadyRunning if
    another process has the file.
    """
    engine = _engine(url, timeout, tls or StorageTls(), login, alone=alone)
    try:
        await engine.write(migrate, patient=True)
    except BaseException:
        await engine.close()
        raise
    return SqlHistory(engine)


def _event(connection: Connection, event_id: str) -> tuple[KnownEvent, Sequence[KnownDelivery]] | None:
    found = history_events.one(connection, event_id)
    return (found, history_deliveries.of_event(connection, found.id)) if found is not None else None


# The names and ids in the history, each looked up in an index.


_MOST_SOURCES = 100
_NO_ID = "00000000-0000-0000-0000-000000000000"
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


def _has_hook(connection: Connection, hook: str) -> bool:
    return _there(connection, deliveries.c.hook, hook)


def _has_source(connection: Connection, source: str) -> bool:
    return _there(connection, events.c.source, source) or _there(connection, quarantine.c.source, source)


def _has_event_type(connection: Connection, kind: str) -> bool:
    return any(
        connection.scalar(select(exists().where(events.c.source == source, events.c.type == storable(kind))))
        for source in distinct(connection, events.c.source, most=_MOST_SOURCES)
    )


def _ids_beginning(connection: Connection, kind: IdOf, beginning: str, most: int) -> list[str]:
    columns: dict[IdOf, Column[str]] = {
        "event": events.c.id,
        "delivery": deliveries.c.id,
        "quarantine": quarantine.c.id,
        "replay": replays.c.id,
    }
    column = columns[kind]
    first, last = beginning + _NO_ID[len(beginning) :], beginning + _LAST_ID[len(beginning) :]
    chosen = select(column).where(column >= first, column <= last).order_by(column).limit(most)
    return [str(one) for one in connection.scalars(chosen)]


def _there(connection: Connection, column: Column[str], value: str) -> bool:
    return bool(connection.scalar(select(exists().where(column == storable(value)))))


# The store.


class SqlHistory(Store):
    """The store of events, deliveries and attempts.

    Every query answers within 200 ms on five million deliveries. Lists are in the order of receipt: by the id of the event,
    then of the delivery; lists of deliveries can also be in the order of their last change. `after` is the `next` of the
    previous page; ValueError for an invalid one. All methods raise HistoryUnavailable.
    """

    hook_states = Reads(stored_hook_states)
    set_hook_state = Writes(store_own_pause)
    counts_by_status = Reads(_counts_by_status)
    deliveries = Reads(history_deliveries.page)
    deliveries_beyond = Reads(history_deliveries.beyond)
    delivery = Reads(history_deliveries.one)
    events = Reads(history_events.page)
    listed_events = Reads(history_events.listed)
    whole_events = Reads(history_events.whole_page)
    events_beyond = Reads(history_events.beyond)
    event = Reads(_event)
    size = Reads(_size)
    has_hook = Reads(_has_hook)
    has_source = Reads(_has_source)
    has_event_type = Reads(_has_event_type)
    ids_beginning = Reads(_ids_beginning)
    event_types = Reads(names)
    ping = Reads(touch)
    behind = staticmethod(history_events.behind)

    def __init__(self, engine: Engine) -> None:
        """Prepares the store; the tables must have the schema of this version."""
        self.engine = engine
        self._batches = Batches(engine.dialect)
        self._pruned_to = BEFORE_ALL

    async def commit(self, entries: Sequence[Entry]) -> list[tuple[Entry, str]]:
        if not entries:
            return []
        longer = min(sum(map(weight, entries)) / _SLOWEST, _LONGEST)
        try:
            forms = await self.engine.write(partial(self._batches.write, entries), longer=longer)
        except (RowsRefused, KnownAlready):
            return await self.engine.write(partial(self._batches.sift, entries), longer=longer)
        if forms:
            self._batches.committed(forms)
        return []

    async def known(self, deliveries: Sequence[str]) -> dict[str, Known]:
        found: dict[str, Known] = {}
        for start in range(0, len(deliveries), _IDS_AT_ONCE):
            some = deliveries[start : start + _IDS_AT_ONCE]
            found |= await self.engine.read(partial(known, ids=some))
        return found

    async def prune(self, finished_before: float, limit: int) -> int:
        await self.engine.write(partial(prune_quarantine, before=finished_before, limit=limit))
        await self.engine.write(partial(prune_beside, finished_before=finished_before))
        deleted = 0
        while deleted < limit:
            size = min(limit - deleted, _EVENTS_AT_ONCE)
            step = partial(prune_events, after=self._pruned_to, finished_before=finished_before, limit=size)
            window = await self.engine.write(step)
            deleted += window.deleted
            # Events that cannot be deleted yet are not checked on each call: the next call continues where this one ended.
            self._pruned_to = window.last or BEFORE_ALL
            if window.last is None:
                break
        if deleted:
            await self.engine.reclaim()
        return deleted

    async def close(self) -> None:
        """Closes the database connections after the running transactions."""
        await self.engine.close()


def _engine(
    address: str, timeout: float, tls: StorageTls, login: DatabaseLogin | None = None, *, alone: bool = False
) -> Engine:
    try:
        database = read_database(address)
    except ValueError as error:
        raise SettingsError([Problem("storage.url", str(error))]) from None
    if isinstance(database, SqliteFile):
        return SqliteEngine(database.path, timeout=timeout, alone=alone)
    from bridge.db.postgres import PostgresEngine  # 12 MB that a history in a file does not need

    return PostgresEngine(database, tls, timeout=timeout, login=login)
