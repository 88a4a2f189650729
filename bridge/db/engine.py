"""The database engine: runs functions over a connection, where the database's driver needs them to run."""

import re
import sqlite3
import time
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

import uuid_utils
from sqlalchemy import Connection, Dialect, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from bridge.core.errors import HistoryUnavailable, Problem, SettingsError
from bridge.core.survey import Owner, refusal
from bridge.db.admin_tables import owners
from bridge.db.upserts import any_insert

T = TypeVar("T")
P = ParamSpec("P")


class Engine(Protocol):
    """Runs plain functions over a connection, each in one transaction, without blocking the event loop.

    A function may run twice (if the connection broke during the commit), so it must be idempotent.
    """

    @property
    def dialect(self) -> Dialect:
        """Returns the dialect for which statements are compiled."""

    async def write(
        self, work: Callable[[Connection], T], *, patient: bool = False, longer: float = 0.0
    ) -> T:
        """Returns the result of `work` after the commit; raises HistoryUnavailable, or the error of `work`, with nothing
        written.

        `patient`: no time limit; `longer`: seconds beyond the usual one.
        """

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Returns the result of `work` on one snapshot, concurrently with writes; raises HistoryUnavailable."""

    async def reclaim(self) -> None:
        """Returns the space of deleted rows to the file system, as far as the database does not do so itself."""

    async def close(self) -> None:
        """Closes every connection, after the running transactions."""


class Store:
    """The base of stores in the history's database. Methods made of functions raise HistoryUnavailable."""

    def __init__(self, engine: Engine) -> None:
        """Prepares the store; the tables must have the schema of this version."""
        self.engine = engine


class Reads(Generic[P, T]):
    """A method of a store that runs a function over a connection on one snapshot."""

    def __init__(self, function: Callable[Concatenate[Connection, P], T]) -> None:
        self._function = function

    def __get__(self, store: Store, owner: type[Store]) -> Callable[P, Coroutine[Any, Any, T]]:
        return lambda *args, **given: store.engine.read(lambda each: self._function(each, *args, **given))


class Writes(Reads[P, T]):
    """A method of a store that runs a function over a connection in a transaction, perhaps twice (see Engine)."""

    def __get__(self, store: Store, owner: type[Store]) -> Callable[P, Coroutine[Any, Any, T]]:
        return lambda *args, **given: store.engine.write(lambda each: self._function(each, *args, **given))


# The errors that mean an outage of the database, and those that mean that it refuses a row.


_AWAY = (HistoryUnavailable, NoFreeConnection, sqlite3.Error, OSError, MemoryError)
_SQLITE_REFUSES = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)
_POSTGRES_REFUSES = ("22", "23", "54")
"""Classes of SQLSTATE: data exception, integrity constraint violation, program limit exceeded."""
_LONGEST = 400


def is_outage(error: Exception) -> bool:
    """Returns whether the same rows may be accepted later; else the database, or its connection, refuses their content.

    An error counts as an outage unless it is known to be about a row: waiting for a missing permission or table loses nothing,
    continuing without history does.
    """
    if isinstance(error, DBAPIError):
        return not _refuses(error.orig)
    return isinstance(error, _AWAY)


def told(error: BaseException) -> str:
    """Returns one line about the error for the operator, without statement, parameters or address."""
    if isinstance(error, HistoryUnavailable):
        return str(error)[:_LONGEST]
    origin = error
    if isinstance(error, DBAPIError) and error.orig is not None:
        origin = error.orig.__cause__ or error.orig  # asyncpg's error is the cause of SQLAlchemy's
    text = str(origin).partition("\n")[0] or ("no answer in time" if isinstance(origin, TimeoutError) else "")
    return f"{type(origin).__name__}: {text}".removesuffix(": ")[:_LONGEST]


def unavailable(error: BaseException) -> HistoryUnavailable:
    """Returns the error as HistoryUnavailable."""
    return HistoryUnavailable(f"the history's database (storage.url) cannot be used: {told(error)}")


def _refuses(origin: BaseException | None) -> bool:
    sqlstate = getattr(origin, "sqlstate", None)
    if sqlstate is not None:
        return str(sqlstate).startswith(_POSTGRES_REFUSES)
    # asyncpg checks parameters before it sends them, and raises a ValueError without a SQLSTATE.
    return isinstance(origin, _SQLITE_REFUSES) or isinstance(getattr(origin, "__cause__", None), ValueError)


# The owner of the history: stored by the first bridge that starts on it, and checked by every other.


def _claim(connection: Connection, bridge: Owner, take_over: str = "") -> str:
    """Claims the history for this bridge, and returns its id, which distinguishes it from other histories.

    `take_over`: the former owner that this bridge may replace, as text. Raises SettingsError if the history belongs to another.
    """
    mine = {**bridge._asdict(), "history": str(uuid_utils.uuid4()), "since": time.time()}
    # If two bridges start together on a new history, one of them waits here for the row of the other.
    connection.execute(any_insert(connection, owners).values(id=1, **mine).on_conflict_do_nothing())
    row = connection.execute(select(owners)).one()
    found = Owner(row.prefix, row.broker, row.vhost)
    if not found.is_another(bridge):
        if not found.broker and bridge.broker:
            connection.execute(update(owners).values(broker=bridge.broker))
        return str(row.history)
    if take_over.strip() != str(found):
        raise SettingsError([Problem("storage.url", refusal(found, str(bridge)))])
    connection.execute(update(owners).values(mine))
    return str(mine["history"])


class SqlOwnership(Store):
    """The store of the one row with the owner of the history."""

    claim = Writes(_claim)


def owner_of(connection: Connection) -> Owner | None:
    """Returns the owner of a history with this version's tables; None: no owner yet."""
    row = connection.execute(text("SELECT prefix, broker, vhost FROM owners")).one_or_none()
    return None if row is None else Owner(*map(str, row))


# The databases that this version can use.


HEAD = "0009"
"""The newest revision: a database that has it needs no Alembic at the start, which saves time and memory."""

_VERSION = "alembic_version"
_FIRST = frozenset({"events", "deliveries", "attempts"})
"""The tables that every revision has."""
_OF_OURS = re.compile(r"\d{4}")


def misfit(tables: frozenset[str], revision: str | None, ours: frozenset[str] | None = None) -> str:
    """Returns the reason why this version cannot use a database with these tables; empty if it can, or can create or migrate
    them.

    `revision`: the value in Alembic's table, which other programs also use. `ours`: names that no other program may have taken;
    default: there must be no other table at all.
    """
    if revision is None:
        strange = tables - {_VERSION} if ours is None else tables & ours
    elif tables >= _FIRST and _OF_OURS.fullmatch(revision):
        strange = frozenset()
    else:
        strange = tables - {_VERSION} or tables
    if strange:
        some = ", ".join(sorted(strange)[:3]) + (f" and {len(strange) - 3} more" if len(strange) > 3 else "")
        return (
            f"this database is another program's: amqp-bridge did not make its tables {some}; give the bridge a database, "
            "or a schema, of its own"
        )
    if revision is not None and revision > HEAD:
        return (
            f"the database was made by a newer version of amqp-bridge (revision {revision}, "
            f"this version knows up to {HEAD}); run that version, or use another database"
        )
    return ""
