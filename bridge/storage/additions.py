"""Rows of sums, written by one statement, whoever else writes to them at the same time."""

from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Connection, Dialect, Table, or_

from bridge.model.value import value
from bridge.storage.statements import MOST_ROWS, AnyInsert, Row, Upsert

Names = tuple[str, ...]


@value(frozen=True, slots=True)
class _How:
    """What becomes of a row that is there already, as far as these columns go."""

    names: Names
    adding: bool
    unless_later: str = ""
    """A column: the row stays as it is where it has more there."""

    def figures(self, table: Table) -> list[str]:
        """The columns that are not of the key."""
        return [name for name in self.names if name not in table.primary_key.columns]


def add(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add the figures of these rows to those that are there; no two of them have one key.

    The columns of the key come first, here and in what follows.
    """
    if rows:
        how = _How(tuple(table.columns.keys()), adding=True)
        key = len(table.primary_key.columns)
        last = max(rows)
        # SQLite takes a row twice: filled up with nothing it is one statement instead of half a dozen.
        spare = (*last[:key], *[0] * (len(last) - key))
        _write(connection, table, how, rows, spare)


def put(connection: Connection, table: Table, names: Names, rows: Sequence[Row]) -> None:
    """Put these columns in place of those that are there; no two of the rows have one key."""
    if rows:
        _write(connection, table, _How(names, adding=False), rows, max(rows))


def put_if_later(connection: Connection, table: Table, names: Names, rows: Sequence[Row], by: str) -> bool:
    """The same for rows than which none that is there has more in the column `by`; whether all were such."""
    return _write(connection, table, _How(names, adding=False, unless_later=by), rows, None) == len(rows)


def _write(connection: Connection, table: Table, how: _How, rows: Sequence[Row], spare: Row | None) -> int:
    # In the order of the keys: replicas never wait for each other in a circle.
    ordered = sorted(rows)
    if connection.dialect.name == "postgresql":
        arrays = tuple(map(list, zip(*ordered, strict=True)))
        return connection.exec_driver_sql(_from_arrays(table, connection.dialect, how), arrays).rowcount
    beyond = len(rows) % MOST_ROWS
    if spare is not None and beyond:
        ordered += [spare] * ((1 << (beyond - 1).bit_length()) - beyond)
    return _upsert(table, connection.dialect, how).write(connection, ordered)


@lru_cache(maxsize=32)
def _upsert(table: Table, dialect: Dialect, how: _How) -> Upsert:
    def merge(insert: AnyInsert, _: Table) -> AnyInsert:
        new, by = insert.excluded, how.unless_later
        return insert.on_conflict_do_update(
            index_elements=list(table.primary_key),
            set_={
                name: table.c[name] + new[name] if how.adding else new[name] for name in how.figures(table)
            },
            where=or_(table.c[by].is_(None), table.c[by] <= new[by]) if by else None,
        )

    return Upsert(table, dialect, merge, names=how.names)


@lru_cache(maxsize=32)
def _from_arrays(table: Table, dialect: Dialect, how: _How) -> str:
    """For any number of rows, each column an array: what goes to the server and back costs more than the rows."""
    names, old, by = how.names, f"{table.name}.", how.unless_later
    kinds = (table.c[name].type.compile(dialect) for name in names)
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, start=1))
    key = ", ".join(column.name for column in table.primary_key)
    changes = ", ".join(
        f"{name} = {f'{old}{name} + ' if how.adding else ''}excluded.{name}" for name in how.figures(table)
    )
    where = f" WHERE {old}{by} IS NULL OR {old}{by} <= excluded.{by}" if by else ""
    rows = f"INSERT INTO {table.name} ({', '.join(names)}) SELECT * FROM unnest({arrays})"  # noqa: S608 - names of our own tables
    return f"{rows} ON CONFLICT ({key}) DO UPDATE SET {changes}{where}"
