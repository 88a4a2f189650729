"""Puts the past into a database, past the bridge, as fast as its driver can."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import asyncpg

from bench.archive.rows import END, Batch, past
from bench.archive.sums import SUMS, Summing
from bridge.db.tables import metadata

_TABLES = ("events", "deliveries", "attempts")

Tell = Callable[[int], None]


async def fill(url: str, deliveries: int, tell: Tell, *, end: float = END) -> None:
    """Rows for so many deliveries, the last at `end`, in a database that has the tables; tells how many are there.

    Sums of a month are there too unless the end is another than usual.
    """
    batches = past(deliveries, end=end)
    names = SUMS if end == END else ()
    if url.startswith("sqlite"):
        await asyncio.to_thread(_fill_file, url.removeprefix("sqlite:///"), batches, names, tell)
    else:
        await _fill_server(url, batches, names, tell)


def _fill_file(file: str, batches: Iterator[Batch], sums: Sequence[str], tell: Tell) -> None:
    done = 0
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        summing = Summing()
        for batch in batches:
            connection.execute("BEGIN")
            for name in _TABLES:
                connection.executemany(_insert(name), _rows(batch, name))
            connection.execute("COMMIT")
            summing.add(batch)
            done += len(batch.deliveries)
            tell(done)
        connection.execute("BEGIN")
        for name in sums:
            connection.executemany(_insert(name), summing.rows(name))
        connection.execute("COMMIT")


async def _fill_server(url: str, batches: Iterator[Batch], sums: Sequence[str], tell: Tell) -> None:
    done = 0
    connection = await asyncpg.connect(url)
    try:
        summing = Summing()
        for batch in batches:
            summing.add(batch)
            for name in _TABLES:
                columns = metadata.tables[name].columns.keys()
                await connection.copy_records_to_table(name, records=_rows(batch, name), columns=columns)
            done += len(batch.deliveries)
            tell(done)
        for name in sums:
            columns = metadata.tables[name].columns.keys()
            await connection.copy_records_to_table(name, records=summing.rows(name), columns=columns)
        # What autovacuum would have done on the way, had it taken days.
        await connection.execute("VACUUM ANALYZE", timeout=600)
    finally:
        await connection.close()


def _insert(name: str) -> str:
    places = ",".join("?" * len(metadata.tables[name].columns))
    return f"INSERT INTO {name} VALUES ({places})"


def _rows(batch: Batch, name: str) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = getattr(batch, name)
    return found
