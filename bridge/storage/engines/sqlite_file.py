"""The file of a SQLite history: whether it can be one, whose it is, and that it stays the same under a running bridge."""

import fcntl
import os
import sqlite3
import stat
import struct
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from bridge.model.errors import AlreadyRunning, HistoryUnavailable, Problem, SettingsError
from bridge.model.owner import Owner

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
