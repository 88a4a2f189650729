"""Lists of events and of the quarantine, and each of them alone as it was."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from bridge.core.delivery import Counted, Status, Unmatched
from bridge.core.event import Event, Message
from bridge.core.records import EventFilter, EventStatus, KnownEvent
from bridge.db import scan
from bridge.history.history import SqlHistory
from tests.support.events import NASTY_BODIES
from tests.support.records import (
    NOW,
    a_delivery,
    an_attempt,
    an_event,
    days_ago,
    delivered,
    look,
    waiting,
)

TYPES = ("customers.edit", "customers.create", "voice.call")
LONG_ID = "urn:" + "x" * 300


@pytest.fixture
async def stored(history: SqlHistory) -> list[Event]:
    found = [
        an_event(
            NOW + number // 2,
            type=TYPES[(number // 4) % 3],
            source="splynx" if number % 3 else "phlix",
            publisher_id=(None, f"m-{number % 13}", LONG_ID)[number % 3],
        )
        for number in range(60)
    ]
    await history.commit([Unmatched(one) for one in found])
    return found


def _expected(stored: Sequence[Event], which: EventFilter) -> list[str]:
    fitting = [
        one.id
        for one in stored
        if which.source in (None, one.source)
        and which.type in (None, one.type)
        and which.publisher_id in (None, one.publisher_id)
        and (which.since is None or one.received_at >= which.since)
        and (which.until is None or one.received_at < which.until)
    ]
    return sorted(fitting, reverse=True)


async def _all_pages(records: SqlHistory, which: EventFilter, limit: int) -> list[KnownEvent]:
    found: list[KnownEvent] = []
    after: str | None = None
    for _ in range(1000):
        page = await records.events(which, after=after, limit=limit)
        assert len(page.items) <= limit
        found += page.items
        after = page.next
        if after is None:
            return found
    raise AssertionError("the list has no end")


def _filters() -> list[EventFilter]:
    spans: list[dict[str, Any]] = [{}, {"since": NOW + 7, "until": NOW + 21.5}]
    publishers = (None, "m-1", LONG_ID, "", "m-99")
    return [
        EventFilter(source, kind, publisher, **span)
        for source, kind, publisher, span in product(
            (None, "splynx", "unknown"), (None, TYPES[1], "unknown"), publishers, spans
        )
    ]


@pytest.mark.parametrize("bounded", [False, True])
async def test_every_filter_gives_what_fits_page_after_page(
    history: SqlHistory, stored: list[Event], monkeypatch: pytest.MonkeyPatch, bounded: bool
):
    if bounded:
        monkeypatch.setattr(scan, "BUDGET", 100)
        monkeypatch.setattr(scan, "PATIENCE", 0.0)
        monkeypatch.setattr(scan, "_MOST_TYPES", 1)

    for number, which in enumerate(_filters()):
        found = await _all_pages(history, which, limit=(3, 7, 1000)[number % 3])
        assert [item.id for item in found] == _expected(stored, which), which


async def test_an_event_is_told_with_its_deliveries(history: SqlHistory):
    event = an_event()
    some = [a_delivery(event, hook=hook) for hook in ("crm", "erp")]
    await history.commit([delivered(one) for one in some])
    await history.commit([delivered()])

    found = await history.event(event.id)

    assert found is not None
    assert found[0].id == event.id
    assert [one.id for one in found[1]] == sorted((one.id for one in some), reverse=True)


@pytest.mark.parametrize("body", NASTY_BODIES.values(), ids=NASTY_BODIES)
async def test_an_event_is_told_with_its_bytes(history: SqlHistory, body: bytes):
    event = an_event(body=body)
    await history.commit([Unmatched(event)])

    found = await history.event(event.id)

    assert found is not None
    assert found[0].message.body == body


HEADERS: dict[str, Any] = {
    "text": "naïve", "nul": "a\0b", "half": "\ud800", "backslash": "C:\\x00", "none": None, "yes": True,
    "big": 2**70, "float": 1.5, "infinite": float("inf"), "bytes": b"\xff\0", "decimal": Decimal("1.50"),
    "at": datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC), "list": [1, [b"x"], {"a": b"y"}],
    "table": {"$bytes": "no bytes", "other": {"$decimal": "x"}}, "looks": {"$float": "nan"},
    "nested": {"$table": {"$bytes": 1}},
}  # fmt: skip


async def test_an_event_is_told_as_it_was(history: SqlHistory):
    message = Message(
        b"{}", exchange="ex\0", routing_key="a\\b\0", headers=HEADERS, content_type="a/b", content_encoding="gzip",
        correlation_id="c\0", message_id="m\ud800", app_id="app", type="t",
        timestamp=datetime(2025, 5, 5, 7, 8, 9, tzinfo=UTC), redelivered=True,
    )  # fmt: skip
    event = Event(
        an_event().id, "splynx", "type\0", "json", NOW, message, {"parsed": 1}, "2025-05-05T07:08:09Z", "p\0\\x00",
        "web\ud800master", "wh_1",
    )  # fmt: skip
    await history.commit([delivered(a_delivery(event))])

    found = await history.event(event.id)

    assert found is not None
    assert found[0] == KnownEvent(
        event.id, "splynx", "type\0", "json", "p\0\\x00", "wh_1", "2025-05-05T07:08:09Z", NOW,
        "web\ud800master", message,
    )  # fmt: skip
    assert found[1][0].event_type == "type\0"
    by_id = await history.events(EventFilter(type="type\0", publisher_id="p\0\\x00"), after=None, limit=9)
    small = Message(b"", exchange="ex\0", routing_key="a\\b\0")
    counts = {Status.SUCCESS: 1}
    expected = replace(found[0], message=small, status=EventStatus.MATCHED, counts=counts)
    assert by_id.items == (expected,)


async def test_a_message_without_properties_is_told_without(history: SqlHistory):
    event = Event(an_event().id, "splynx", "a.b", "json", NOW, Message(b""))
    await history.commit([Unmatched(event)])

    found = await history.event(event.id)

    assert found is not None
    assert found[0].message == event.message


@pytest.mark.parametrize(
    ("response", "told"), [(b"a\0b\\x00", "a\0b\\x00"), (b"\xff\\", "\\xff\\"), ("é".encode(), "é")]
)
async def test_an_answer_is_told_as_it_was(history: SqlHistory, response: bytes, told: str):
    delivery = a_delivery()
    record = delivered(delivery, response=response, error="why\0\ud800")
    await history.commit([record])

    found = await history.delivery(delivery.id)

    assert found is not None
    assert (found[1][0].response, found[1][0].error) == (told, "why\0\ud800")


async def test_an_attempt_without_a_code_has_none(history: SqlHistory):
    delivery = a_delivery()
    await history.commit([delivered(delivery, code=None, outcome="timeout")])

    found = await history.delivery(delivery.id)

    assert found is not None
    assert (found[1][0].status_code, found[1][0].outcome) == (None, an_attempt(outcome="timeout").outcome)


# ---- by what receivers and people know them by ------------------------------------------------------------


async def test_an_event_is_found_by_the_id_that_receivers_see_whether_it_is_its_own_or_not(
    history: SqlHistory, stored: list[Event]
):
    own = an_event(NOW + 70)
    own = replace(own, webhook_id=own.id)
    derived = an_event(NOW + 71, publisher_id="m-1", webhook_id="msg_2KWPBgLlAfxdpx2AI54pPJ85f4W")
    twin = an_event(NOW + 72, publisher_id="m-2", webhook_id=derived.webhook_id, source="phlix")
    await history.commit([Unmatched(one) for one in (own, derived, twin)])

    async def ids(**which: Any) -> list[str]:
        return [one.id for one in await _all_pages(history, EventFilter(**which), 1)]

    assert await ids(webhook_id=own.id) == [own.id]
    assert await ids(webhook_id=derived.webhook_id) == [twin.id, derived.id]
    assert await ids(webhook_id=derived.webhook_id, source="phlix") == [twin.id]
    assert await ids(webhook_id=derived.webhook_id, type="unknown") == []
    assert await ids(webhook_id="msg_nobody") == []
    assert await ids(webhook_id="") == []


async def test_events_are_found_by_their_dimensions_page_after_page(history: SqlHistory):
    found = [an_event(NOW + number, type=TYPES[number % 3]) for number in range(30)]
    values: list[dict[str, str | int | float | bool]] = [
        {"customer": str(number % 3), "amount": float(number % 2)} for number in range(30)
    ]
    entries = [Counted(one, each) for one, each in zip(found, values, strict=True)]
    await history.commit([*map(Unmatched, found), *entries])

    def expected(customer: int, kind: str | None = None, amount: int | None = None) -> list[str]:
        fitting = [
            one.id
            for number, one in enumerate(found)
            if number % 3 == customer and kind in (None, one.type) and amount in (None, number % 2)
        ]
        return sorted(fitting, reverse=True)

    async def ids(*dimensions: tuple[str, str], **which: Any) -> list[str]:
        asked = EventFilter(dimensions=dimensions, **which)
        return [one.id for one in await _all_pages(history, asked, 4)]

    assert await ids(("customer", "1")) == expected(1)
    assert await ids(("customer", "1"), ("amount", "0")) == expected(1, amount=0)
    assert await ids(("customer", "1"), type=TYPES[1]) == expected(1, TYPES[1])
    assert await ids(("customer", "1"), source="phlix") == []
    assert await ids(("customer", "17")) == []
    assert await ids(("customer", "1"), since=NOW + 10) == [one for one in expected(1) if one >= found[10].id]


async def test_what_an_event_is_found_by_goes_with_it(history: SqlHistory, history_url: str):
    old, young = an_event(days_ago(9)), an_event(days_ago(1))
    await history.commit(
        [Unmatched(old), Unmatched(young), *(Counted(one, {"c": "1"}) for one in (old, young))]
    )

    assert await history.prune(days_ago(7), 100) == 1

    assert [str(row[0]) for row in await look(history_url, "SELECT event_id FROM event_dimensions")] == [
        young.id
    ]


async def test_a_list_counts_the_deliveries_of_each_event_by_status(history: SqlHistory):
    event, alone = an_event(NOW), an_event(NOW + 1)
    await history.commit(
        [
            delivered(a_delivery(event, hook="crm")),
            delivered(a_delivery(event, hook="erp")),
            waiting(a_delivery(event, hook="shop")),
            Unmatched(alone),
        ]
    )

    page = await history.events(EventFilter(), after=None, limit=9)

    assert [dict(one.counts or {}) for one in page.items] == [{}, {Status.SUCCESS: 2, Status.PENDING: 1}]


async def test_whole_events_come_in_pages_of_so_many_bytes(history: SqlHistory):
    found = [an_event(NOW + number, body=b"x" * 100) for number in range(5)]
    await history.commit([Unmatched(one) for one in found])

    first = await history.whole_events(EventFilter(), after=None, limit=10, most_bytes=250)
    second = await history.whole_events(EventFilter(), after=first.next, limit=2, most_bytes=10_000)
    third = await history.whole_events(EventFilter(), after=second.next, limit=2, most_bytes=1)

    assert [one.id for page in (first, second, third) for one in page.items] == [
        one.id for one in found[::-1]
    ]
    assert [len(page.items) for page in (first, second, third)] == [2, 2, 1]
    assert first.items[0].message.body == b"x" * 100
    assert third.next is None
