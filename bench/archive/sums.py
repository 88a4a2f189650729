"""The sums of a made-up past, for a month: what happened in its days happened in the weeks before in the same way."""

import random
from collections.abc import Iterable, Iterator

from bench.archive.rows import DAYS, END, SOURCES, Batch
from bridge.db.rows import FINAL_STATUSES
from bridge.history.sums import Tally, duration_rows, failure_rows, sum_rows
from bridge.measuring.spans import DAY, HOUR, MINUTE, MINUTES_KEPT

SUMS = ("sums", "durations", "failures", "measures")
WEEKS = 5
_APART = (DAYS + 1) * DAY
"""Seconds: the past begins within a day."""
USERS = 2000
"""As many keys as a dimension may have on one day."""

Row = tuple[object, ...]


class Summing:
    """Adds up what is written."""

    def __init__(self) -> None:
        self._tally = Tally()

    def add(self, batch: Batch) -> None:
        """Count these rows."""
        hooks = {}
        for delivery, _, hook, _, status, _, _, _, _, ended_at, *_ in batch.deliveries:
            hooks[delivery] = str(hook)
            if status in FINAL_STATUSES:
                self._tally.add_end(str(hook), str(status), float(str(ended_at)))
        for delivery, _, _, at, duration, outcome, code, *_ in batch.attempts:
            took = float(str(duration))
            self._tally.add_attempt(hooks[delivery], float(str(at)), took, str(outcome), int(str(code)))

    def rows(self, name: str) -> list[Row]:
        """All of a table of sums."""
        match name:
            case "sums":
                return list(_over_weeks(sum_rows(self._tally)))
            case "durations":
                return list(_over_weeks(duration_rows(self._tally)))
            case "failures":
                return list(_over_weeks(failure_rows(self._tally)))
            case _:
                return list(_measures())


def _over_weeks(rows: Iterable[Row]) -> Iterator[Row]:
    """Step and beginning stand first and third in a row; minutes are there for as long as they are kept."""
    for step, hook, start, *figures in rows:
        at = int(str(start))
        if step == MINUTE:
            if at >= END - MINUTES_KEPT - HOUR:
                yield (step, hook, at, *figures)
            continue
        for week in range(WEEKS):
            yield (step, hook, at - week * _APART, *figures)


def _measures() -> Iterator[Row]:
    """A source with a user in each event, and a number."""
    chance, source = random.Random(7), SOURCES[1]
    last = int(END // DAY) * DAY
    for day in range(last - (WEEKS * DAYS) * DAY, last + DAY, DAY):
        events = 0
        for user in range(USERS):
            count = 1 + int(chance.expovariate(0.3))
            events += count
            for measure, amount in (("", count), ("duration", count * 1200.0)):
                yield (DAY, source, "user", measure, day, "playback.ended", f"user-{user}", float(amount))
        for measure, amount in (("", events), ("duration", events * 1200.0)):
            yield (DAY, source, "", measure, day, "playback.ended", "", float(amount))
            for hour in range(day, day + DAY, HOUR):
                yield (HOUR, source, "", measure, hour, "playback.ended", "", amount / 24)
