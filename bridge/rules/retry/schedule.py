"""When a failed attempt is tried again."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bridge.model.hook import Retry


class End(StrEnum):
    """Why there is no further attempt."""

    RETRIES_EXHAUSTED = "retries_exhausted"
    TOO_OLD = "too_old"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits between the attempts, in seconds; the last one repeats while `max_attempts` allows.

    A wait is lengthened by a random part of it, up to the share `jitter`. `max_age` is in seconds.
    """

    waits: tuple[float, ...]
    max_attempts: int
    max_age: float | None = None
    jitter: float = 0.0

    def next_wait(
        self, retries_used: int, *, event_age: float, random: float, at_least: float = 0.0
    ) -> float | End:
        """Seconds until the next attempt, not under `at_least`, or why there is none.

        `retries_used` is how many waits were used before this one; attempts that used none, as probes do, do
        not count. The event must not be older than `max_age` when the wait is over; where the delivery was started
        anew, `event_age` counts from then. `random` is in [0, 1).
        """
        if retries_used + 1 >= self.max_attempts or not self.waits:
            return End.RETRIES_EXHAUSTED
        wait = self.waits[min(retries_used, len(self.waits) - 1)]
        wait = max(wait * (1 + self.jitter * random), at_least)
        return End.TOO_OLD if self.too_old(event_age + wait) else wait

    def too_old(self, event_age: float) -> bool:
        """Whether an event of this age, in seconds, gets no further attempt."""
        return self.max_age is not None and event_age > self.max_age


def _of(*waits: float, jitter: float = 0.0) -> Schedule:
    return Schedule(waits, max_attempts=len(waits) + 1, jitter=jitter)


_MINUTE = 60.0
_HOUR = 3600.0

PRESETS: Mapping[str, Schedule] = {
    "standard": _of(
        *(5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR),
        *(10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
        jitter=0.1,
    ),
    # as seen by a third party: at once, then after 1 minute, 10 minutes, 1 hour
    "splynx": _of(0.0, _MINUTE, 10 * _MINUTE, _HOUR),
    # min(1000 * 2^n, 32000) ms and a random part of up to the same, two retries
    "phlix": _of(1.0, 2.0, jitter=1.0),
    # `retries` 3, `retry_delay` 60 of its newest edition
    "cockpit": _of(_MINUTE, _MINUTE, _MINUTE),
    "none": _of(),
}


def schedule_of(retry: Retry) -> Schedule:
    """The schedule that a hook asks for; what it leaves out is the preset's, `standard` at last."""
    start = _of(*retry.schedule) if retry.schedule is not None else PRESETS[retry.preset or "standard"]
    return Schedule(
        waits=start.waits,
        max_attempts=start.max_attempts if retry.max_attempts is None else retry.max_attempts,
        max_age=retry.max_age,
        jitter=start.jitter if retry.jitter is None else retry.jitter,
    )
