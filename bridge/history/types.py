"""The queries for the types of events in the history, each found in an index."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, literal_column, select

from bridge.core.base import value
from bridge.db.engine import Reads, Store
from bridge.db.scan import as_literal, distinct, distinct_values
from bridge.db.tables import events
from bridge.history.retention import time_of

MOST_COUNTED = 500
"""Maximum events of a type and source that are counted."""
_MOST_SOURCES = 100
_MOST_TYPES = 500


@value(frozen=True, slots=True)
class SeenType:
    """The events of a type: from which sources, how many, and the Unix time at which the last was received.

    `exact` False: there are more.
    """

    type: str
    sources: tuple[str, ...]
    count: int
    exact: bool
    last_at: float

    def with_more(self, other: "SeenType") -> "SeenType":
        """Returns the type with its events from further sources."""
        sources, count = (*self.sources, *other.sources), self.count + other.count
        exact = self.exact and other.exact
        return SeenType(self.type, sources, count, exact, max(self.last_at, other.last_at))


def names(connection: Connection) -> list[str]:
    """Returns the types of events alone, up to a limit for each source."""
    found: dict[str, None] = {}
    for source in distinct(connection, events.c.source, most=_MOST_SOURCES):
        found |= dict.fromkeys(
            distinct(connection, events.c.type, events.c.source == source, most=_MOST_TYPES)
        )
    return list(found)


def _seen(connection: Connection) -> Mapping[str, SeenType]:
    """Returns the types of events, up to a limit for each source."""
    found: dict[str, SeenType] = {}
    for source in distinct(connection, events.c.source, most=_MOST_SOURCES):
        for each in _of_source(connection, source):
            known = found.get(each.type)
            found[each.type] = each if known is None else known.with_more(each)
    return found


def _of_source(connection: Connection, source: str) -> list[SeenType]:
    c = events.c
    kind = distinct_values(c.type, c.source == source, most=_MOST_TYPES).c.value
    of_type = select(c.id).where(c.source == source, c.type == kind)
    some = of_type.limit(as_literal(MOST_COUNTED + 1)).correlate(kind.table).subquery()
    counted = select(func.count(literal_column("1"))).select_from(some).scalar_subquery()
    newest = of_type.order_by(c.id.desc()).limit(as_literal(1)).correlate(kind.table).scalar_subquery()
    rows = connection.execute(select(kind, counted, newest).where(kind.is_not(None)))
    return [
        SeenType(one, (source,), min(count, MOST_COUNTED), count <= MOST_COUNTED, time_of(str(last)))
        for one, count, last in rows
    ]


class SqlEventTypes(Store):
    """The store that reads the types of events. Each method raises HistoryUnavailable."""

    seen = Reads(_seen)
    names = Reads(names)
