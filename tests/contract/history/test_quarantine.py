"""Messages in quarantine, on both databases: listed, read whole, dropped."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from bridge.core.delivery import Quarantined
from bridge.core.event import Message
from bridge.core.records import EventFilter, QuarantineFilter
from bridge.history.history import SqlHistory
from bridge.quarantine.store import SqlQuarantine
from tests.support.records import NOW, delivered, in_quarantine, new_id

HEADERS = {"bytes": b"\xff", "decimal": Decimal("1.5"), "surrogate": "\ud800", "$table": {"n": 1}}


@pytest.fixture
def quarantine(history: SqlHistory) -> SqlQuarantine:
    return SqlQuarantine(history.engine)


async def kept(history: SqlHistory) -> list[Quarantined]:
    """Ten messages of two sources, for three reasons, a second apart."""
    reasons = ("undecodable", "too_large", "undecodable", "headers")
    entries = [
        in_quarantine(NOW + number, source=("splynx", "phlix")[number % 2], reason=reasons[number % 4])
        for number in range(10)
    ]
    await history.commit(entries)
    return entries


def fits(which: QuarantineFilter, entry: Quarantined) -> bool:
    return (
        which.source in (None, entry.source)
        and which.reason in (None, entry.reason)
        and (which.since is None or entry.at >= which.since)
        and (which.until is None or entry.at < which.until)
    )


FILTERS: Sequence[QuarantineFilter] = (
    QuarantineFilter(),
    QuarantineFilter(source="splynx"),
    QuarantineFilter(reason="undecodable"),
    QuarantineFilter(source="phlix", reason="headers"),
    QuarantineFilter(since=NOW + 3, until=NOW + 7),
    QuarantineFilter(source="splynx", since=NOW + 3),
    QuarantineFilter(source="unknown"),
    QuarantineFilter(reason="unknown"),
)
NAMES = ("all", "source", "reason", "source and reason", "span", "source and span", "no source", "no reason")


@pytest.mark.parametrize("which", FILTERS, ids=NAMES)
async def test_is_listed_newest_first_by_every_filter(
    history: SqlHistory, quarantine: SqlQuarantine, which: QuarantineFilter
) -> None:
    entries = await kept(history)
    expected = [one.id for one in reversed(entries) if fits(which, one)]
    found: list[str] = []
    after: str | None = None
    for _ in range(5):
        page = await quarantine.messages(which, after=after, limit=3)
        found += [item.id for item in page.items]
        after = page.next
        if after is None:
            break
    assert found == expected
    oldest = await quarantine.ids(which, "", 4)
    assert [*oldest, *await quarantine.ids(which, max(oldest, default=""), 100)][: len(expected)] == list(
        reversed(expected)
    )


async def test_is_told_as_it_was(history: SqlHistory, quarantine: SqlQuarantine) -> None:
    message = Message(b"\xff\0", exchange="a\0", headers=HEADERS, content_type="x/y")
    entry = in_quarantine(source="spl\0ynx", detail="bad \ud800 \\", message=message)
    await history.commit([entry])
    found = await quarantine.message(entry.id)
    assert found is not None
    told = (found.source, found.reason, found.detail, found.at)
    assert told == (entry.source, entry.reason, entry.detail, NOW)
    assert found.message == message
    page = await quarantine.messages(QuarantineFilter("spl\0ynx"), after=None, limit=1)
    assert page.items == (replace(found, message=Message(b"", exchange="a\0")),)


@pytest.mark.parametrize("name", ["", "no id", "01987a5c", "0" * 36])
async def test_there_is_nothing_with_an_id_that_can_be_none(quarantine: SqlQuarantine, name: str) -> None:
    assert await quarantine.message(name) is None
    assert await quarantine.drop([name]) == 0


async def test_only_those_that_are_named_are_dropped(history: SqlHistory, quarantine: SqlQuarantine) -> None:
    entries = await kept(history)
    assert await quarantine.drop([entries[0].id, entries[5].id, new_id()]) == 2
    assert await quarantine.drop([entries[0].id]) == 0
    assert await quarantine.drop([]) == 0
    left = await quarantine.messages(QuarantineFilter(), after=None, limit=20)
    assert {one.id for one in left.items} == {one.id for one in entries} - {entries[0].id, entries[5].id}


async def test_a_cursor_of_another_list_is_refused(history: SqlHistory, quarantine: SqlQuarantine) -> None:
    await history.commit([delivered(), delivered()])
    page = await history.events(EventFilter(), after=None, limit=1)
    with pytest.raises(ValueError, match="cursor"):
        await quarantine.messages(QuarantineFilter(), after=page.next, limit=1)
