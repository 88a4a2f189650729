"""The store of quarantined messages."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, func, select

from bridge.core.base import value
from bridge.core.records import Beyond, KnownQuarantined, Page, QuarantineFilter
from bridge.db.engine import Reads, Store, Writes
from bridge.db.rows import storable
from bridge.db.scan import (
    KeyRange,
    Scan,
    among,
    as_id,
    as_literal,
    cursor,
    distinct,
    equals,
    first_id,
    key_of,
    run_all,
)
from bridge.db.tables import quarantine
from bridge.history.known import quarantined_of
from bridge.history.retention import time_of

# The queries for quarantined messages: in pages, and one alone.


_KIND = "refused"
_ORDER = (quarantine.c.id,)
_COST = 20
"""The cost of reading a row relative to an index entry: rows hold bodies."""
_LARGE = frozenset({"body", "headers", "properties"})


def page(
    connection: Connection, which: QuarantineFilter, after: str | None, limit: int
) -> Page[KnownQuarantined]:
    """Returns the newest `limit` matching messages, or those after the cursor `after`; ValueError for an invalid cursor."""
    bounds = KeyRange(
        after=key_of(_KIND, after) if after is not None else None,
        since=first_id(which.since),
        until=first_id(which.until),
    )
    found = run_all(connection, [_scan(which)], bounds, limit + 1)
    keys, more = found.keys[:limit], len(found.keys) > limit
    last = keys[-1] if more else found.horizon
    ids = [key[0] for key in keys]
    return Page(_without_bodies(connection, ids), cursor(_KIND, last) if last is not None else None)


def one(connection: Connection, quarantined_id: str) -> KnownQuarantined | None:
    """Returns the message, None if it does not exist."""
    known = as_id(quarantined_id)
    found = connection.execute(select(quarantine).where(quarantine.c.id == known)).mappings().first()
    return None if known is None or found is None else quarantined_of(found)


def _scan(which: QuarantineFilter) -> Scan:
    c = quarantine.c
    if which.source is None:
        return Scan(_ORDER, [] if which.reason is None else [c.reason == which.reason])
    where = [c.source == storable(which.source)]
    rest = [] if which.reason is None else [equals(c.reason, which.reason)]
    return Scan(_ORDER, where, rest, cost=_COST)


def _without_bodies(connection: Connection, ids: Sequence[str]) -> tuple[KnownQuarantined, ...]:
    if not ids:
        return ()
    small = [column for column in quarantine.c if column.name not in _LARGE]
    chosen = select(*small).where(among(connection, quarantine.c.id, ids)).order_by(quarantine.c.id.desc())
    return tuple(quarantined_of(row) for row in connection.execute(chosen).mappings())


def _ids(connection: Connection, which: QuarantineFilter, behind: str, limit: int) -> list[str]:
    """Returns the ids of matching messages after the id `behind`, oldest first; with "" from the first one."""
    c = quarantine.c
    where: list[ColumnElement[bool]] = [c.id > behind] if behind else []
    equal = ((c.source, which.source), (c.reason, which.reason))
    where += [column == storable(text) for column, text in equal if text is not None]
    if (first := first_id(which.since)) is not None:
        where.append(c.id >= first)
    if (end := first_id(which.until)) is not None:
        where.append(c.id < end)
    return list(connection.scalars(select(c.id).where(*where).order_by(c.id).limit(limit)))


_MOST_REASONS = 50
_MOST_COUNTED = 10_000


@value(frozen=True, slots=True)
class QuarantineCount:
    """The messages with one reason: all of them, and those that came lately. `first_at` is in Unix seconds."""

    reason: str
    all: Beyond
    lately: Beyond
    first_at: float


def _counts(connection: Connection, since: float) -> list[QuarantineCount]:
    """Returns the number of messages by reason; `lately` counts those since that Unix time."""
    c, found = quarantine.c, []
    for reason in distinct(connection, c.reason, most=_MOST_REASONS):
        first = connection.scalar(select(c.id).where(c.reason == reason).order_by(c.id).limit(as_literal(1)))
        every = _counted(connection, c.reason == reason)
        lately = _counted(connection, c.reason == reason, c.id >= first_id(since))
        found.append(QuarantineCount(reason, every, lately, time_of(str(first))))
    return found


def _counted(connection: Connection, *where: ColumnElement[bool]) -> Beyond:
    some = select(quarantine.c.id).where(*where).limit(as_literal(_MOST_COUNTED + 1)).subquery()
    count = connection.scalar(select(func.count()).select_from(some)) or 0
    return Beyond(min(count, _MOST_COUNTED), exact=count <= _MOST_COUNTED)


def _drop(connection: Connection, ids: Sequence[str]) -> int:
    known = [one for each in ids if (one := as_id(each)) is not None]
    if not known:
        return 0
    gone = connection.execute(delete(quarantine).where(among(connection, quarantine.c.id, known)))
    return gone.rowcount


class SqlQuarantine(Store):
    """The store of quarantined messages. All methods raise HistoryUnavailable."""

    messages = Reads(page)
    message = Reads(one)
    ids = Reads(_ids)
    counts = Reads(_counts)
    drop = Writes(_drop)
