"""What is measured: how much of what, delivered by whom."""

from dataclasses import dataclass
from pathlib import Path

SOURCE = "bench-source"
DESTINATION = "bench-destination"


@dataclass(frozen=True)
class Load:
    """Events to deliver. The first `warm` are delivered but not measured.

    Each goes to `copies` hooks. They wait in the queue from the start, and `waiting` more behind them that
    are not waited for, unless `per_second` paces them. One of every `hang_every` is answered only after
    `hang_seconds`.
    """

    events: int
    warm: int
    copies: int = 1
    waiting: int = 0
    per_second: float = 0.0
    hang_every: int = 0
    hang_seconds: float = 0.0

    @property
    def numbers(self) -> int:
        """Events that are waited for."""
        return self.warm + self.events

    @property
    def deliveries(self) -> int:
        """Measured deliveries."""
        return self.events * self.copies

    @property
    def marks(self) -> tuple[int, int]:
        """Deliveries in all when measuring begins and ends."""
        return self.warm * self.copies, self.numbers * self.copies


@dataclass(frozen=True)
class Webhooks:
    """Every event goes to each of these addresses."""

    urls: tuple[str, ...]
    secret: str


@dataclass(frozen=True)
class Queue:
    """Every event goes to this queue."""

    name: str


@dataclass(frozen=True)
class Script:
    """Every event is piped into this program."""

    path: Path


Destination = Webhooks | Queue | Script


@dataclass(frozen=True)
class Work:
    """What one who is measured is to do; `folder` is its own."""

    amqp_url: str
    source: str
    destination: Destination
    concurrency: int
    folder: Path

    @property
    def bare_url(self) -> str:
        """For clients that take `/` at the end for a virtual host without a name (Erlang and C do)."""
        return self.amqp_url.rstrip("/")
