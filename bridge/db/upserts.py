"""Upserts of many rows in one statement.

With one row per execution (executemany) the interpreter lock would be released and reacquired for every row, against a busy
event loop: with SQLite that costs two thirds more CPU and twice the time.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Dialect, Table, and_, literal_column, or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.compiler import SQLCompiler

from bridge.core.base import value
from bridge.db import tables
from bridge.db.rows import FINAL_STATUSES, AttemptRow, DeliveryRow, Rows

MOST_ROWS = 256
_MOST_BYTES = 1_000_000
"""Maximum bytes of large values in one statement: SQLite keeps bound values until the statement runs again."""

_MOST_FORMS_KNOWN = 10_000

_FINAL: list[ColumnElement[str]] = [literal_column(f"'{status}'") for status in sorted(FINAL_STATUSES)]
_FIRST = itemgetter(0)
_ONE_ROW = re.compile(r"(.* VALUES )(\(.*\))( ON CONFLICT .*)", re.DOTALL)
_NUMBER = re.compile(r"\$(\d+)")

Row = tuple[Any, ...]
AnyInsert = sqlite.Insert | postgresql.Insert
Merge = Callable[[AnyInsert, Table], AnyInsert]


def padded(ids: Sequence[str]) -> list[str]:
    """Returns the ids for an IN, padded to a power of two, so that few different statements are prepared."""
    return [*ids, *[ids[-1]] * ((1 << (len(ids) - 1).bit_length()) - len(ids))]


def any_insert(connection: Connection, table: Table) -> AnyInsert:
    """Returns an INSERT with a clause for conflicts."""
    return (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)


def keep_the_first(insert: AnyInsert, table: Table) -> AnyInsert:
    """Returns the INSERT that keeps existing rows."""
    return insert.on_conflict_do_nothing(index_elements=list(table.primary_key))


def _keep_the_newer(insert: AnyInsert, table: Table) -> AnyInsert:
    """Returns the INSERT with the condition of bridge.db.rows.supersedes in SQL."""
    new, old = insert.excluded, table.c
    later = or_(
        new.attempts > old.attempts,
        and_(new.attempts == old.attempts, new.updated_at >= old.updated_at),
    )
    within = and_(
        new.generation == old.generation,
        old.status.not_in(_FINAL),
        or_(new.status.in_(_FINAL), later),
    )
    changing = ("target", "status", "reason", "generation", "attempts", "updated_at", "next_attempt_at")
    return insert.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: new[name] for name in changing},
        where=or_(new.generation > old.generation, within),
    )


def _used_again(insert: AnyInsert, table: Table) -> AnyInsert:
    """Returns the INSERT that updates the time of last use, which decides about deletion."""
    used_at = insert.excluded.used_at
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_={"used_at": used_at})


def _today() -> int:
    return int(time.time() // 86_400)


class Upsert:
    """Writes rows of one table; statements are compiled once for each number of rows, the powers of two."""

    def __init__(
        self,
        table: Table,
        dialect: Dialect,
        merge: Merge,
        heavy: Sequence[str] = (),
        names: Sequence[str] | None = None,
    ) -> None:
        """`heavy`: columns with large values, which bound the rows of a statement; `names`: the rows' columns, default all."""
        self._table = table
        self._dialect = dialect
        self._insert = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
        self._merge = merge
        self._names = list(names or table.columns.keys())
        self._heavy = [table.columns.keys().index(name) for name in heavy]
        self._compiled: dict[int, str] = {}

    def write(self, connection: Connection, rows: Collection[Row]) -> int:
        """Inserts or merges all rows, whose keys must differ; returns how many had an effect."""
        changed = 0
        # In the order of the keys, so that two processes never deadlock.
        for chunk in self._chunks(sorted(rows, key=_FIRST)):
            statement = self._compiled.get(len(chunk)) or self._compile(len(chunk))
            changed += connection.exec_driver_sql(statement, tuple(chain.from_iterable(chunk))).rowcount
        return changed

    def write_telling(self, connection: Connection, rows: Collection[Row]) -> set[tuple[Any, ...]]:
        """As `write`, but returns the keys of the rows that had an effect. It costs a fifth more."""
        key = ", ".join(column.name for column in self._table.primary_key)
        changed: set[tuple[Any, ...]] = set()
        for chunk in self._chunks(sorted(rows, key=_FIRST)):
            statement = self._compiled.get(len(chunk)) or self._compile(len(chunk))
            told = connection.exec_driver_sql(
                f"{statement} RETURNING {key}", tuple(chain.from_iterable(chunk))
            )
            changed.update(
                tuple(str(part) if isinstance(part, UUID) else part for part in row) for row in told
            )
        return changed

    def _chunks(self, rows: list[Row]) -> Iterator[list[Row]]:
        weights = self._weights(rows)
        start, end = 0, len(rows)
        while start < end:
            size = 1 << (min(MOST_ROWS, end - start).bit_length() - 1)
            while weights and size > 1 and sum(weights[start : start + size]) > _MOST_BYTES:
                size >>= 1
            yield rows[start : start + size]
            start += size

    def _weights(self, rows: list[Row]) -> list[int] | None:
        match self._heavy:
            case [one, other]:
                return [len(row[one]) + len(row[other] or "") for row in rows]
            case _:
                return None

    def _compile(self, rows: int) -> str:
        """Returns the statement for `rows` rows, derived from that for a single row.

        SQLAlchemy itself takes 300 ms for 256 rows, with the interpreter lock held; the text is the same.
        """
        names = self._names
        insert = self._insert(self._table).values(dict.fromkeys(names))
        compiled = self._merge(insert, self._table).compile(dialect=self._dialect)
        assert isinstance(compiled, SQLCompiler)
        # The rows are bound as they are: the placeholders must be in the order of the table's columns.
        assert compiled.positiontup == names
        found = _ONE_ROW.fullmatch(str(compiled))
        assert found is not None
        head, row, tail = found.groups()
        many = ", ".join(_numbered(row, number * len(names)) for number in range(rows))
        return self._compiled.setdefault(rows, f"{head}{many}{tail}")


def _numbered(row: str, offset: int) -> str:
    """Returns one row's placeholders; numbered ones ($1) continue from row to row."""
    return _NUMBER.sub(lambda found: f"${int(found[1]) + offset}", row) if "$" in row else row


class Upserts:
    """Writes the rows of a batch."""

    def __init__(self, dialect: Dialect) -> None:
        self._events = Upsert(tables.events, dialect, keep_the_first, heavy=("body", "headers"))
        self._deliveries = Upsert(tables.deliveries, dialect, _keep_the_newer)
        self._attempts = Upsert(tables.attempts, dialect, keep_the_first, heavy=("response", "error"))
        self._quarantine = Upsert(tables.quarantine, dialect, keep_the_first, heavy=("body", "headers"))
        self._forms = Upsert(tables.evidence_forms, dialect, _used_again)
        self._dimensions = Upsert(tables.event_dimensions, dialect, keep_the_first)
        self._forms_there: dict[str, int] = {}
        """Forms that are known to be committed, by id, with the day for which they are."""

    def write(self, connection: Connection, rows: Rows) -> bool:
        """Inserts or merges all rows in the connection's transaction; returns whether all deliveries and attempts were new."""
        self._write_beside(connection, rows)
        changed = self._deliveries.write(connection, rows.deliveries.values())
        changed += self._attempts.write(connection, rows.attempts.values())
        return changed == len(rows.deliveries) + len(rows.attempts)

    def write_telling(self, connection: Connection, rows: Rows) -> tuple[list[DeliveryRow], list[AttemptRow]]:
        """As `write`, but returns the deliveries and attempts that were new or replaced existing rows."""
        self._write_beside(connection, rows)
        changed = self._deliveries.write_telling(connection, rows.deliveries.values())
        tried = self._attempts.write_telling(connection, rows.attempts.values())
        return (
            [row for key, row in rows.deliveries.items() if (key,) in changed],
            [row for key, row in rows.attempts.items() if key in tried],
        )

    def committed(self, forms: Collection[str]) -> None:
        """Notes that these forms need not be written again today."""
        today = _today()
        if len(self._forms_there) > _MOST_FORMS_KNOWN:
            self._forms_there.clear()
        self._forms_there.update(dict.fromkeys(forms, today))

    def write_dimensions(self, connection: Connection, rows: Rows) -> None:
        """Inserts the search entries of events."""
        self._dimensions.write(connection, rows.dimensions.values())

    def _write_beside(self, connection: Connection, rows: Rows) -> None:
        self._events.write(connection, rows.events.values())
        self._quarantine.write(connection, rows.quarantine.values())
        self.write_dimensions(connection, rows)
        today = _today()
        rows.forms = {one: form for one, form in rows.forms.items() if self._forms_there.get(one) != today}
        if rows.forms:
            self._forms.write(connection, [(form.id, form.text, time.time()) for form in rows.forms.values()])


# The rows of sums, written by one statement, with concurrent writers.


Names = tuple[str, ...]


@value(frozen=True, slots=True)
class _How:
    """The effect on an existing row, for some of its columns."""

    names: Names
    adding: bool
    unless_later: str = ""
    """A column: the row stays as it is if its value there is greater."""

    def figures(self, table: Table) -> list[str]:
        """Returns the columns that are not part of the key."""
        return [name for name in self.names if name not in table.primary_key.columns]


def add(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Adds the figures of these rows to existing ones; the keys of the rows must differ.

    The columns of the key come first, here and in the following functions.
    """
    if rows:
        how = _How(tuple(table.columns.keys()), adding=True)
        key = len(table.primary_key.columns)
        last = max(rows)
        # For SQLite, a statement may be padded with copies of the last key and zeros: one statement instead of half a dozen.
        spare = (*last[:key], *[0] * (len(last) - key))
        _write(connection, table, how, rows, spare)


def put(connection: Connection, table: Table, names: Names, rows: Sequence[Row]) -> None:
    """Replaces these columns in existing rows; the keys of the rows must differ."""
    if rows:
        _write(connection, table, _How(names, adding=False), rows, max(rows))


def put_if_later(connection: Connection, table: Table, names: Names, rows: Sequence[Row], by: str) -> bool:
    """As `put`, except for rows whose existing value in the column `by` is greater; returns whether there was none such."""
    return _write(connection, table, _How(names, adding=False, unless_later=by), rows, None) == len(rows)


def _write(connection: Connection, table: Table, how: _How, rows: Sequence[Row], spare: Row | None) -> int:
    # In the order of the keys, to avoid deadlocks between replicas.
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
    """Returns the statement for any number of rows, each column an array: the round trips cost more than the rows."""
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
