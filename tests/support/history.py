"""The history of a bridge as the database holds it, read past the bridge."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

Row = tuple[Any, ...]


class SqliteHistory:
    """Looks into the SQLite file, also while a bridge writes it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def rows(self, statement: str, *parameters: Any) -> list[Row]:
        """What a query gives."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(statement, parameters).fetchall()

    def statuses(self, hook: str) -> Counter[str]:
        """How many deliveries of the hook have which status."""
        return Counter(
            status for (status,) in self.rows("SELECT status FROM deliveries WHERE hook = ?", hook)
        )

    def delivered_bodies(self, hook: str) -> set[bytes]:
        """The bodies of all events of which the hook has a SUCCESS."""
        found = self.rows(
            "SELECT body FROM deliveries JOIN events ON events.id = event_id WHERE hook = ? AND status = 'SUCCESS'",
            hook,
        )
        return {bytes(body) for (body,) in found}

    def reasons(self, hook: str) -> Counter[tuple[str, str]]:
        """How many deliveries of the hook have which status and reason."""
        return Counter(self.rows("SELECT status, reason FROM deliveries WHERE hook = ?", hook))

    def unfinished(self) -> int:
        """How many deliveries have no final status."""
        found = self.rows("SELECT count(*) FROM deliveries WHERE status IN ('PENDING', 'RETRYING')")
        return int(found[0][0])

    def attempts(self, hook: str) -> list[Row]:
        """(number, started_at, outcome, status_code) of all attempts of the hook, in order of time."""
        return self.rows(
            "SELECT number, started_at, outcome, status_code FROM attempts "
            "JOIN deliveries ON deliveries.id = delivery_id WHERE hook = ? ORDER BY started_at",
            hook,
        )

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """A connection with which rows are changed behind the bridge's back; committed at the end."""
        with closing(sqlite3.connect(self.file, timeout=30)) as connection, connection:
            yield connection

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else can read or write meanwhile."""
        with closing(sqlite3.connect(self.file, isolation_level=None, timeout=30)) as connection:
            # In WAL mode BEGIN EXCLUSIVE keeps writers out.
            connection.execute("BEGIN EXCLUSIVE")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")
