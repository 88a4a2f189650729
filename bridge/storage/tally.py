"""What a batch adds to the sums: final deliveries, attempts and how long they took, by hook and minute."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.model.delivery import Attempt, Record
from bridge.rules.statistics.buckets import bucket
from bridge.rules.statistics.spans import MINUTE
from bridge.storage.rows import FINAL_STATUSES, AttemptRow, DeliveryRow

ALL_HOOKS = ""
"""In place of a hook: the sums of all."""
_PLACES = {"SUCCESS": 0, "FAILED": 1, "SKIPPED": 2}
_ATTEMPTS, _ATTEMPTS_FAILED, _DURATION = 3, 4, 5

Minute = tuple[str, int]
"""A hook and how many minutes after 1970."""


@dataclass(slots=True)
class Fared:
    """How a hook fared: when each attempt ended, and when deliveries failed for good by one."""

    succeeded: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    gave_up: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """Sums in the order of the table's columns; attempts by bucket; and how hooks fared."""

    sums: dict[Minute, list[float]] = field(default_factory=dict)
    durations: dict[tuple[str, int, int], int] = field(default_factory=dict)
    fared: dict[str, Fared] = field(default_factory=dict)

    def add_end(self, hook: str, status: str, at: float, times: int = 1) -> None:
        """So many deliveries got a final status then."""
        self._sum(hook, at)[_PLACES[status]] += times

    def add_attempt(self, hook: str, ended_at: float, duration_ms: float, *, delivered: bool) -> None:
        """An attempt ended then."""
        found = self._sum(hook, ended_at)
        found[_ATTEMPTS] += 1
        found[_DURATION] += duration_ms
        key = (hook, int(ended_at // MINUTE), bucket(duration_ms))
        self.durations[key] = self.durations.get(key, 0) + 1
        fared = self.fared.get(hook)
        if fared is None:
            fared = self.fared[hook] = Fared()
        if delivered:
            fared.succeeded.append(ended_at)
        else:
            found[_ATTEMPTS_FAILED] += 1
            fared.failed.append(ended_at)

    def add_rows(
        self, deliveries: Iterable[DeliveryRow], attempts: Iterable[AttemptRow], of: dict[str, DeliveryRow]
    ) -> None:
        """Rows that were new to the database; `of` has the delivery of every attempt by its id."""
        failing = set()
        for attempt in attempts:
            hook, delivered = of[attempt[0]][2], attempt[5] == "delivered"
            self.add_attempt(hook, attempt[3] + attempt[4] / 1000, attempt[4], delivered=delivered)
            if not delivered:
                failing.add(attempt[0])
        for row in deliveries:
            if row[4] in FINAL_STATUSES:
                self.add_end(row[2], row[4], row[9])
                if row[0] in failing and row[4] == "FAILED":
                    self.fared[row[2]].gave_up.append(row[9])

    def add_unkept(self, record: Record) -> None:
        """A delivery of which no rows are written."""
        hook, attempt = record.delivery.hook, record.attempt
        self.add_end(hook, str(record.status), record.at)
        if attempt is not None:
            self.add_attempt(
                hook, ended_at(attempt), attempt.duration_ms, delivered=attempt.outcome == "delivered"
            )

    def _sum(self, hook: str, at: float) -> list[float]:
        key = (hook, int(at // MINUTE))
        found = self.sums.get(key)
        if found is None:
            found = self.sums[key] = [0, 0, 0, 0, 0, 0.0]
        return found


def ended_at(attempt: Attempt) -> float:
    """When an attempt ended, in Unix seconds."""
    return attempt.started_at + attempt.duration_ms / 1000
