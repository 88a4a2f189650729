"""SQLite: one thread with a connection that writes, one with a connection that reads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Dialect, create_engine, event

from bridge.model.errors import HistoryUnavailable
from bridge.storage.engines.faults import is_outage, unavailable
from bridge.storage.engines.sqlite_file import HistoryFile

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
