"""Lists of deliveries: what fits, the newest first, page after page."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from bridge.core.delivery import Delivery, Record, Status
from bridge.core.records import DeliveryFilter, KnownDelivery, LastAttempt
from bridge.db import scan
from bridge.history import deliveries
from bridge.history.history import SqlHistory
from tests.support.records import NOW, a_delivery, an_attempt, an_event, delivered, new_id, waiting

HOOKS = ("crm", "erp", "shop")
TYPES = ("customers.edit", "customers.create", "voice.call")


def _record(number: int, delivery: Delivery) -> Record:
    status = list(Status)[number % 5]
    attempt = None if status is Status.PENDING else an_attempt(1, at=NOW + number)
    return Record(delivery, "webhook", status, "", NOW + number, attempt)


@pytest.fixture
async def stored(history: SqlHistory) -> list[Record]:
    """60 events with one to three deliveries, two events in each second."""
    records = []
    for number in range(60):
        event = an_event(
            NOW + number // 2, type=TYPES[(number // 4) % 3], source="splynx" if number % 3 else "phlix"
        )
        some = [a_delivery(event, hook=hook) for hook in HOOKS[: 1 + number % 3]]
        records += [_record(number + extra, one) for extra, one in enumerate(some)]
    assert await history.commit(records) == []
    return records


def _expected(records: Sequence[Record], which: DeliveryFilter) -> list[str]:
    fitting = [record for record in records if _fits(record, which)]
    if which.by_update:
        fitting.sort(key=lambda record: (record.at, record.delivery.id), reverse=True)
    else:
        fitting.sort(key=lambda record: (record.delivery.event.id, record.delivery.id), reverse=True)
    return [record.delivery.id for record in fitting]


def _fits(record: Record, which: DeliveryFilter) -> bool:
    event = record.delivery.event
    return (
        which.hook in (None, record.delivery.hook)
        and (not which.statuses or record.status in which.statuses)
        and which.event_type in (None, event.type)
        and which.event_id in (None, event.id)
        and (which.since is None or event.received_at >= which.since)
        and (which.until is None or event.received_at < which.until)
        and (which.updated_since is None or record.at >= which.updated_since)
        and (which.updated_until is None or record.at < which.updated_until)
    )


async def _all_pages(records: SqlHistory, which: DeliveryFilter, limit: int) -> list[KnownDelivery]:
    found: list[KnownDelivery] = []
    after: str | None = None
    for _ in range(1000):
        page = await records.deliveries(which, after=after, limit=limit)
        assert len(page.items) <= limit
        found += page.items
        after = page.next
        if after is None:
            return found
    raise AssertionError("the list has no end")


def _filters(records: Sequence[Record]) -> list[DeliveryFilter]:
    spans: list[dict[str, Any]] = [
        {},
        {"since": NOW + 5},
        {"until": NOW + 25},
        {"since": NOW + 7, "until": NOW + 21.5},
    ]
    statuses = [(), ("FAILED",), ("PENDING", "RETRYING"), tuple(Status)]
    events = (None, records[7].delivery.event.id)
    return [
        DeliveryFilter(hook, frozenset(map(Status, some)), kind, event, **span)
        for hook, some, kind, event, span in product(
            (None, "shop", "unknown"), statuses, (None, TYPES[1], "unknown"), events, spans
        )
    ]


async def test_every_filter_gives_what_fits_page_after_page(history: SqlHistory, stored: list[Record]):
    for number, which in enumerate(_filters(stored)):
        found = await _all_pages(history, which, limit=(7, 50, 1000)[number % 3])
        assert [item.id for item in found] == _expected(stored, which), which


UPDATED: Sequence[dict[str, Any]] = (
    {},
    {"updated_since": NOW + 20},
    {"updated_since": NOW + 10, "updated_until": NOW + 50, "since": NOW + 7},
)
"""Spans of the final time, one of them beside one of the receipt."""


def _filters_by_update(records: Sequence[Record]) -> list[DeliveryFilter]:
    return [
        replace(which, by_update=True, **span) for which, span in product(_filters(records)[::4], UPDATED)
    ]


@pytest.mark.parametrize("few", [0, 5, 2000])
async def test_every_filter_gives_what_fits_in_the_order_in_which_it_became_final(
    history: SqlHistory, stored: list[Record], few: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(deliveries, "FEW", few)
    for number, which in enumerate(_filters_by_update(stored)):
        found = await _all_pages(history, which, limit=(7, 50, 1000)[number % 3])
        assert [item.id for item in found] == _expected(stored, which), which


async def test_pages_in_the_order_of_the_final_time_that_end_early_leave_nothing_out(
    history: SqlHistory, stored: list[Record], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scan, "BUDGET", 20)
    monkeypatch.setattr(scan, "PATIENCE", 0.0)
    monkeypatch.setattr(deliveries, "FEW", 0)
    for number, which in enumerate(_filters_by_update(stored)):
        found = await _all_pages(history, which, limit=(1, 3, 20)[number % 3])
        assert [item.id for item in found] == _expected(stored, which), which


async def test_what_was_received_long_ago_and_failed_just_now_comes_first(history: SqlHistory):
    old, young = a_delivery(an_event(NOW)), a_delivery(an_event(NOW + 50))
    await history.commit([waiting(old), delivered(young, at=NOW + 51)])
    failed = Record(old, "webhook", Status.FAILED, "status", NOW + 99, an_attempt(outcome="status", code=500))
    await history.commit([failed])

    by_update = await history.deliveries(DeliveryFilter(by_update=True), after=None, limit=9)
    lately = DeliveryFilter(by_update=True, updated_since=NOW + 60)

    assert [item.id for item in by_update.items] == [old.id, young.id]
    assert [item.id for item in (await history.deliveries(lately, after=None, limit=9)).items] == [old.id]


async def test_a_cursor_of_one_order_is_none_of_the_other(history: SqlHistory, stored: list[Record]):
    page = await history.deliveries(DeliveryFilter(by_update=True), after=None, limit=1)

    with pytest.raises(ValueError, match="cursor"):
        await history.deliveries(DeliveryFilter(), after=page.next, limit=1)


async def test_successes_are_listed_by_their_hooks_or_where_these_are_many_among_all(
    history: SqlHistory, stored: list[Record], monkeypatch: pytest.MonkeyPatch
):
    for most in (50, 1):
        monkeypatch.setattr(deliveries, "_MOST_HOOKS", most)
        for kind in (None, TYPES[0]):
            which = DeliveryFilter(statuses=frozenset({Status.SUCCESS}), event_type=kind)
            found = await _all_pages(history, which, limit=7)
            assert [item.id for item in found] == _expected(stored, which), which


async def test_what_comes_behind_a_page_is_counted_up_to_a_bound(
    history: SqlHistory, stored: list[Record], monkeypatch: pytest.MonkeyPatch
):
    for which in (DeliveryFilter(), DeliveryFilter(by_update=True), DeliveryFilter(hook="crm")):
        page = await history.deliveries(which, after=None, limit=10)
        assert page.next is not None
        told = await history.deliveries_beyond(which, after=page.next)
        assert (told.count, told.exact) == (len(_expected(stored, which)) - 10, True)

    assert page.next is not None
    monkeypatch.setattr(scan, "MOST_COUNTED", 15)
    told = await history.deliveries_beyond(which, after=page.next)
    assert (told.count, told.exact) == (15, False)


async def test_pages_that_end_early_leave_nothing_out(
    history: SqlHistory, stored: list[Record], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scan, "BUDGET", 20)
    monkeypatch.setattr(scan, "PATIENCE", 0.0)
    monkeypatch.setattr(deliveries, "BATCHES", (2, 3, 4))

    for number, which in enumerate(_filters(stored)):
        found = await _all_pages(history, which, limit=(1, 3, 20)[number % 3])
        assert [item.id for item in found] == _expected(stored, which), which


async def test_a_list_tells_all_that_is_known_of_a_delivery(history: SqlHistory):
    event = an_event(type="customers.edit")
    delivery = a_delivery(event, attempt=2)
    record = Record(delivery, "webhook", Status.RETRYING, "status", NOW + 3, an_attempt(2), NOW + 60)
    await history.commit([record])

    page = await history.deliveries(DeliveryFilter(), after=None, limit=10)

    expected = KnownDelivery(
        delivery.id, event.id, "customers.edit", "crm", "webhook", Status.RETRYING, "status",
        generation=1, attempts=2, created_at=NOW, updated_at=NOW + 3, next_attempt_at=NOW + 60,
        last=LastAttempt(NOW, 12.5, "delivered", 200, ""),
    )  # fmt: skip
    assert page.items == (expected,)
    assert page.next is None


async def test_what_arrives_meanwhile_does_not_move_the_next_page(history: SqlHistory, stored: list[Record]):
    first = await history.deliveries(DeliveryFilter(), after=None, limit=10)
    await history.commit([delivered(a_delivery(an_event(NOW + 99)))])

    second = await history.deliveries(DeliveryFilter(), after=first.next, limit=10)

    expected = _expected(stored, DeliveryFilter())
    assert [item.id for item in (*first.items, *second.items)] == expected[:20]


async def test_a_delivery_that_ends_is_found_by_its_new_status(history: SqlHistory):
    delivery = a_delivery()
    await history.commit([waiting(delivery)])
    await history.commit([delivered(delivery, at=NOW + 1)])

    async def ids(status: Status) -> list[str]:
        which = DeliveryFilter(hook="crm", statuses=frozenset([status]))
        return [item.id for item in (await history.deliveries(which, after=None, limit=10)).items]

    assert await ids(Status.PENDING) == []
    assert await ids(Status.SUCCESS) == [delivery.id]


@pytest.mark.parametrize("at", [1_746_428_889.123, 1_746_428_889.999, 1_746_428_889.001])
async def test_a_span_begins_with_its_first_millisecond_and_ends_before_its_last(
    history: SqlHistory, at: float
):
    record = delivered(a_delivery(an_event(at)))
    await history.commit([record])

    async def count(**span: Any) -> int:
        return len((await history.deliveries(DeliveryFilter(**span), after=None, limit=10)).items)

    assert await count(since=at) == 1
    assert await count(since=at + 0.001) == 0
    assert await count(until=at) == 0
    assert await count(until=at + 0.001) == 1
    assert await count(since=-1e30, until=1e30) == 1


@pytest.mark.parametrize(
    "after", ["", "x", "AAAA", "ä", "?" * 60, "\0", "a" * 10_000, "00000000-0000-0000-0000-000000000000"]
)
async def test_a_cursor_that_is_none_is_refused(history: SqlHistory, after: str):
    with pytest.raises(ValueError, match="cursor"):
        await history.deliveries(DeliveryFilter(), after=after, limit=10)


async def test_a_cursor_that_was_changed_is_refused(history: SqlHistory, stored: list[Record]):
    page = await history.deliveries(DeliveryFilter(), after=None, limit=1)
    assert page.next is not None

    for place in range(len(page.next)):
        changed = page.next[:place] + ("A" if page.next[place] != "A" else "B") + page.next[place + 1 :]
        with pytest.raises(ValueError, match="cursor"):
            await history.deliveries(DeliveryFilter(), after=changed, limit=1)


async def test_all_attempts_of_all_generations_are_told_in_order(history: SqlHistory):
    delivery = a_delivery()
    await history.commit(
        [
            Record(
                a_delivery(delivery.event, id=delivery.id, generation=generation, attempt=number),
                "webhook", Status.RETRYING, "status", NOW, an_attempt(number, at=NOW + number, code=500),
            )
            for generation, number in ((2, 1), (1, 2), (2, 10), (1, 1), (2, 2))
        ]
    )  # fmt: skip

    found = await history.delivery(delivery.id.upper())

    assert found is not None
    known, tried = found
    assert (known.id, known.generation, known.attempts) == (delivery.id, 2, 10)
    assert [(one.generation, one.number) for one in tried] == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 10)]
    assert tried[0].status_code == 500
    assert (tried[0].started_at, tried[0].duration_ms, tried[0].response) == (NOW + 1, 12.5, "ok")


@pytest.mark.parametrize("name", ["", "dlv_1", "\0", "\ud800", "{%s}", "urn:uuid:%s", "' OR 1=1 --"])
async def test_what_is_no_id_is_nobody(history: SqlHistory, name: str):
    name = name.replace("%s", new_id())

    assert await history.delivery(name) is None
    assert await history.event(name) is None
    assert (await history.deliveries(DeliveryFilter(event_id=name), after=None, limit=9)).items == ()


async def test_an_id_that_nobody_has_is_nobody(history: SqlHistory):
    assert await history.delivery(new_id()) is None
    assert await history.event(new_id()) is None


@pytest.mark.parametrize("text", ["", "a\0b", "\ud800", "%", "'; DROP TABLE deliveries; --", "x" * 5000])
async def test_any_text_may_be_asked_for(history: SqlHistory, stored: list[Record], text: str):
    for which in (DeliveryFilter(hook=text), DeliveryFilter(event_type=text)):
        assert (await history.deliveries(which, after=None, limit=9)).items == ()


async def test_a_page_is_full_though_each_look_ends_early(
    history: SqlHistory, stored: list[Record], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scan, "BUDGET", 4)
    monkeypatch.setattr(scan, "PATIENCE", 10.0)
    which = DeliveryFilter(hook="shop", event_type=TYPES[1])

    page = await history.deliveries(which, after=None, limit=3)

    assert [item.id for item in page.items] == _expected(stored, which)[:3]
