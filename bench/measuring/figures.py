"""What one run came to, and what several came to together."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import median


@dataclass(frozen=True)
class Figures:
    """One run, or the medians of several. None: not known here. Costs and counts are for each delivery."""

    rate: float | None = None
    """Deliveries per second, from the first measured one to the last."""
    seconds: float | None = None
    cpu_us: float | None = None
    """User and system time of who is measured, in microseconds."""
    endpoint_us: float | None = None
    broker_us: float | None = None
    total_us: float | None = None
    """All three together: what the machine spends."""
    memory_mb: float | None = None
    """Most resident memory, in units of 1,000,000 bytes."""
    p50_ms: float | None = None
    p99_ms: float | None = None
    connections: float | None = None
    """TCP connections that the endpoint accepted."""
    own_connections: float | None = None
    """TCP connections by the bridge's own metrics."""
    statements: float | None = None
    parked: float | None = None
    """Deliveries that the bridge put into a lane first, in all."""
    repeated: float | None = None
    """Deliveries that came more than once, in all."""


FIELDS = tuple(field.name for field in fields(Figures))


def medians(runs: Sequence[Figures]) -> Figures:
    """The median of each figure over the runs that know it."""
    return Figures(**{name: _median(runs, name) for name in FIELDS})


def _median(runs: Sequence[Figures], name: str) -> float | None:
    known = [value for value in (getattr(run, name) for run in runs) if value is not None]
    return median(known) if known else None
