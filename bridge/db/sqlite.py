"""The engine for SQLite: one thread with a connection that writes, one with a connection that reads."""

import asyncio
import fcntl
import os
import sqlite3
import stat
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import URL, Connection, Dialect, create_engine, event

from bridge.core.errors import AlreadyRunning, HistoryUnavailable, Problem, SettingsError
from bridge.core.survey import Owner
from bridge.db.engine import is_outage, unavailable

# The file of a SQLite history: whether it is usable, who owns it, and whether it is still the same file.


_LOCKED_BYTE = 1 << 62
"""The byte to lock, far beyond those that SQLite locks (at 1 GiB) and beyond any file's end."""
_PATIENCE = 1.0
_OWNER = "SELECT prefix, broker, vhost FROM owners"
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"


class Glimpse(NamedTuple):
    """The content of a file: its tables, its revision (None: none), and its owner."""

    tables: frozenset[str]
    revision: str | None = None
    owner: Owner | None = None


class HistoryFile:
    """The file of a history. A new one is created with permissions for its owner only, since bodies and headers are
    confidential; the log files beside it get the same permissions.
    """

    def __init__(self, path: Path, *, alone: bool) -> None:
        """`alone`: no other process may open the file with `alone`.

        Raises SettingsError if the file cannot be a history, AlreadyRunning if another process has it.
        """
        self._path = path
        if reason := hindrance(path):
            raise SettingsError([Problem("storage.url", reason)])
        try:
            held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, stat.S_IRUSR | stat.S_IWUSR)
        except OSError as error:
            raise SettingsError([Problem("storage.url", f"cannot make {path}: {error.strerror}")]) from None
        found = os.fstat(held)
        self._identity = found.st_dev, found.st_ino
        self._held: int | None = held
        if not alone or not self._lock(held):
            self.close()

    def _lock(self, held: int) -> bool:
        """Locks with fcntl, not flock(), which some network file systems turn into locks that block SQLite."""
        wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, _LOCKED_BYTE, 1, 0)
        try:
            fcntl.fcntl(held, fcntl.F_OFD_SETLK, wanted)
        except BlockingIOError:
            self.close()
            raise AlreadyRunning(
                f"{_whose(self._path)} is in use by another process; stop that, or give each bridge a storage.url of "
                "its own (PostgreSQL, for several replicas of one)"
            ) from None
        except (OSError, AttributeError):
            return False  # the file system, or the operating system, has no such locks
        return True

    def check(self) -> None:
        """Raises HistoryUnavailable if the path is not the file that was opened: writes would be lost."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - once for each commit
        except FileNotFoundError:
            change = "deleted"
        except OSError:
            return
        else:
            if (found.st_dev, found.st_ino) == self._identity:
                return
            change = "replaced by another"
        raise HistoryUnavailable(
            f"{self._path} was {change} while the bridge ran; nothing is settled until it is back, or the bridge is "
            "started anew with what is there"
        )

    def close(self) -> None:
        """Releases the lock. It has to be the last step, since closing the file also drops the locks of SQLite."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


def hindrance(path: Path) -> str:
    """Returns the reason why this file cannot hold a history; empty if it can."""
    folder = path.absolute().parent
    if not folder.is_dir():
        return f"the directory {folder} does not exist; make it first"
    if not path.exists():
        return "" if os.access(folder, os.W_OK | os.X_OK) else f"no right to write in the directory {folder}"
    if not path.is_file():
        return f"{path} is not a file"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"no right to read and write {path}"
    # The log files beside it are created and removed again and again.
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"no right to write in the directory {folder}"
    return _damage(path)


def _damage(path: Path) -> str:
    """Returns the reason why SQLite cannot read the file; a temporary failure, as of a lock, does not count."""
    try:
        with closing(_untouched(path)) as database:
            database.execute(_TABLES).fetchall()
    except sqlite3.OperationalError:
        return ""
    except sqlite3.DatabaseError as error:
        return (
            f"{path} cannot be read as a database: {error}; restore it from a backup, or choose another file"
        )
    return ""


def glimpse(path: Path) -> Glimpse | None:
    """Returns the content of the file without changing anything; None if it cannot be read now."""
    try:
        with closing(_untouched(path)) as database:
            tables = frozenset(str(name) for (name,) in database.execute(_TABLES))
            if "alembic_version" not in tables:
                return Glimpse(tables)
            row = database.execute("SELECT version_num FROM alembic_version").fetchone()
            owner = database.execute(_OWNER).fetchone() if "owners" in tables else None
    except sqlite3.Error:
        return None
    return Glimpse(tables, row and str(row[0]), owner and Owner(*map(str, owner)))


def _untouched(path: Path) -> sqlite3.Connection:
    """Returns a connection that reads the file without changing anything."""
    # Without a log file the database file is complete; with one, the log is read too, and left as it is.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=_PATIENCE)


def _whose(path: Path) -> str:
    found = glimpse(path)
    return f"the history {path}" + (f" of `{found.owner}`" if found and found.owner else "")


T = TypeVar("T")

_WRITER = (
    "cache_size = -8000",
    "auto_vacuum = INCREMENTAL",  # has an effect only before the first table is created, so it comes first
    "journal_mode = WAL",
    "synchronous = FULL",  # a message is acknowledged only after its rows are on disk
    "secure_delete = FAST",
    "journal_size_limit = 67108864",
)
_READER = ("cache_size = -4000", "query_only = ON")

_SPARE_PAGES = 1000
"""The number of free pages kept for new rows: 4 MB."""
_PAGES_AT_ONCE = 1000
_SHRINK_STEPS = 50


class SqliteEngine:
    """A database file, created if it does not exist."""

    def __init__(self, path: Path, *, timeout: float, alone: bool = False) -> None:
        """`timeout`: seconds to wait for the lock of another process; `alone`: no other process may have the file open in this
        way.

        Raises SettingsError if the file cannot be a history, AlreadyRunning if another process has it.
        """
        self._file = HistoryFile(path, alone=alone)
        self._writer = _Worker(path, "history-write", timeout, "BEGIN IMMEDIATE", _WRITER)
        self._reader = _Worker(path, "history-read", timeout, "BEGIN", _READER)

    @property
    def dialect(self) -> Dialect:
        return self._writer.engine.dialect

    async def write(
        self,
        work: Callable[[Connection], T],
        *,
        patient: bool = False,  # noqa: ARG002 - nothing hangs in a file
        longer: float = 0.0,  # noqa: ARG002 - nor is it slow
    ) -> T:
        return await self._writer.run(work, self._file.check)

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await self._reader.run(work)

    async def reclaim(self) -> None:
        for _ in range(_SHRINK_STEPS):
            if not await self._writer.run(_shrink):
                break

    async def close(self) -> None:
        await self._reader.close()
        await self._writer.close()  # after the reader, so that it checkpoints the log and removes it
        self._file.close()


class _Worker:
    """A thread with a connection: a whole transaction costs the event loop one hop there and one back."""

    def __init__(self, path: Path, name: str, timeout: float, begin: str, pragmas: tuple[str, ...]) -> None:
        self.engine = create_engine(
            URL.create("sqlite", database=str(path)),
            pool_size=1,
            max_overflow=0,
            hide_parameters=True,
            # Enough for every statement of statements.py; transactions are begun explicitly below.
            connect_args={"timeout": timeout, "isolation_level": None, "cached_statements": 256},
        )
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._closed = False

        @event.listens_for(self.engine, "connect")
        def set_up(connection: SqliteConnection, _: Any) -> None:
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}").close()

        @event.listens_for(self.engine, "begin")
        def start(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

    async def run(self, work: Callable[[Connection], T], check: Callable[[], None] | None = None) -> T:
        if self._closed:
            raise HistoryUnavailable("the history is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._executor, self._transaction, work, check
            )
        except Exception as error:
            if is_outage(error):
                raise unavailable(error) from error
            raise

    def _transaction(self, work: Callable[[Connection], T], check: Callable[[], None] | None) -> T:
        with self.engine.begin() as connection:
            done = work(connection)
            if check is not None:
                check()  # as late as possible: before the commit
            return done

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._executor, self.engine.dispose)
            self._executor.shutdown()


def _shrink(connection: Connection) -> bool:
    """Removes some free pages from the end of the file; returns whether more can be removed.

    A tenth of the file stays free: else pages would be moved only to append others again.
    """
    free: int = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
    pages: int = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    surplus = free - max(_SPARE_PAGES, pages // 10)
    if surplus <= 0:
        return False
    # Each step of this statement removes one page, and only this call of the driver makes all steps of a statement without
    # columns (Python 3.11). It first ends the transaction, which has changed nothing.
    driver = connection.connection.driver_connection
    assert isinstance(driver, SqliteConnection)
    driver.executescript(f"PRAGMA incremental_vacuum({min(surplus, _PAGES_AT_ONCE)})")
    return surplus > _PAGES_AT_ONCE
