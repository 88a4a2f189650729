"""What the history's database is like, for who looks before a start: nothing is made or changed."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, make_url, text

from bridge.model.errors import HistoryUnavailable
from bridge.ports.survey import FoundDatabase
from bridge.rules.wire.loopback import is_loopback
from bridge.settings.transport import StorageTls
from bridge.storage.engines.postgres import PostgresEngine
from bridge.storage.migrations import HEAD
from bridge.storage.tables import metadata

_PATIENCE = 5.0
_HOOKS = "SELECT id FROM hooks WHERE deleting = '' ORDER BY id LIMIT 500"
_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")


async def survey_database(url: str, shown: str, tls: StorageTls) -> FoundDatabase:
    """The database at this address of the settings; `shown` is the address without its password."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return await asyncio.to_thread(_file, Path(parsed.database or ""))
    engine = PostgresEngine(parsed, tls, timeout=_PATIENCE)
    try:
        told = await engine.read(_server)
    except HistoryUnavailable as error:
        return FoundDatabase(shown, "postgresql", HEAD, str(error))
    finally:
        await engine.close()
    near = is_loopback(parsed.host or "")
    return FoundDatabase(
        shown,
        "postgresql",
        HEAD,
        **told | {"encrypted": told["encrypted"] or near},
        newer=_newer(told["revision"]),
    )


def _newer(revision: str | None) -> bool:
    return revision is not None and revision > HEAD


def _file(path: Path) -> FoundDatabase:
    place = str(path)
    folder = path.absolute().parent
    if not folder.is_dir():
        return FoundDatabase(place, "sqlite", HEAD, f"the folder {folder} does not exist; make it first")
    free = shutil.disk_usage(folder).free
    hindrance = "" if os.access(folder, os.W_OK | os.X_OK) else f"no right to write in the folder {folder}"
    if not path.exists():
        return FoundDatabase(
            place, "sqlite", HEAD, hindrance=hindrance, version=sqlite3.sqlite_version, free=free
        )
    if not os.access(path, os.R_OK):
        return FoundDatabase(place, "sqlite", HEAD, f"no right to read {path}", free=free)
    if not os.access(path, os.W_OK):
        hindrance = f"no right to write {path}"
    try:
        revision, hooks, locked = _looked_into(path, try_to_write=not hindrance)
    except sqlite3.Error as error:
        return FoundDatabase(place, "sqlite", HEAD, f"{error}: is it a database of amqp-bridge?", free=free)
    return FoundDatabase(
        place,
        "sqlite",
        HEAD,
        hindrance=hindrance or locked,
        version=sqlite3.sqlite_version,
        revision=revision,
        newer=_newer(revision),
        free=free,
        size=path.stat().st_size,
        hooks=hooks,
    )


def _looked_into(path: Path, *, try_to_write: bool) -> tuple[str | None, tuple[str, ...], str]:
    """The revision of its tables, the hooks made through the API, and why it cannot be written to at the moment."""
    mode = "rw" if try_to_write else "ro"
    address = f"{path.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(address, uri=True, timeout=_PATIENCE, isolation_level=None)) as database:
        has = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = database.execute("SELECT version_num FROM alembic_version").fetchone() if has else None
        known = row is not None and str(row[0]) == HEAD
        hooks = tuple(str(each) for (each,) in database.execute(_HOOKS)) if known else ()
        locked = ""
        if try_to_write:
            try:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
            except sqlite3.OperationalError as error:
                locked = str(error)
    return (None if row is None else str(row[0])), hooks, locked


def _server(connection: Connection) -> dict[str, Any]:
    def one(statement: str) -> Any:
        return connection.execute(text(statement)).scalar_one_or_none()

    has = one("SELECT to_regclass('alembic_version') IS NOT NULL")
    revision = one("SELECT version_num FROM alembic_version") if has else None
    hooks = connection.execute(text(_HOOKS)).scalars() if revision == HEAD else ()
    return {
        "hooks": tuple(str(each) for each in hooks),
        "version": str(one("SHOW server_version")),
        "revision": revision,
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
