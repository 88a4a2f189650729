"""The store of replays: one row of state each, and the transactions that advance it."""

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    func,
    insert,
    select,
    tuple_,
    update,
)

from bridge.core.delivery import Status
from bridge.core.records import Lacking, MatchCounts, Page, Replay, ReplayFilter, ReplayStatus, Restart
from bridge.db.admin_tables import replays
from bridge.db.engine import Engine, Reads, Store, Writes
from bridge.db.rows import storable
from bridge.db.scan import KeyRange, among, as_id, as_literal, cursor, distinct, first_id, key_of
from bridge.db.tables import deliveries
from bridge.db.upserts import padded
from bridge.deliveries.outbox import restart_some
from bridge.history import narrowing
from bridge.replays.fates import fates, note
from bridge.replays.supply import Supplies, make_deliveries, next_lacking

# The selection and the count of a replay's deliveries; each function runs on a connection. An index has a hook's deliveries of
# one status in the order of their events, so a batch begins where the previous one ended. For conditions that no index begins
# with (type, source, last attempt) a limited number of entries is checked, and the next batch continues after them: no transaction takes
# longer because matches are rare.


COUNTED_AT_ONCE = 200_000
"""Maximum index entries that one query of a count reads, so that others can read too."""
_LEAST_WINDOW = 64
_WINDOW = 2048
_MOST_HOOKS = 20_000
_KEY = (deliveries.c.event_id, deliveries.c.id)

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class CountCursor:
    """The position of a count: after the key `after` among the deliveries of a hook with a status."""

    hook: str
    status: Status
    after: Key | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The ids of deliveries to take, and the key after which to continue; None at the end."""

    ids: Sequence[str]
    after: Key | None


def key_text(key: Key) -> str:
    """Returns the key as text for the replay's row."""
    return " ".join(key)


def supply_key(text: str) -> Key | None:
    """Returns the key of such a text; None for empty text."""
    event, _, delivery = text.partition(" ")
    return (event, delivery) if delivery else None


def next_batch(connection: Connection, replay: Replay, hook: str, limit: int) -> Batch:
    """Returns the next `limit` of a hook's deliveries that matched when the replay was created, and have not changed since."""
    which, created_at, after = replay.which, replay.created_at, supply_key(replay.left[hook])
    rare = _looks_up(which) or which.event_type is not None
    window = max(_WINDOW if rare else _LEAST_WINDOW, 2 * limit)
    columns = (*_KEY, deliveries.c.event_type, deliveries.c.updated_at)
    found = []
    horizons = []
    for status in sorted(which.statuses):
        entries = _entries(columns, which, CountCursor(hook, status, after), created_at)
        rows = [tuple(row) for row in connection.execute(entries.limit(as_literal(window)))]
        found.append(rows)
        if len(rows) == window:
            horizons.append(rows[-1][:2])
    horizon: Key | None = min(horizons, default=None)
    rows = [row for row in heapq.merge(*found) if horizon is None or row[:2] <= horizon]
    fitting = _fitting(connection, which, [row for row in rows if row[3] <= created_at])
    if len(fitting) > limit:
        return Batch([key[1] for key in fitting[:limit]], fitting[limit - 1])
    return Batch([key[1] for key in fitting], horizon)


def hooks_with_deliveries(connection: Connection) -> list[str]:
    """Returns every hook that has deliveries, deleted ones included."""
    return distinct(connection, deliveries.c.hook, most=_MOST_HOOKS)


def _hooks_of_ids(connection: Connection, ids: Sequence[str]) -> list[str]:
    c = deliveries.c
    return sorted(connection.scalars(select(c.hook).where(c.id.in_(padded(ids))).distinct()))


def count_some(
    connection: Connection, which: ReplayFilter, created_at: float | None, places: Sequence[CountCursor]
) -> tuple[Mapping[str, int], int, Sequence[CountCursor]]:
    """Returns the number of matching deliveries by hook, the number of entries read, and the positions to continue from."""
    counts: dict[str, int] = {}
    looked = 0
    left = list(places)
    while left and looked < COUNTED_AT_ONCE:
        place = left.pop(0)
        size = COUNTED_AT_ONCE - looked
        entries = _entries((*_KEY, deliveries.c.event_type), which, place, created_at)
        seen, fitting = _count(connection, which, entries.limit(as_literal(size)))
        counts[place.hook] = counts.get(place.hook, 0) + fitting
        looked += seen
        if seen == size:
            last = connection.execute(entries.offset(as_literal(size - 1)).limit(as_literal(1))).one()
            left.insert(0, CountCursor(place.hook, place.status, (last[0], last[1])))
    return counts, looked, left


def _entries(
    columns: Sequence[Any], which: ReplayFilter, place: CountCursor, created_at: float | None
) -> Select[Any]:
    c = deliveries.c
    hook, status = storable(place.hook), str(place.status)
    where: list[ColumnElement[bool]] = [c.hook == hook, c.status == status]
    if which.ids:
        # The bare columns would use an index of all deliveries of the hook.
        alike = (func.coalesce(c.hook, "") == hook, func.coalesce(c.status, "") == status)
        where = [c.id.in_(padded(which.ids)), *alike]
    if place.after is not None:
        # The first column is bounded as well: SQLite does not start its scan at a pair.
        where += [c.event_id >= place.after[0], tuple_(*_KEY) > tuple_(*place.after, types=[c.id.type] * 2)]
    if (first := first_id(which.since)) is not None:
        where.append(c.event_id >= first)
    until = [at for at in (which.until, None if created_at is None else created_at + 0.001) if at is not None]
    if (end := first_id(min(until, default=None))) is not None:
        where.append(c.event_id < end)
    return select(*columns).where(*where).order_by(*_KEY)


def _fitting(connection: Connection, which: ReplayFilter, rows: Sequence[tuple[Any, ...]]) -> list[Key]:
    """Returns the keys of those rows that have the type and source of the filter."""
    if which.event_type is not None:
        wanted = storable(which.event_type)
        rows = [row for row in rows if row[2] == wanted]
    keys = [(row[0], row[1]) for row in rows]
    if not _looks_up(which) or not keys:
        return keys
    fits = narrowing.as_sql([*narrowing.of_source(which), *narrowing.of_last_attempt(which)])
    ids = among(connection, deliveries.c.id, [key[1] for key in keys])
    known = set(connection.scalars(select(deliveries.c.id).where(ids, *fits)))
    return [key for key in keys if key[1] in known]


def _looks_up(which: ReplayFilter) -> bool:
    """Returns whether the filter has conditions that no index of deliveries has."""
    return (which.source, which.outcome, which.status_code) != (None, None, None)


def _count(connection: Connection, which: ReplayFilter, entries: Select[Any]) -> tuple[int, int]:
    inner = entries.subquery()
    seen = connection.scalar(select(func.count()).select_from(inner)) or 0
    if not seen or (which.event_type is None and not _looks_up(which)):
        return seen, seen
    chosen = select(func.count()).select_from(inner)
    for column, asked in (*narrowing.of_source(which), *narrowing.of_last_attempt(which)):
        chosen = chosen.where(asked(inner.c[column.name]))
    if which.event_type is not None:
        chosen = chosen.where(inner.c.event_type == storable(which.event_type))
    return seen, connection.scalar(chosen) or 0


_KIND = "replay"
_MOST_COUNTED = 2_000_000
"""Maximum index entries that a whole count reads; with some conditions each is looked up in addition."""
_DEARER = 10
_UNFINISHED = (ReplayStatus.PENDING, ReplayStatus.RUNNING)
_MOST_UNFINISHED = 1000


def _take(
    connection: Connection, replay: Replay, hook: str, limit: int, at: float
) -> tuple[Replay, Sequence[Restart]]:
    """Move the next deliveries of a hook to the outbox and advance the job, in one transaction; returns the job.

    Takes nothing if the job has ended or another process advanced it.
    """
    now = _locked(connection, replay.id)
    if not _goes_on(now, replay, hook):
        return now, ()
    batch = next_batch(connection, now, hook, limit)
    taken = restart_some(connection, batch.ids, at, now.which.statuses) if batch.ids else ()
    reached = None if batch.after is None else key_text(batch.after)
    note(connection, now.id, taken)
    return _move_on(connection, now, hook, reached, done=len(taken), at=at), taken


def _leave_out(connection: Connection, replay: Replay, hook: str, at: float) -> Replay:
    """Count the hook's remaining deliveries as skipped and end its part: the hook is deleted or disabled."""
    now = _locked(connection, replay.id)
    if not _goes_on(now, replay, hook):
        return now
    number = 0
    if not now.which.missing:
        after = supply_key(now.left[hook])
        places = [CountCursor(hook, status, after) for status in now.which.statuses]
        counts, _, _ = count_some(connection, now.which, now.created_at, places)
        number = counts.get(hook, 0)
    return _move_on(connection, now, hook, None, left_out=number, at=at)


def _goes_on(now: Replay, believed: Replay, hook: str) -> bool:
    """Returns whether the replay has neither ended nor been advanced meanwhile: by another replica, or by a commit of this
    process whose result was lost.
    """
    return (
        now.status in _UNFINISHED
        and hook in now.left
        and now.left[hook] == believed.left.get(hook, "nowhere")
    )


def _move_on(
    connection: Connection,
    now: Replay,
    hook: str,
    reached: str | None,
    *,
    at: float,
    done: int = 0,
    left_out: int = 0,
) -> Replay:
    """Advances the replay; `reached` None: the hook is finished."""
    left = {name: place for name, place in now.left.items() if name != hook}
    # At the end, so that the hooks take turns.
    left |= {hook: reached} if reached is not None else {}
    moved = replace(
        now,
        status=ReplayStatus.RUNNING,
        done=now.done + done,
        left_out=now.left_out + left_out,
        left=left,
        updated_at=at,
    )
    changed = {name: _row(moved)[name] for name in ("status", "done", "left_out", "remaining", "updated_at")}
    connection.execute(update(replays).where(replays.c.id == now.id).values(**changed))
    return moved


def _locked(connection: Connection, replay_id: str) -> Replay:
    chosen = select(replays).where(replays.c.id == replay_id).with_for_update()
    return _replay_of(connection.execute(chosen).mappings().one())


def _end(connection: Connection, replay_id: str, status: ReplayStatus, at: float, error: str = "") -> bool:
    """Set the final status; returns False if the replay has ended already."""
    ended = update(replays).where(
        replays.c.id == as_id(replay_id), replays.c.status.in_([str(each) for each in _UNFINISHED])
    )
    values = {"status": str(status), "finished_at": at, "updated_at": at, "error": error}
    return connection.execute(ended.values(**values)).rowcount == 1


def _add(connection: Connection, replay: Replay) -> None:
    if _one(connection, replay.id) is None:
        connection.execute(insert(replays).values(**_row(replay)))


def _one(connection: Connection, replay_id: str) -> Replay | None:
    known = as_id(replay_id)
    row = (
        connection.execute(select(replays).where(replays.c.id == known)).mappings().first() if known else None
    )
    return None if row is None else _replay_of(row)


def _page(connection: Connection, after: str | None, limit: int) -> Page[Replay]:
    """Returns a page of replays, newest first; ValueError for an invalid cursor."""
    bounds = KeyRange(after=key_of(_KIND, after) if after is not None else None)
    chosen = select(replays).where(*bounds.condition([replays.c.id])).order_by(replays.c.id.desc())
    found = [_replay_of(row) for row in connection.execute(chosen.limit(limit + 1)).mappings()]
    more = len(found) > limit
    return Page(tuple(found[:limit]), cursor(_KIND, (found[limit - 1].id,)) if more else None)


def _unfinished(connection: Connection) -> Sequence[Replay]:
    c = replays.c
    chosen = select(replays).where(c.status.in_([str(each) for each in _UNFINISHED])).order_by(c.id)
    return [_replay_of(row) for row in connection.execute(chosen.limit(_MOST_UNFINISHED)).mappings()]


class SqlReplays(Store):
    """The store of replays. Each method raises HistoryUnavailable.

    A replay takes each delivery that matched when it was created, once. A delivery that has changed since is left
    alone, so a delivery that fails again is not taken again.
    """

    add_replay = Writes(_add)
    replay = Reads(_one)
    replays = Reads(_page)
    unfinished = Reads(_unfinished)
    fates = Reads(fates)
    take = Writes(_take)
    lacking = Reads(next_lacking)
    leave_out = Writes(_leave_out)
    end_replay = Writes(_end)

    def __init__(self, engine: Engine) -> None:
        """Prepares the store; the tables must have the schema of this version."""
        self.engine = engine
        self._supplies = Supplies(engine.dialect)

    async def count(self, which: ReplayFilter) -> MatchCounts:
        named = await self._hooks_of(which)
        places: Sequence[CountCursor] = [
            CountCursor(hook, status) for hook in named for status in sorted(which.statuses)
        ]
        budget = _MOST_COUNTED // (_DEARER if _looks_up(which) else 1)
        counts = dict.fromkeys(named, 0)
        while places and budget > 0:
            look = partial(count_some, which=which, created_at=None, places=places)
            some, looked, places = await self.engine.read(look)
            budget -= looked
            for hook, number in some.items():
                counts[hook] += number
        # A hook that the count did not reach may have deliveries.
        behind = dict.fromkeys((place.hook for place in places), 0)
        return MatchCounts(behind | {hook: number for hook, number in counts.items() if number}, not places)

    async def _hooks_of(self, which: ReplayFilter) -> Sequence[str]:
        if which.hook is not None:
            return [which.hook]
        if which.ids:
            return await self.engine.read(partial(_hooks_of_ids, ids=which.ids))
        return await self.engine.read(hooks_with_deliveries)

    async def supply(
        self, replay: Replay, hook: str, target: str, found: Lacking, at: float
    ) -> tuple[Replay, Sequence[Restart]]:
        supply = partial(self._supply, hook=hook, target=target, found=found, at=at)
        return await self.engine.write(partial(supply, replay=replay))

    def _supply(
        self, connection: Connection, *, replay: Replay, hook: str, target: str, found: Lacking, at: float
    ) -> tuple[Replay, Sequence[Restart]]:
        now = _locked(connection, replay.id)
        if not _goes_on(now, replay, hook):
            return now, ()
        made = make_deliveries(connection, self._supplies, hook, target, found=found.events, at=at)
        note(connection, now.id, made)
        return _move_on(connection, now, hook, found.reached, done=len(made), at=at), made


def _row(replay: Replay) -> dict[str, Any]:
    which = replay.which
    asked = {
        "hook": which.hook, "statuses": sorted(which.statuses), "type": which.event_type, "source": which.source,
        "since": which.since, "until": which.until, "missing": which.missing,
        "ids": which.ids, "outcome": which.outcome, "status_code": which.status_code,
    }  # fmt: skip
    return {
        "id": replay.id, "which": json.dumps(asked), "rate": replay.rate, "status": str(replay.status),
        "total": replay.total, "exact": replay.exact, "done": replay.done, "left_out": replay.left_out,
        "remaining": json.dumps(dict(replay.left)), "created_at": replay.created_at,
        "created_by": replay.created_by, "updated_at": replay.updated_at, "finished_at": replay.finished_at,
        "error": replay.error,
    }  # fmt: skip


def _replay_of(row: RowMapping) -> Replay:
    asked = json.loads(row["which"])
    which = ReplayFilter(
        hook=asked["hook"], statuses=frozenset(map(Status, asked["statuses"])), event_type=asked["type"],
        source=asked["source"], since=asked["since"], until=asked["until"], missing=asked["missing"],
        ids=tuple(asked.get("ids", ())), outcome=asked.get("outcome"), status_code=asked.get("status_code"),
    )  # fmt: skip
    return Replay(
        id=row["id"], which=which, rate=row["rate"], status=ReplayStatus(row["status"]), total=row["total"],
        exact=row["exact"], done=row["done"], left_out=row["left_out"], left=json.loads(row["remaining"]),
        created_at=row["created_at"], created_by=row["created_by"], updated_at=row["updated_at"],
        finished_at=row["finished_at"], error=row["error"],
    )  # fmt: skip
