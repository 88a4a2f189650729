"""Rows whose figures are added to those that are there: one statement, whoever else adds to them at the same time."""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Connection, Dialect, Table

from bridge.storage.statements import AnyInsert, Row, Upsert


def add_up(insert: AnyInsert, table: Table) -> AnyInsert:
    """What is not of the key is added."""
    new, key = insert.excluded, list(table.primary_key)
    figures = [column.name for column in table.columns if column not in key]
    return insert.on_conflict_do_update(
        index_elements=key, set_={name: table.c[name] + new[name] for name in figures}
    )


def add(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add rows, no two of which have one key, in the order of their keys: replicas never wait for each other in a
    circle.
    """
    if not rows:
        return
    ordered = sorted(rows)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            _from_arrays(table, connection.dialect), tuple(map(list, zip(*ordered, strict=True)))
        )
    else:
        _upsert(table, connection.dialect).write(connection, ordered)


@lru_cache(maxsize=32)
def _upsert(table: Table, dialect: Dialect) -> Upsert:
    return Upsert(table, dialect, add_up)


@lru_cache(maxsize=32)
def _from_arrays(table: Table, dialect: Dialect) -> str:
    """One statement for any number of rows, each column an array: what goes there and back costs more than the rows."""
    names = table.columns.keys()
    arrays = ", ".join(
        f"${number}::{column.type.compile(dialect)}[]" for number, column in enumerate(table.columns, start=1)
    )
    key = ", ".join(column.name for column in table.primary_key)
    figures = ", ".join(
        f"{name} = {table.name}.{name} + excluded.{name}"
        for name in names
        if name not in table.primary_key.columns
    )
    rows = f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({arrays})"  # noqa: S608 - names of our own tables
    return f"{rows} ON CONFLICT ({key}) DO UPDATE SET {figures}"
