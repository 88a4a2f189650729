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
