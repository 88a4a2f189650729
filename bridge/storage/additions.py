"""Rows of sums, written by one statement, whoever else writes to them at the same time."""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Connection, Dialect, Table

from bridge.storage.statements import MOST_ROWS, AnyInsert, Row, Upsert

Names = tuple[str, ...]


def add(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add the figures of these rows to those that are there; no two of them have one key.

    The columns of the key come first, here and in `put`.
    """
    _write(connection, table, tuple(table.columns.keys()), rows, adding=True)


def put(connection: Connection, table: Table, names: Names, rows: Sequence[Row]) -> None:
    """Put these columns in place of those that are there; no two of the rows have one key."""
    _write(connection, table, names, rows, adding=False)


def _write(connection: Connection, table: Table, names: Names, rows: Sequence[Row], *, adding: bool) -> None:
    if not rows:
        return
    # In the order of the keys: replicas never wait for each other in a circle.
    ordered = sorted(rows)
    if connection.dialect.name == "postgresql":
        statement = _from_arrays(table, connection.dialect, names, adding)
        connection.exec_driver_sql(statement, tuple(map(list, zip(*ordered, strict=True))))
    else:
        key = len(table.primary_key.columns)
        last = ordered[-1]
        nothing = (*last[:key], *[0] * (len(names) - key)) if adding else last
        _upsert(table, connection.dialect, names, adding).write(connection, _filled_up(ordered, nothing))


@lru_cache(maxsize=32)
def _upsert(table: Table, dialect: Dialect, names: Names, adding: bool) -> Upsert:
    def merge(insert: AnyInsert, _: Table) -> AnyInsert:
        new, figures = insert.excluded, _figures(table, names)
        changes = {name: table.c[name] + new[name] if adding else new[name] for name in figures}
        return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=changes)

    return Upsert(table, dialect, merge, names=names)


@lru_cache(maxsize=32)
def _from_arrays(table: Table, dialect: Dialect, names: Names, adding: bool) -> str:
    """For any number of rows, each column an array: what goes to the server and back costs more than the rows."""
    kinds = (table.c[name].type.compile(dialect) for name in names)
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, start=1))
    key = ", ".join(column.name for column in table.primary_key)
    old = f"{table.name}.{{0}} + " if adding else ""
    changes = ", ".join(f"{name} = {old.format(name)}excluded.{name}" for name in _figures(table, names))
    rows = f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({arrays})"  # noqa: S608 - names of our own tables
    return f"{rows} ON CONFLICT ({key}) DO UPDATE SET {changes}"


def _filled_up(rows: list[Row], nothing: Row) -> list[Row]:
    """As many as one statement is made for, where SQLite takes a row twice: one statement instead of half a dozen."""
    beyond = len(rows) % MOST_ROWS
    missing = (1 << (beyond - 1).bit_length()) - beyond if beyond else 0
    return rows + [nothing] * missing


def _figures(table: Table, names: Names) -> list[str]:
    """Those that are not of the key."""
    return [name for name in names if name not in table.primary_key.columns]
