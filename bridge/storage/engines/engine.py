"""The way into a database: functions over a connection, run where the database's driver wants them."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Dialect

T = TypeVar("T")


class Engine(Protocol):
    """Runs plain functions over a connection, each in one transaction, without blocking the event loop.

    A function may run twice (a connection that broke at its commit), so it must come to the same both times.
    """

    @property
    def dialect(self) -> Dialect:
        """What statements are compiled for."""
        ...

    async def write(
        self, work: Callable[[Connection], T], *, patient: bool = False, longer: float = 0.0
    ) -> T:
        """What `work` gives, committed; raises HistoryUnavailable, or what `work` raised, with nothing written.

        `patient`: no time limit; `longer`: seconds beyond the usual one.
        """
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` gives, from one snapshot, beside writes; raises HistoryUnavailable."""
        ...

    async def reclaim(self) -> None:
        """Give space that deleted rows left to the file system, as far as the database does not do so itself."""
        ...

    async def close(self) -> None:
        """End every connection, after what is under way."""
        ...
