"""Which errors mean that the database is away, and which that it refuses a row."""

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoFreeConnection

from bridge.model.errors import HistoryUnavailable

_AWAY = (HistoryUnavailable, NoFreeConnection, sqlite3.Error, OSError, MemoryError)
_SQLITE_REFUSES = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)
_POSTGRES_REFUSES = ("22", "23", "54")
"""Classes of SQLSTATE: data exception, integrity constraint violation, program limit exceeded."""
_LONGEST = 400


def is_outage(error: Exception) -> bool:
    """Whether the same rows may well be taken later; else the database, or the way to it, refuses what they hold.

    What a database says is an outage unless it is known to be about a row: to wait for a missing right or table
    loses nothing, to go on without history does.
    """
    if isinstance(error, DBAPIError):
        return not _refuses(error.orig)
    return isinstance(error, _AWAY)


def told(error: BaseException) -> str:
    """One line about the error for the operator; never a statement, its parameters or an address."""
    if isinstance(error, HistoryUnavailable):
        return str(error)[:_LONGEST]
    origin = error
    if isinstance(error, DBAPIError) and error.orig is not None:
        origin = error.orig.__cause__ or error.orig  # asyncpg's own error is the cause of SQLAlchemy's copy
    text = str(origin).partition("\n")[0] or ("no answer in time" if isinstance(origin, TimeoutError) else "")
    return f"{type(origin).__name__}: {text}".removesuffix(": ")[:_LONGEST]


def unavailable(error: BaseException) -> HistoryUnavailable:
    """The error in our words."""
    return HistoryUnavailable(f"the history's database (storage.url) cannot be used: {told(error)}")


def _refuses(origin: BaseException | None) -> bool:
    sqlstate = getattr(origin, "sqlstate", None)
    if sqlstate is not None:
        return str(sqlstate).startswith(_POSTGRES_REFUSES)
    # asyncpg checks parameters before it sends them, and raises a ValueError without a code.
    return isinstance(origin, _SQLITE_REFUSES) or isinstance(getattr(origin, "__cause__", None), ValueError)
