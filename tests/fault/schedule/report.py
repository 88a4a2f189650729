"""What a run came to: the balance, the faults, how long it took to recover from them, and what was odd."""

import bisect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.fault.schedule.faults import Done
from tests.support.ledger import Balance

HARMLESS = ("database locked", "endpoint", "start without")
"""Beginnings of the kinds of faults that make nobody hand out a message again."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """After the harm was undone, so many seconds until each hook got an event that it did not have."""

    kind: str
    seconds: float


@dataclass(frozen=True)
class Report:
    """Prints as the summary of a run."""

    seed: int
    balance: Balance
    faults: Mapping[str, int]
    recoveries: Sequence[Recovery]
    memory_mb: float
    seconds: float
    drain_seconds: float
    repeats_bound: int
    """No hook's endpoint can have got more events again than this, and as many as the publisher sent again."""
    surprises: Sequence[str] = field(default_factory=tuple)

    @property
    def passed(self) -> bool:
        """The books agree, duplicates are within their bound, and nothing ended that should not."""
        return self.balance.adds_up and not self.surprises and not self._repeated_too_often

    @property
    def longest(self) -> Recovery | None:
        """The longest recovery."""
        return max(self.recoveries, key=lambda recovery: recovery.seconds, default=None)

    @property
    def _repeated_too_often(self) -> list[str]:
        return [
            hook.hook for hook in self.balance.hooks if hook.repeated > self.repeats_bound + hook.sent_again
        ]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterable[str]:
        yield f"seed {self.seed}, {self.seconds:.0f} s under faults, at rest {self.drain_seconds:.1f} s later"
        yield str(self.balance)
        yield f"faults: {sum(self.faults.values())}"
        yield from (
            f"  {count:>4} x {kind}{self._slowest(kind)}" for kind, count in sorted(self.faults.items())
        )
        if self.longest:
            yield f"longest recovery: {self.longest.seconds:.1f} s, after: {self.longest.kind}"
        yield f"memory of the bridge: {self.memory_mb:.0f} MB at most"
        yield from (
            f"REPEATED TOO OFTEN: {hook}, over {self.repeats_bound}" for hook in self._repeated_too_often
        )
        yield from (f"SURPRISE: {surprise}" for surprise in self.surprises)
        yield (
            "nothing is lost and all sums agree" if self.passed else f"FAILED; again with --seed {self.seed}"
        )

    def _slowest(self, kind: str) -> str:
        seconds = sorted(recovery.seconds for recovery in self.recoveries if recovery.kind == kind)
        if not seconds:
            return ""
        return f": recovered within {seconds[-1]:.1f} s (median {seconds[len(seconds) // 2]:.1f} s)"


def recoveries(
    faults: Sequence[Done], arrivals: Mapping[str, Sequence[float]], until: float
) -> list[Recovery]:
    """How long each took; without those that ended when there was nothing left to deliver (`until`)."""
    return [
        Recovery(fault.kind, seconds)
        for fault in faults
        if fault.until < until
        for seconds in [_recovery(fault, faults, arrivals)]
        if seconds is not None
    ]


def _recovery(fault: Done, faults: Sequence[Done], arrivals: Mapping[str, Sequence[float]]) -> float | None:
    """None when every hook's own endpoint was in the way."""
    found = []
    for hook, times in arrivals.items():
        place = bisect.bisect_right(times, fault.until)
        if place == len(times) or _in_the_way(hook, fault, faults, times[place]):
            continue
        found.append(times[place] - fault.until)
    return max(found, default=None)


def _in_the_way(hook: str, fault: Done, faults: Sequence[Done], arrival: float) -> bool:
    return any(
        other.hook == hook and other is not fault and other.begun < arrival and other.until > fault.until
        for other in faults
    )


def repeats_bound(faults: Mapping[str, int], per_fault: int) -> int:
    """Each fault of bridge, broker or network may have all that was handed out then handed out again."""
    return per_fault * sum(count for kind, count in Counter(faults).items() if not kind.startswith(HARMLESS))
