"""The sums that statistics are made of, kept within the commit of what they are of: minute, hour and day at once."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, case, update

from bridge.rules.statistics.spans import DAY, HOUR, MINUTE
from bridge.storage.additions import add
from bridge.storage.admin_tables import durations, sums
from bridge.storage.health import update_health
from bridge.storage.statements import Row
from bridge.storage.tally import ALL_HOOKS, Tally

STEPS = (MINUTE, HOUR, DAY)
_NOTHING = [0, 0, 0, 0, 0, 0.0]
_COUNTS = ("succeeded", "failed", "skipped")

End = tuple[str, str, float]
"""A hook, the final status of a delivery of its, and when it was recorded."""


def add_tally(connection: Connection, tally: Tally) -> None:
    """Add what a batch came to: the last thing in its transaction, since others wait for these rows until its end."""
    if not tally.counts:
        return
    add(connection, sums, list(sum_rows(tally)))
    add(connection, durations, list(duration_rows(tally)))
    update_health(connection, tally.fared)


def count_ends(connection: Connection, ends: Iterable[End]) -> None:
    """Count deliveries that came to a final status by another way than a commit of the history."""
    tally = Tally()
    for hook, status, at in ends:
        tally.add_end(hook, status, at)
    add_tally(connection, tally)


def take_back(connection: Connection, ends: Iterable[End]) -> None:
    """These final statuses are none any more: their deliveries were started anew, in the same transaction.

    So the sums say what the history does: each delivery counts once, with the status that it has. Attempts stay.
    """
    tally = Tally()
    for hook, status, at in ends:
        tally.add_end(hook, status, at)
    for row in sorted(sum_rows(tally)):
        _subtract(connection, row)


def _subtract(connection: Connection, row: Row) -> None:
    """Only from rows that are still there: what is no longer kept cannot be put right."""
    grain, hook, start, *counts = row
    changes = {
        name: case((sums.c[name] >= count, sums.c[name] - count), else_=0)
        for name, count in zip(_COUNTS, counts, strict=False)
        if count
    }
    where = (sums.c.grain == grain, sums.c.hook == hook, sums.c.start == start)
    connection.execute(update(sums).where(*where).values(changes))


def sum_rows(tally: Tally) -> Iterator[Row]:
    """What a tally adds to the table `sums`."""
    added: dict[tuple[int, str, int], list[float]] = {}
    for (hook, minute), counts in tally.counts.items():
        for key in _keys(hook, minute):
            known = added.get(key, _NOTHING)
            added[key] = [a + b for a, b in zip(known, counts.figures, strict=True)]
    return ((*key, *figures) for key, figures in added.items())


def duration_rows(tally: Tally) -> Iterator[Row]:
    """What a tally adds to the table `durations`."""
    added: dict[tuple[int, str, int], dict[int, int]] = {}
    for (hook, minute), counts in tally.counts.items():
        for key in _keys(hook, minute):
            known = added.setdefault(key, {})
            for bucket, count in counts.durations.items():
                known[bucket] = known.get(bucket, 0) + count
    return ((*key, bucket, count) for key, counted in added.items() for bucket, count in counted.items())


def _keys(hook: str, minute: int) -> Iterator[tuple[int, str, int]]:
    """The steps that a minute lies in, for the hook and for all hooks."""
    at = minute * MINUTE
    for step in STEPS:
        start = at - at % step
        yield step, hook, start
        yield step, ALL_HOOKS, start
