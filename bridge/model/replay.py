"""Where a replay stands."""

from enum import StrEnum


class ReplayStatus(StrEnum):
    """The status of a replay; the last three are final."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
