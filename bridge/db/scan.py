"""Pages of the newest rows, merged from several bounded index scans.

If an index begins with a filter's columns, the page is at the start of a scan. For a filter that no index begins with (type and
hook together), the entries of an index that contains its columns are checked, a limited number at a time. When the time is up
the page ends, short or empty, with a cursor that continues there: no query takes longer because the table is larger.
"""

import base64
import binascii
import heapq
import json
import math
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2s
from itertools import islice
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bridge.core.records import Beyond
from bridge.db.rows import storable
from bridge.db.tables import events

# The cursor: the end of a page, as opaque text for clients.


Key = tuple[Any, ...]
"""The sort key of a list, newest first: ids, preceded by a time if the list is sorted by time."""

_DIGEST = 6
_ID = 16
_TIME = struct.Struct(">d")


def cursor(kind: str, key: Key) -> str:
    """Returns the cursor of a key in a list of that kind."""
    raw = b"".join(_TIME.pack(one) if isinstance(one, float) else UUID(one).bytes for one in key)
    return base64.urlsafe_b64encode(raw + _digest(kind, raw)).decode().rstrip("=")


def key_of(kind: str, text: str) -> Key:
    """Returns the key in a cursor; ValueError for any other text, and for the cursor of another kind of list."""
    try:
        whole = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        whole = b""
    raw = whole[:-_DIGEST]
    key = _key(raw)
    if key is None or whole[-_DIGEST:] != _digest(kind, raw) or cursor(kind, key) != text:
        raise ValueError("this is no cursor of this list")
    return key


def _key(raw: bytes) -> Key | None:
    """Returns whole ids, preceded by a time if there are more bytes than ids take."""
    time = len(raw) % _ID
    if time not in (0, _TIME.size) or len(raw) < _ID:
        return None
    ids = tuple(str(UUID(bytes=raw[start : start + _ID])) for start in range(time, len(raw), _ID))
    return (*_TIME.unpack(raw[:time]), *ids) if time else ids


def _digest(kind: str, raw: bytes) -> bytes:
    """Returns a checksum against mistakes, not against malice: any client that may list may begin anywhere."""
    return blake2s(raw, digest_size=_DIGEST, person=kind.encode()[:8]).digest()


BUDGET = 30_000
"""Maximum index entries that one query reads."""
MOST_COUNTED = 1000
"""Maximum entries after a page that are counted."""
PATIENCE = 0.06
"""Seconds for which a page continues to search."""

Columns = Sequence[sa.Column[Any]]
Condition = tuple[sa.Column[Any], Callable[[sa.ColumnElement[Any]], sa.ColumnElement[bool]]]
"""A column, and the condition on it."""


def equals(column: sa.Column[str], value: str) -> Condition:
    """Returns the condition that the column has this value."""
    return column, lambda entry: entry == value


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The bounds of the keys; `after` is the last key of the previous page, `since` and `until` apply to the first column."""

    after: Key | None = None
    since: str | float | None = None
    until: str | float | None = None

    def condition(self, order: Columns) -> list[sa.ColumnElement[bool]]:
        """Returns the bounds as SQL."""
        first, found = order[0], []
        if self.after is not None:
            # The first column is bounded as well: SQLite does not start its scan at a pair.
            found.append(first <= self.after[0])
            if len(order) > 1:
                found.append(sa.tuple_(*order) < sa.tuple_(*self.after, types=[one.type for one in order]))
            else:
                found.append(first != self.after[0])
        if self.since is not None:
            found.append(first >= self.since)
        if self.until is not None:
            found.append(first < self.until)
        return found

    def hold(self, first: Any) -> bool:
        """Returns whether keys that begin with this id may be within the bounds."""
        return (
            (self.after is None or first <= self.after[0])
            and (self.since is None or first >= self.since)
            and (self.until is None or first < self.until)
        )


@dataclass(frozen=True, slots=True)
class Found:
    """Keys in their order; `horizon` is the last key that was read if the scan stopped there, None at the end."""

    keys: Sequence[Key]
    horizon: Key | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan of one index: `where` has the conditions on its leading columns, `rest` those on further columns."""

    order: Columns
    where: Sequence[sa.ColumnElement[bool] | sa.TextClause]
    rest: Sequence["Condition"] = ()
    cost: int = 1
    """The cost of an entry, relative to one of an index that covers all columns."""

    def run(self, connection: sa.Connection, bounds: KeyRange, limit: int, budget: int) -> Found:
        """Returns at most `limit` keys."""
        entries = self._entries(bounds)
        if not self.rest:
            return Found(_keys(connection, entries.limit(as_literal(limit)), len(self.order)))
        budget = max(1, budget // self.cost)
        inner = entries.limit(as_literal(budget)).subquery()
        order = [inner.c[column.name] for column in self.order]
        outer = sa.select(*order).where(*(asked(inner.c[column.name]) for column, asked in self.rest))
        outer = outer.order_by(*(column.desc() for column in order))
        keys = _keys(connection, outer.limit(as_literal(limit)), len(self.order))
        if len(keys) == limit:
            return Found(keys)
        last = _keys(connection, entries.offset(as_literal(budget - 1)).limit(as_literal(1)), len(self.order))
        return Found(keys, last[0] if last else None)

    def _entries(self, bounds: KeyRange) -> sa.Select[Any]:
        columns = dict.fromkeys([*self.order, *(column for column, _ in self.rest)])
        chosen: sa.Select[Any] = sa.select(*columns).where(
            sa.and_(True, *self.where, *bounds.condition(self.order))
        )
        return chosen.order_by(*(column.desc() for column in self.order))


def among(
    connection: sa.Connection, column: sa.ColumnElement[str], ids: Sequence[str]
) -> sa.ColumnElement[bool]:
    """Returns the condition that the column has one of the ids: one parameter, as parsing a long list is slow."""
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.literal(list(ids), sa.ARRAY(column.type)))
    listed = sa.func.json_each(json.dumps(list(ids))).table_valued("value")
    return column.in_(sa.select(listed.c.value))


def looked_up(
    connection: sa.Connection, order: Columns, where: Sequence[sa.ColumnElement[bool]], limit: int
) -> list[Key]:
    """Returns the newest keys of the rows that `where` selects by id.

    Sorted outside of the selection: both databases would otherwise scan all entries in the order of the list, and compare each.
    """
    named = sa.select(*order).where(*where).offset(as_literal(0)).subquery()
    columns = [named.c[column.name] for column in order]
    chosen = sa.select(*columns).order_by(*(column.desc() for column in columns)).limit(as_literal(limit))
    return _keys(connection, chosen, len(order))


def merged(found: Iterable[Found], limit: int) -> Found:
    """Returns at most `limit` keys of all results in their order, no further than every scan has read."""
    every = list(found)
    horizon = max((one.horizon for one in every if one.horizon is not None), default=None)
    keys = heapq.merge(*(one.keys for one in every), reverse=True)
    within = (key for key in keys if horizon is None or key >= horizon)
    first = list(islice(within, limit))
    return Found(first, None if len(first) == limit else horizon)


def filled(find: Callable[[KeyRange, int], Found], bounds: KeyRange, limit: int) -> Found:
    """Repeats `find` until there are `limit` keys, the end is reached, or PATIENCE is over; returns all keys."""
    ends_at = time.monotonic() + PATIENCE
    keys: list[Key] = []
    while True:
        began = time.monotonic()
        found = find(bounds, limit - len(keys))
        keys += found.keys
        now = time.monotonic()
        # A further query takes about as long as this one.
        if len(keys) >= limit or found.horizon is None or now + (now - began) > ends_at:
            return Found(keys, found.horizon)
        bounds = replace(bounds, after=found.horizon)


def beyond_page(found: Found) -> Beyond:
    """Returns the count of a query for MOST_COUNTED + 1 keys after a page."""
    count = min(len(found.keys), MOST_COUNTED)
    return Beyond(count, exact=found.horizon is None and len(found.keys) <= MOST_COUNTED)


def run_all(connection: sa.Connection, scans: Sequence[Scan], bounds: KeyRange, limit: int) -> Found:
    """Returns at most `limit` keys of all scans, which share the budget."""
    # Of the scans for one status each, rarely more than two have many entries to read.
    budget = BUDGET // min(2, max(1, len(scans)))
    return merged((scan.run(connection, bounds, limit, budget) for scan in scans), limit)


def distinct(
    connection: sa.Connection, column: sa.ColumnElement[str], *where: sa.ColumnElement[bool], most: int
) -> list[str]:
    """Returns the values of a column, at most `most`; see `distinct_values`."""
    value = distinct_values(column, *where, most=most).c.value
    return list(connection.scalars(sa.select(value).where(value.is_not(None))))


def distinct_values(
    column: sa.ColumnElement[str], *where: sa.ColumnElement[bool] | sa.TextClause, most: int
) -> sa.CTE:
    """Returns the values of a column as a table with the column `value`, the last of which is NULL: each is found from the
    previous one in the index that begins with the column.

    In one statement: on a busy machine each of many statements would have to wait.
    """
    began = sa.select(_smallest(column, where).label("value"))
    steps = began.add_columns(sa.literal_column("1", sa.Integer).label("number"))
    found = steps.cte("found", recursive=True)
    value, number = found.c.value, found.c.number
    beyond = _smallest(column, (*where, column > value), of=found)
    further = sa.select(beyond, number + sa.literal_column("1")).where(
        value.is_not(None), number < as_literal(most)
    )
    return found.union_all(further)


def _smallest(
    column: sa.ColumnElement[str],
    where: Sequence[sa.ColumnElement[bool] | sa.TextClause],
    of: sa.CTE | None = None,
) -> sa.ScalarSelect[str]:
    """Returns the subquery of the smallest value; `of`: the table from which the conditions take values."""
    chosen = sa.select(column).where(sa.and_(True, *where)).order_by(column).limit(as_literal(1))
    return (chosen if of is None else chosen.correlate(of)).scalar_subquery()


def _keys(connection: sa.Connection, statement: sa.Select[Any], size: int) -> list[Key]:
    return [tuple(row[:size]) for row in connection.execute(statement)]


def as_literal(value: int) -> sa.ColumnElement[int]:
    """Returns a literal, so that PostgreSQL plans for its value: for a parameter it assumes a tenth of the table."""
    return sa.literal_column(str(int(value)))


# The conversion between times and ids: a UUIDv7 begins with the millisecond of its creation.


_LAST = (1 << 48) - 1


def first_id(at: float | None) -> str | None:
    """Returns the least id of that Unix time or later; None for None."""
    if at is None:
        return None
    # Seconds with three decimals are rarely exact as a float: 0.123 must not become the 124th millisecond.
    milliseconds = math.ceil(round(min(max(at, 0.0), _LAST) * 1000, 3))
    return str(UUID(int=min(milliseconds, _LAST) << 80))


def as_id(text: str) -> str | None:
    """Returns the id in the form of the database; None for text that is not a UUID."""
    try:
        found = str(UUID(text))
    except ValueError:
        return None
    return found if found == text.lower() else None


# The events of one type over all sources: their index begins with the source, of which there are few.


ORDER = (events.c.id,)
_MOST_SOURCES = 100
_MOST_TYPES = 50
_ROW = 20
"""Cost of reading a row, relative to an index entry."""


def scans_of_type(connection: sa.Connection, kind: str) -> list[Scan]:
    """Returns one scan for each source."""
    c, stored = events.c, storable(kind)
    sources = distinct(connection, c.source, most=_MOST_SOURCES)
    return [Scan(ORDER, (c.source == source, c.type == stored)) for source in sources]


def scans_of_source(connection: sa.Connection, source: str, kind: str | None) -> list[Scan]:
    """Returns the scans of a source by event type; a source with very many types is frequent, so it is found by a scan of all
    events.
    """
    c, stored = events.c, storable(source)
    if kind is not None:
        return [Scan(ORDER, (c.source == stored, c.type == storable(kind)))]
    types = distinct(connection, c.type, c.source == stored, most=_MOST_TYPES + 1)
    if len(types) > _MOST_TYPES:
        return [Scan(ORDER, (), [equals(c.source, stored)], cost=_ROW)]
    return [Scan(ORDER, (c.source == stored, c.type == each)) for each in types]


def batches_of(
    connection: sa.Connection, scans: Sequence[Scan], bounds: KeyRange, sizes: tuple[int, ...]
) -> Iterator[list[str]]:
    """Yields ids of the events of these scans, newest first, in batches of these sizes; a batch shorter than its size is the last.

    `bounds.after` is the key of a delivery: the events are those after its event.
    """
    after = bounds.after and bounds.after[:1]
    for size in sizes:
        found = run_all(connection, scans, KeyRange(after, bounds.since, bounds.until), size)
        yield [key[0] for key in found.keys]
        after = found.keys[-1] if found.keys else after
