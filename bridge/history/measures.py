"""What sources measure, written: events and numbers by day and key, and all events together by hour too."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from bridge.core.delivery import Counted
from bridge.db.admin_tables import measures
from bridge.db.text import storable
from bridge.db.upserts import add
from bridge.measuring.dimensions import counted_at, key_of, number_of
from bridge.measuring.spans import DAY, HOUR, Step, floor

ALL_EVENTS = ""
"""In place of a dimension: all events together. In place of a measure: how many events."""
OTHER = ""
"""In place of a key and an event type: those of a day that came when there were MOST_KEYS of them already."""
MOST_KEYS = 2000
"""Pairs of event type and key that a dimension has on one day; what is beyond is counted as OTHER."""
_DAYS_KNOWN = 64
_STEPS: tuple[Step, ...] = (DAY, HOUR)

Place = tuple[str, str, int]
"""Source, dimension and day."""
Pair = tuple[str, str]
"""Event type and key."""
Key = tuple[int, str, str, str, int, str, str]
"""The columns of the table's primary key."""


class MeasuresWriter:
    """Adds to the measures, within the transactions of one database; knows which keys there are already."""

    def __init__(self) -> None:
        self._known: dict[Place, set[Pair]] = {}

    def add(self, connection: Connection, counted: Sequence[Counted]) -> None:
        """Add what these events came to."""
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
    """Count one event, and its numbers."""
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
