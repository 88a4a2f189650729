"""SQLite: one thread with a connection that writes, one with a connection that reads."""

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

# The file of a SQLite history: whether it can be one, whose it is, and that it stays the same under a running
# bridge.


_LOCKED_BYTE = 1 << 62
"""Far behind the bytes that SQLite locks (at 1 GiB) and behind any file's end."""
_PATIENCE = 1.0
_OWNER = "SELECT prefix, broker, vhost FROM owners"
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"


class Glimpse(NamedTuple):
    """What stands in a file: its tables, the revision of ours (None: there are none), and whose history it is."""

    tables: frozenset[str]
    revision: str | None = None
    owner: Owner | None = None


class HistoryFile:
    """Made with rights for its owner only where there is none: bodies and headers are nobody else's business. The log
    files beside it take its rights.
    """

    def __init__(self, path: Path, *, alone: bool) -> None:
        """`alone`: no other process may have it so.

        Raises SettingsError where no such file can be, AlreadyRunning where another process has it.
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
        """Not by flock(), which some network file systems turn into locks that SQLite would run into."""
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
            return False  # a file system, or a system, without such locks
        return True

    def check(self) -> None:
        """Raises HistoryUnavailable where the file is not the one that was opened: what is written would be lost."""
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
        """Let others have it. Last of all: this takes away what SQLite has locked of the file, too."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


def hindrance(path: Path) -> str:
    """Why there can be no history in this file; empty: there can be."""
    folder = path.absolute().parent
    if not folder.is_dir():
        return f"the directory {folder} does not exist; make it first"
    if not path.exists():
        return "" if os.access(folder, os.W_OK | os.X_OK) else f"no right to write in the directory {folder}"
    if not path.is_file():
        return f"{path} is not a file"
    if not os.access(path, os.R_OK | os.W_OK):
        return f"no right to read and write {path}"
    # The logs beside it are made and removed again and again.
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"no right to write in the directory {folder}"
    return _damage(path)


def _damage(path: Path) -> str:
    """Why SQLite cannot read the file; that it cannot at the moment, as while it is locked, is no reason."""
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
    """What stands there, without making or changing anything; None where that cannot be told now."""
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
    """The file, to be read without making or changing anything."""
    # A file without a log is whole in itself; with one, the log is read too, and left where it is.
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=_PATIENCE)


def _whose(path: Path) -> str:
    found = glimpse(path)
    return f"the history {path}" + (f" of `{found.owner}`" if found and found.owner else "")


T = TypeVar("T")

_WRITER = (
    "cache_size = -8000",
    "auto_vacuum = INCREMENTAL",  # counts only until the first table is made, so it stands first
    "journal_mode = WAL",
    "synchronous = FULL",  # a message is acknowledged once its rows are on the disk
    "secure_delete = FAST",
    "journal_size_limit = 67108864",
)
_READER = ("cache_size = -4000", "query_only = ON")

_SPARE_PAGES = 1000
"""Free pages kept for new rows: 4 MB."""
_PAGES_AT_ONCE = 1000
_SHRINK_STEPS = 50


class SqliteEngine:
    """A database file, made where there is none."""

    def __init__(self, path: Path, *, timeout: float, alone: bool = False) -> None:
        """`timeout`: seconds to wait for another process that writes; `alone`: no other may have it open so.

        Raises SettingsError where no such file can be, AlreadyRunning where another process has it.
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
        await self._writer.close()  # after the reader, so that it takes the log into the file and removes it
        self._file.close()


class _Worker:
    """A thread of its own: a whole transaction costs the event loop one hop there and one back."""

    def __init__(self, path: Path, name: str, timeout: float, begin: str, pragmas: tuple[str, ...]) -> None:
        self.engine = create_engine(
            URL.create("sqlite", database=str(path)),
            pool_size=1,
            max_overflow=0,
            hide_parameters=True,
            # Room for every statement of statements.py at once; transactions begin as written below.
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
                check()  # as late as can be: before the commit
            return done

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._executor, self.engine.dispose)
            self._executor.shutdown()


def _shrink(connection: Connection) -> bool:
    """Cut off some free pages at the end of the file; whether there is more to cut.

    A tenth of the file stays free: to move the last pages forward only to append others would be for nothing.
    """
    free: int = connection.exec_driver_sql("PRAGMA freelist_count").scalar_one()
    pages: int = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    surplus = free - max(_SPARE_PAGES, pages // 10)
    if surplus <= 0:
        return False
    # A page goes with each step of this statement, and of the driver's calls only this one makes all the steps
    # of a statement without columns (Python 3.11). It ends our transaction first, which has changed nothing.
    driver = connection.connection.driver_connection
    assert isinstance(driver, SqliteConnection)
    driver.executescript(f"PRAGMA incremental_vacuum({min(surplus, _PAGES_AT_ONCE)})")
    return surplus > _PAGES_AT_ONCE
