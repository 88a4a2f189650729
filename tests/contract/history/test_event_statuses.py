"""Every event is accounted for: lists tell what came of each, and find those of which one thing came."""

import pytest

from bridge.core.delivery import Status, Unmatched
from bridge.core.records import EventFilter, EventStatus, KnownEvent, Page
from bridge.db import scan
from bridge.history import events
from bridge.history.history import SqlHistory
from tests.support.records import NOW, a_delivery, an_event, delivered, waiting

KINDS = ("matched", "unmatched", "skipped", "matched and skipped")


@pytest.fixture
async def stored(history: SqlHistory) -> dict[str, str]:
    """What came of events, by id, the newest first; seven of each kind."""
    made = [(an_event(NOW + number), KINDS[number % len(KINDS)]) for number in range(7 * len(KINDS))]
    for event, kind in made:
        if kind == "unmatched":
            await history.commit([Unmatched(event)])
        if "skipped" in kind:
            await history.commit([waiting(a_delivery(event), Status.SKIPPED)])
        if kind.startswith("matched"):
            await history.commit([delivered(a_delivery(event, hook="erp"))])
    return {event.id: kind.partition(" ")[0] for event, kind in reversed(made)}


async def _all(history, which, limit):
    found = []
    after = None
    for _ in range(100):
        page = await history.events(which, after=after, limit=limit)
        found += page.items
        after = page.next
        if after is None:
            return found
    raise AssertionError("the list has no end")


async def test_a_list_tells_what_came_of_each_event(history, stored):
    found = await _all(history, EventFilter(), 5)

    assert {event.id: event.status for event in found} == stored


@pytest.mark.parametrize("looked_at", [2, 500])
@pytest.mark.parametrize("status", list(EventStatus))
async def test_events_are_found_by_what_came_of_them(history, stored, monkeypatch, status, looked_at):
    monkeypatch.setattr(events, "_LOOKED_AT", looked_at)

    found = await _all(history, EventFilter(status=status), 3)

    assert [event.id for event in found] == [key for key, kind in stored.items() if kind == status]
    assert {event.status for event in found} == {status}


async def test_the_other_filters_hold_beside(history, stored):
    newest = await _all(
        history, EventFilter(status=EventStatus.UNMATCHED, since=NOW + 10, source="splynx"), 50
    )
    none = await _all(history, EventFilter(status=EventStatus.UNMATCHED, source="phlix"), 50)

    assert [event.received_at for event in newest] == [NOW + 25, NOW + 21, NOW + 17, NOW + 13]
    assert none == []


@pytest.mark.parametrize("status", list(EventStatus))
async def test_a_page_is_full_while_the_list_goes_on(history, stored, monkeypatch, status):
    monkeypatch.setattr(events, "_LOOKED_AT", 1)
    monkeypatch.setattr(scan, "PATIENCE", 10.0)

    page = await history.events(EventFilter(status=status), after=None, limit=5)

    assert len(page.items) == 5
    assert page.next is not None


async def test_a_page_ends_when_its_time_is_up_and_the_next_goes_on(history, stored, monkeypatch):
    monkeypatch.setattr(events, "_LOOKED_AT", 1)
    monkeypatch.setattr(scan, "PATIENCE", 0.0)

    pages: list[Page[KnownEvent]] = []
    after = None
    while after is not None or not pages:
        page = await history.events(EventFilter(status=EventStatus.SKIPPED), after=after, limit=5)
        pages.append(page)
        after = page.next

    assert sum(len(page.items) for page in pages) == 7
    assert any(not page.items and page.next for page in pages)
