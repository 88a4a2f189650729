"""The sums of statistics by minute, hour and day, updated in the commit of the entries they count."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter

from sqlalchemy import Connection, case, select, update

from bridge.core.delivery import Counted, Record
from bridge.core.records import HookHealth
from bridge.db.admin_tables import durations, failures, hook_health, measures, sums
from bridge.db.rows import FINAL_STATUSES, AttemptRow, DeliveryRow, storable
from bridge.db.upserts import Row, add, padded, put, put_if_later
from bridge.measuring.dimensions import counted_at, key_of, number_of
from bridge.measuring.spans import DAY, HOUR, MINUTE, Step, bucket_of, floor

# The contribution of a batch to the sums: final deliveries, attempts and their durations, by hook and minute.


ALL_HOOKS = ""
"""The pseudo-id under which the sums of all hooks are stored."""
_PLACES = {"SUCCESS": 0, "FAILED": 1, "SKIPPED": 2}
_ATTEMPTS, _ATTEMPTS_FAILED, _DURATION = 3, 4, 5

NO_CODE = -1_000_000
"""Stands for the code of an attempt that has none, in the key of the table `failures`."""

Minute = tuple[str, int]
"""A hook and a number of minutes since 1970."""
Cause = tuple[str, int]
"""The outcome of a failed attempt, and its code."""


@dataclass(slots=True)
class Counts:
    """The counts of one hook in one minute: figures in the order of the table's columns, and attempts by bucket of duration."""

    figures: list[float] = field(default_factory=lambda: [0, 0, 0, 0, 0, 0.0])
    durations: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Fared:
    """The health of a hook: times of the last success, of failed attempts, and of deliveries that failed for good."""

    succeeded_at: float | None = None
    failed: list[float] = field(default_factory=list)
    gave_up: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """The contributions of a whole batch."""

    counts: dict[Minute, Counts] = field(default_factory=dict)
    fared: dict[str, Fared] = field(default_factory=dict)
    failures: dict[tuple[Minute, Cause], list[int]] = field(default_factory=dict)
    """The failed attempts, and the deliveries whose last attempt they were."""

    def add_end(self, hook: str, status: str, at: float) -> None:
        """Counts a delivery that became final at that time."""
        self._of((hook, int(at // MINUTE))).figures[_PLACES[status]] += 1

    def add_attempt(
        self, hook: str, started_at: float, duration_ms: float, outcome: str, code: int | None
    ) -> None:
        """Counts an attempt at the time of its end."""
        ended_at = started_at + duration_ms / 1000
        key = (hook, int(ended_at // MINUTE))
        counts = self.counts.get(key) or self._of(key)
        figures, durations, number = counts.figures, counts.durations, bucket_of(duration_ms)
        figures[_ATTEMPTS] += 1
        figures[_DURATION] += duration_ms
        durations[number] = durations.get(number, 0) + 1
        fared = self.fared.get(hook)
        if fared is None:
            fared = self.fared[hook] = Fared()
        if outcome != "delivered":
            figures[_ATTEMPTS_FAILED] += 1
            fared.failed.append(ended_at)
            self._add_failure(key, _cause(outcome, code), attempts=1)
        elif fared.succeeded_at is None or ended_at > fared.succeeded_at:
            fared.succeeded_at = ended_at

    def add_rows(
        self, deliveries: Iterable[DeliveryRow], attempts: Iterable[AttemptRow], of: Mapping[str, DeliveryRow]
    ) -> None:
        """Counts rows that were new to the database; `of` maps delivery ids to the deliveries of the attempts."""
        failing: dict[str, Cause] = {}
        for row in attempts:
            self.add_attempt(of[row[0]][2], row[3], row[4], row[5], row[6])
            if row[5] != "delivered":
                failing[row[0]] = _cause(row[5], row[6])
        for delivery in deliveries:
            if delivery[4] in FINAL_STATUSES:
                self.add_end(delivery[2], delivery[4], delivery[9])
                if delivery[0] in failing and delivery[4] == "FAILED":
                    self.fared[delivery[2]].gave_up.append(delivery[9])
                    minute = (delivery[2], int(delivery[9] // MINUTE))
                    self._add_failure(minute, failing[delivery[0]], deliveries=1)

    def add_unkept(self, record: Record) -> None:
        """Counts a delivery of which no rows are written."""
        hook, attempt = record.delivery.hook, record.attempt
        self.add_end(hook, str(record.status), record.at)
        if attempt is not None:
            self.add_attempt(hook, attempt.started_at, attempt.duration_ms, attempt.outcome, attempt.code)

    def _add_failure(self, minute: Minute, cause: Cause, *, attempts: int = 0, deliveries: int = 0) -> None:
        counts = self.failures.setdefault((minute, cause), [0, 0])
        counts[0] += attempts
        counts[1] += deliveries

    def _of(self, key: Minute) -> Counts:
        found = self.counts.get(key)
        if found is None:
            found = self.counts[key] = Counts()
        return found


def _cause(outcome: str, code: int | None) -> Cause:
    return outcome, NO_CODE if code is None else code


# The health of hooks, updated in the commit of their attempts.


FIELDS = tuple(each.name for each in fields(HookHealth))
_row = attrgetter(*FIELDS)
_WELL = (
    "hook", "last_attempt_at", "last_success_at", "failing_since", "failed_attempts", "failed_deliveries",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(FIELDS)} FROM hook_health WHERE hook"  # noqa: S608 - names of our own columns


def update_health(connection: Connection, fared: Mapping[str, Fared]) -> None:
    """Reads, updates and writes the rows of these hooks.

    No other transaction interferes: this one has updated the sums of the same hooks before, whose locks it holds.
    """
    if not fared or _all_well(connection, fared):
        return
    known = _known(connection, padded(sorted(fared)))
    after = (health_after(known.get(hook, HookHealth(hook)), each) for hook, each in fared.items())
    put(connection, hook_health, FIELDS, [_row(health) for health in after])


def _all_well(connection: Connection, fared: Mapping[str, Fared]) -> bool:
    """Returns whether nothing failed and all is newer than stored: in this usual case nothing has to be read."""
    if any(each.failed for each in fared.values()):
        return False
    rows = [(hook, each.succeeded_at, each.succeeded_at, None, 0, 0) for hook, each in fared.items()]
    return put_if_later(connection, hook_health, _WELL, rows, "last_attempt_at")


def read_health(connection: Connection, hooks: list[str] | None) -> dict[str, HookHealth]:
    """Returns the health of these hooks, None: of all."""
    wanted = select(*(hook_health.c[name] for name in FIELDS))
    if hooks is not None:
        wanted = wanted.where(hook_health.c.hook.in_(padded(hooks)))
    return {row[0]: HookHealth(*row) for row in connection.execute(wanted)}


def _known(connection: Connection, hooks: list[str]) -> dict[str, HookHealth]:
    """As `read_health`, by a raw query: for one row SQLAlchemy takes ten times as long as the database."""
    if connection.dialect.name == "postgresql":
        rows = connection.exec_driver_sql(f"{_SELECT} = ANY($1::text[])", (hooks,))
    else:
        rows = connection.exec_driver_sql(f"{_SELECT} IN ({', '.join('?' * len(hooks))})", tuple(hooks))
    return {row[0]: HookHealth(*row) for row in rows}


def health_after(known: HookHealth, fared: Fared) -> HookHealth:
    """Returns the health of a hook after further results, in whatever order these arrive.

    If a success becomes known late, the number of failures after it is unknown: at least the last one was.
    """
    success = _latest(known.last_success_at, [] if fared.succeeded_at is None else [fared.succeeded_at])
    failure = _latest(known.last_failure_at, fared.failed)
    since, attempts, deliveries = known.failing_since, known.failed_attempts, known.failed_deliveries
    if success is not None and success != known.last_success_at and since is not None:
        if known.last_failure_at is None or success >= known.last_failure_at:
            since, attempts, deliveries = None, 0, 0
        elif success >= since:
            since, attempts, deliveries = known.last_failure_at, 1, min(deliveries, 1)
    after = [at for at in fared.failed if success is None or at > success]
    gave_up = [at for at in fared.gave_up if success is None or at > success]
    if after:
        since = min(after) if since is None else min(since, *after)
    return HookHealth(
        known.hook,
        last_attempt_at=_latest(known.last_attempt_at, [at for at in (success, failure) if at is not None]),
        last_success_at=success,
        last_failure_at=failure,
        failing_since=since,
        failed_attempts=attempts + len(after),
        failed_deliveries=deliveries + len(gave_up),
    )


def _latest(known: float | None, others: list[float]) -> float | None:
    return max(others, default=None) if known is None else max([known, *others])


STEPS = (MINUTE, HOUR, DAY)
_NOTHING = [0, 0, 0, 0, 0, 0.0]
_COUNTS = ("succeeded", "failed", "skipped")

End = tuple[str, str, float]
"""A hook, the final status of one of its deliveries, and when it was recorded."""


def add_tally(connection: Connection, tally: Tally) -> None:
    """Adds the contribution of a batch, at the end of its transaction, since other transactions wait for these rows."""
    if not tally.counts:
        return
    counted, lasted, failed = list(sum_rows(tally)), list(duration_rows(tally)), list(failure_rows(tally))
    add(connection, sums, counted)
    add(connection, durations, lasted)
    if failed:
        add(connection, failures, failed)
    update_health(connection, tally.fared)


def count_ends(connection: Connection, ends: Iterable[End]) -> None:
    """Counts deliveries that became final outside a commit of the recorder."""
    tally = Tally()
    for hook, status, at in ends:
        tally.add_end(hook, status, at)
    add_tally(connection, tally)


def take_back(connection: Connection, ends: Iterable[End]) -> None:
    """Subtracts final statuses whose deliveries were started anew in the same transaction.

    So the sums agree with the history: each delivery counts once, with its present status. Attempts stay counted.
    """
    tally = Tally()
    for hook, status, at in ends:
        tally.add_end(hook, status, at)
    for row in sorted(sum_rows(tally)):
        _subtract(connection, row)


def _subtract(connection: Connection, row: Row) -> None:
    """Subtracts from rows that still exist: expired sums cannot be corrected."""
    grain, hook, start, *counts = row
    changes = {
        name: case((sums.c[name] >= count, sums.c[name] - count), else_=0)
        for name, count in zip(_COUNTS, counts, strict=False)
        if count
    }
    where = (sums.c.grain == grain, sums.c.hook == hook, sums.c.start == start)
    connection.execute(update(sums).where(*where).values(changes))


def sum_rows(tally: Tally) -> Iterator[Row]:
    """Yields the rows that a tally adds to the table `sums`."""
    added: dict[tuple[int, str, int], list[float]] = {}
    for (hook, minute), counts in tally.counts.items():
        for key in _keys(hook, minute):
            known = added.get(key, _NOTHING)
            added[key] = [a + b for a, b in zip(known, counts.figures, strict=True)]
    return ((*key, *figures) for key, figures in added.items())


def duration_rows(tally: Tally) -> Iterator[Row]:
    """Yields the rows that a tally adds to the table `durations`."""
    added: dict[tuple[int, str, int], dict[int, int]] = {}
    for (hook, minute), counts in tally.counts.items():
        for key in _keys(hook, minute):
            known = added.setdefault(key, {})
            for bucket, count in counts.durations.items():
                known[bucket] = known.get(bucket, 0) + count
    return ((*key, bucket, count) for key, counted in added.items() for bucket, count in counted.items())


def failure_rows(tally: Tally) -> Iterator[Row]:
    """Yields the rows that a tally adds to the table `failures`."""
    added: dict[tuple[int, str, int, str, int], list[int]] = {}
    for ((hook, minute), cause), counts in tally.failures.items():
        at = minute * MINUTE
        for step in STEPS:
            known = added.setdefault((step, hook, at - at % step, *cause), [0, 0])
            known[:] = [a + b for a, b in zip(known, counts, strict=True)]
    return ((*key, *counts) for key, counts in added.items())


def _keys(hook: str, minute: int) -> Iterator[tuple[int, str, int]]:
    """Yields the steps that contain a minute, for the hook and for all hooks."""
    at = minute * MINUTE
    for step in STEPS:
        start = at - at % step
        yield step, hook, start
        yield step, ALL_HOOKS, start


# The measures of sources, stored in the same way.


ALL_EVENTS = ""
"""In place of a dimension: all events together. In place of a measure: the number of events."""
OTHER = ""
"""In place of a key and an event type: events of a day received after MOST_KEYS pairs were in use."""
MOST_KEYS = 2000
"""Maximum number of pairs of event type and key in a dimension per day; further ones are counted as OTHER."""
_DAYS_KNOWN = 64
_STEPS: tuple[Step, ...] = (DAY, HOUR)

Place = tuple[str, str, int]
"""The source, dimension and day."""
Pair = tuple[str, str]
"""The event type and key."""
Key = tuple[int, str, str, str, int, str, str]
"""The columns of the table's primary key."""


class MeasuresWriter:
    """Adds to the measures, within the transactions of one database; caches the keys that exist."""

    def __init__(self) -> None:
        self._known: dict[Place, set[Pair]] = {}

    def add(self, connection: Connection, counted: Sequence[Counted]) -> None:
        """Adds the values of these events."""
        amounts: dict[Key, float] = {}
        for one in counted:
            self._add_event(connection, one, amounts)
        add(connection, measures, [(*key, amount) for key, amount in amounts.items()])

    def _add_event(self, connection: Connection, counted: Counted, amounts: dict[Key, float]) -> None:
        event = counted.event
        at, source, kind = counted_at(event), event.source, storable(event.type)
        day = floor(at, DAY)
        numbers = {
            name: each for name, value in counted.values.items() if (each := number_of(value)) is not None
        }
        kind, _ = self._bounded(connection, (source, ALL_EVENTS, day), (kind, OTHER))
        for step in _STEPS:
            _put(amounts, (step, source, ALL_EVENTS), (floor(at, step), kind, ""), numbers)
        for name, value in counted.values.items():
            if (key := key_of(value)) is not None:
                pair = self._bounded(connection, (source, name, day), (kind, storable(key)))
                others = {other: number for other, number in numbers.items() if other != name}
                _put(amounts, (DAY, source, name), (day, *pair), others)

    def _bounded(self, connection: Connection, place: Place, pair: Pair) -> Pair:
        known = self._known.get(place)
        if known is None:
            known = self._known[place] = _stored(connection, place)
            if len(self._known) > _DAYS_KNOWN:
                del self._known[next(iter(self._known))]
        if pair in known:
            return pair
        if len(known) >= MOST_KEYS:
            return OTHER, OTHER
        known.add(pair)
        return pair


def _put(
    amounts: dict[Key, float],
    of: tuple[int, str, str],
    where: tuple[int, str, str],
    numbers: dict[str, float],
) -> None:
    for measure, number in (("", 1.0), *numbers.items()):
        key = (*of, measure, *where)
        amounts[key] = amounts.get(key, 0.0) + number


def _stored(connection: Connection, place: Place) -> set[Pair]:
    source, dimension, day = place
    c = measures.c
    rows = connection.execute(
        select(c.event_type, c.key)
        .where(c.grain == DAY, c.source == source, c.dimension == dimension, c.measure == "", c.start == day)
        .limit(MOST_KEYS)
    )
    return {(kind, key) for kind, key in rows}
