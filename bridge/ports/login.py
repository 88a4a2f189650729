"""Tokens that log in to a broker: each ends, and another takes its place before."""

from typing import NamedTuple, Protocol


class Grant(NamedTuple):
    """A token that is good until `expires_at`. Times are the event loop's."""

    token: str
    renew_at: float
    expires_at: float


class Grants(Protocol):
    """Where tokens come from; several connections share one."""

    async def get(self, since: float) -> Grant:
        """A token that was asked for at `since` or later (the event loop's time), by one request for all who wait.

        Bounded in time. Raises BrokerUnavailable when another try may help, BrokerRefused when somebody has to
        change something first.
        """
        ...


class DatabaseLogin(Protocol):
    """Who the bridge is to the database's server: asked for at each connection, since passwords are exchanged."""

    async def now(self) -> tuple[str | None, str | None]:
        """User and password; None: as the driver finds them (PGUSER, a file of passwords)."""
        ...

    def refused(self, why: str) -> None:
        """The server refused them."""
        ...

    def taken(self) -> None:
        """The server took them."""
        ...
