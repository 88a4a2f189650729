"""What a batch adds to the sums: final deliveries, attempts and how long they took, by hook and minute."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bridge.model.delivery import Record
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
class Counts:
    """Of one hook in one minute: figures in the order of the table's columns, and attempts by bucket."""

    figures: list[float] = field(default_factory=lambda: [0, 0, 0, 0, 0, 0.0])
    durations: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Fared:
    """How a hook fared: when an attempt last succeeded, when others failed, and when deliveries failed for good by one."""

    succeeded_at: float | None = None
    failed: list[float] = field(default_factory=list)
    gave_up: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """All of a batch."""

    counts: dict[Minute, Counts] = field(default_factory=dict)
    fared: dict[str, Fared] = field(default_factory=dict)

    def add_end(self, hook: str, status: str, at: float) -> None:
        """A delivery got a final status then."""
        self._of((hook, int(at // MINUTE))).figures[_PLACES[status]] += 1

    def add_attempt(self, hook: str, started_at: float, duration_ms: float, outcome: str) -> None:
        """An attempt was made; it counts when it ended."""
        ended_at = started_at + duration_ms / 1000
        key = (hook, int(ended_at // MINUTE))
        counts = self.counts.get(key) or self._of(key)
        figures, durations, number = counts.figures, counts.durations, bucket(duration_ms)
        figures[_ATTEMPTS] += 1
        figures[_DURATION] += duration_ms
        durations[number] = durations.get(number, 0) + 1
        fared = self.fared.get(hook)
        if fared is None:
            fared = self.fared[hook] = Fared()
        if outcome != "delivered":
            figures[_ATTEMPTS_FAILED] += 1
            fared.failed.append(ended_at)
        elif fared.succeeded_at is None or ended_at > fared.succeeded_at:
            fared.succeeded_at = ended_at

    def add_rows(
        self, deliveries: Iterable[DeliveryRow], attempts: Iterable[AttemptRow], of: Mapping[str, DeliveryRow]
    ) -> None:
        """Rows that were new to the database; `of` has the delivery of every attempt by its id."""
        failing = set()
        for row in attempts:
            self.add_attempt(of[row[0]][2], row[3], row[4], row[5])
            if row[5] != "delivered":
                failing.add(row[0])
        for delivery in deliveries:
            if delivery[4] in FINAL_STATUSES:
                self.add_end(delivery[2], delivery[4], delivery[9])
                if delivery[0] in failing and delivery[4] == "FAILED":
                    self.fared[delivery[2]].gave_up.append(delivery[9])

    def add_unkept(self, record: Record) -> None:
        """A delivery of which no rows are written."""
        hook, attempt = record.delivery.hook, record.attempt
        self.add_end(hook, str(record.status), record.at)
        if attempt is not None:
            self.add_attempt(hook, attempt.started_at, attempt.duration_ms, attempt.outcome)

    def _of(self, key: Minute) -> Counts:
        found = self.counts.get(key)
        if found is None:
            found = self.counts[key] = Counts()
        return found
