"""The survey of the history's database before a start, without any change."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from bridge.core.errors import HistoryUnavailable
from bridge.core.survey import FoundDatabase
from bridge.db.engine import HEAD, misfit, owner_of
from bridge.db.migrations import OURS
from bridge.db.sqlite import Glimpse, glimpse, hindrance
from bridge.db.tables import metadata
from bridge.settings.databases import SqliteFile, read_database
from bridge.settings.transport import StorageTls

_PATIENCE = 5.0
_HOOKS = "SELECT id FROM hooks WHERE deleting = '' ORDER BY id LIMIT 500"
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")


async def survey_database(url: str, shown: str, tls: StorageTls) -> FoundDatabase:
    """Returns the findings about the database at this address of the settings; `shown` is the address without its password."""
    database = read_database(url)
    if isinstance(database, SqliteFile):
        return await asyncio.to_thread(_file, database.path)
    from bridge.db.postgres import PostgresEngine, near  # 12 MB that a history in a file does not need

    engine = PostgresEngine(database, tls, timeout=_PATIENCE)
    try:
        told = await engine.read(_server)
    except HistoryUnavailable as error:
        return FoundDatabase(shown, "postgresql", HEAD, str(error))
    finally:
        await engine.close()
    encrypted = told.pop("encrypted") or near(database)
    pooled = bool(engine.pooled)
    return FoundDatabase(shown, "postgresql", HEAD, encrypted=encrypted, pooled=pooled, **told)


def _file(path: Path) -> FoundDatabase:
    place = str(path)
    folder = path.absolute().parent
    reason = hindrance(path)
    if not folder.is_dir() or (path.exists() and not path.is_file()):
        return FoundDatabase(place, "sqlite", HEAD, reason)
    free = shutil.disk_usage(folder).free
    if not path.exists():
        return FoundDatabase(
            place, "sqlite", HEAD, hindrance=reason, version=sqlite3.sqlite_version, free=free
        )
    if not os.access(path, os.R_OK):
        return FoundDatabase(place, "sqlite", HEAD, reason, free=free)
    found = glimpse(path) or Glimpse(frozenset())
    unfit = misfit(found.tables, found.revision)
    try:
        hooks, locked = _looked_into(
            path, try_to_write=not reason, current=found.revision == HEAD and not unfit
        )
    except sqlite3.Error as error:
        return FoundDatabase(place, "sqlite", HEAD, reason or str(error), free=free)
    return FoundDatabase(
        place,
        "sqlite",
        HEAD,
        hindrance=reason or locked,
        version=sqlite3.sqlite_version,
        revision=found.revision,
        misfit=unfit,
        owner=found.owner,
        free=free,
        size=path.stat().st_size,
        hooks=hooks,
    )


def _looked_into(path: Path, *, try_to_write: bool, current: bool) -> tuple[tuple[str, ...], str]:
    """Returns the hooks made through the API, and the reason why the database is not writable at the moment.

    `current`: the tables are those of this version; else a table named hooks may be of another version or another program.
    """
    mode = "rw" if try_to_write else "ro"
    address = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE, isolation_level=None)) as database:
        hooks = tuple(str(each) for (each,) in database.execute(_HOOKS)) if current else ()
        locked = ""
        if try_to_write:
            try:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
            except sqlite3.OperationalError as error:
                locked = str(error)
    return hooks, locked


def _server(connection: Connection) -> dict[str, Any]:
    def one(statement: str) -> Any:
        return connection.execute(text(statement)).scalar_one_or_none()

    tables = frozenset(inspect(connection).get_table_names())
    revision = one("SELECT version_num FROM alembic_version") if "alembic_version" in tables else None
    unfit = misfit(tables, revision, OURS)
    current = revision == HEAD and not unfit
    hooks = connection.execute(text(_HOOKS)).scalars() if current else ()
    return {
        "hooks": tuple(str(each) for each in hooks),
        "version": str(one("SHOW server_version")),
        "revision": revision,
        "misfit": unfit,
        "owner": owner_of(connection) if current else None,
        "hindrance": _hindrance(one, revision),
        "encrypted": bool(one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")),
        "size": one("SELECT pg_database_size(current_database())"),
    }


def _hindrance(one: Any, revision: str | None) -> str:
    if one("SELECT pg_is_in_recovery()"):
        return "it is a standby, which cannot be written to"
    if one("SHOW default_transaction_read_only") == "on":
        return "default_transaction_read_only is on"
    if revision != HEAD and not one("SELECT has_schema_privilege(current_schema(), 'CREATE')"):
        return "no right to make tables in the schema; GRANT CREATE ON SCHEMA ... TO the user"
    for table in metadata.tables:
        if not one(f"SELECT to_regclass('{table}') IS NOT NULL"):
            continue
        for right in _RIGHTS:
            if not one(f"SELECT has_table_privilege('{table}', '{right}')"):
                return f"no right to {right} on {table}; GRANT it to the user"
    return ""
