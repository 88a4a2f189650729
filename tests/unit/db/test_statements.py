"""Statements for many rows: the text that SQLAlchemy would make, made at once."""

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import asyncpg

from bridge.db import tables
from bridge.db.upserts import Upsert, _keep_the_newer, keep_the_first

DIALECTS = [sqlite.dialect(paramstyle="qmark"), asyncpg.dialect()]


@pytest.mark.parametrize("dialect", DIALECTS, ids=["sqlite", "asyncpg"])
@pytest.mark.parametrize(
    ("table", "merge"),
    [
        (tables.events, keep_the_first),
        (tables.deliveries, _keep_the_newer),
        (tables.attempts, keep_the_first),
        (tables.quarantine, keep_the_first),
    ],
    ids=["events", "deliveries", "attempts", "quarantine"],
)
@pytest.mark.parametrize("rows", [1, 2, 8])
def test_a_statement_for_many_rows_is_the_one_that_the_library_compiles(dialect, table, merge, rows):
    insert = (sqlite if dialect.name == "sqlite" else postgresql).insert(table)
    names = table.columns.keys()
    compiled = merge(insert.values([dict.fromkeys(names) for _ in range(rows)]), table).compile(
        dialect=dialect
    )

    assert Upsert(table, dialect, merge)._compile(rows) == str(compiled)
