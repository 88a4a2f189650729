"""The types of events that the history has, and lists of events of several types."""

from typing import Any

import pytest

from bridge.core.delivery import Unmatched
from bridge.core.records import EventFilter
from bridge.history import events
from bridge.history.history import SqlHistory
from bridge.history.types import SeenType, SqlEventTypes
from tests.support.records import NOW, an_event

TYPES = ("customers.edit", "customers.create", "voice.call")


async def commit(history: SqlHistory, number: int, **fields: Any) -> str:
    event = an_event(NOW + number, **fields)
    assert await history.commit([Unmatched(event)]) == []
    return event.id


async def test_types_are_told_with_sources_counts_and_the_last_time(history: SqlHistory):
    for number, (kind, source) in enumerate((("a", "one"), ("a", "two"), ("b", "one"), ("a", "one"))):
        await commit(history, number, type=kind, source=source)

    found = await SqlEventTypes(history.engine).seen()

    assert found == {
        "a": SeenType("a", ("one", "two"), 3, exact=True, last_at=NOW + 3),
        "b": SeenType("b", ("one",), 1, exact=True, last_at=NOW + 2),
    }


async def test_an_empty_history_has_no_types(history: SqlHistory):
    assert await SqlEventTypes(history.engine).seen() == {}


@pytest.mark.parametrize("most", [0, 50])
@pytest.mark.parametrize("source", [None, "two"])
async def test_events_of_several_types_come_the_newest_first(
    history: SqlHistory, most: int, source: str | None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "_MOST_TYPES", most)
    ids = [
        await commit(history, number, type=TYPES[number % 3], source=("one", "two")[number % 2])
        for number in range(12)
    ]
    which = EventFilter(types=frozenset({*TYPES[:2], "unknown"}), source=source)
    expected = [ids[n] for n in reversed(range(12)) if n % 3 < 2 and (source is None or n % 2)]

    first = await history.events(which, after=None, limit=3)
    rest = await history.events(which, after=first.next, limit=50)

    assert [each.id for each in (*first.items, *rest.items)] == expected
    assert (await history.events(EventFilter(types=frozenset()), after=None, limit=9)).items == ()
