"""Deliveries by their last attempt, reason, source and replay: as a look at every row would find them, page after page."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.delivery import Attempt, Record, Status
from bridge.core.records import DeliveryFilter, ReplayFilter
from bridge.history.history import SqlHistory
from bridge.replays.fates import Fates
from bridge.replays.store import SqlReplays
from tests.support.records import NOW, a_delivery, an_attempt, an_event, new_id
from tests.support.replays import LATER, a_replay, added, failed, failures, take_all


def _last(record: Record) -> Attempt:
    assert record.attempt is not None
    return record.attempt


FILTERS: dict[str, tuple[dict[str, Any], Callable[[Record], bool]]] = {
    "outcome": ({"outcome": "timeout"}, lambda record: _last(record).outcome == "timeout"),
    "code": ({"status_code": 503}, lambda record: _last(record).code == 503),
    "reason": ({"reason": "gone"}, lambda record: record.reason == "gone"),
    "source": ({"source": "phlix"}, lambda record: record.delivery.event.source == "phlix"),
    "both": (
        {"source": "phlix", "outcome": "status", "hook": "crm"},
        lambda record: (record.delivery.event.source, _last(record).outcome) == ("phlix", "status"),
    ),
    "failed by code": (
        {"statuses": frozenset({Status.FAILED}), "status_code": 500},
        lambda record: record.status is Status.FAILED and _last(record).code == 500,
    ),
    "type and source": (
        {"event_type": "a.b", "source": "splynx"},
        lambda record: (record.delivery.event.source, record.delivery.event.type) == ("splynx", "a.b"),
    ),
}


@pytest.fixture
async def stored(history: SqlHistory) -> list[Record]:
    """Deliveries whose last attempt came to different things, after one that timed out."""
    records = []
    for number in range(40):
        delivery = a_delivery(
            an_event(
                NOW + number, source=("splynx", "phlix")[number % 2], type=("a.b", "c.d")[number % 4 // 2]
            )
        )
        first = an_attempt(1, at=NOW + number, outcome="timeout", code=None)
        outcome, code = (("status", 503), ("timeout", None), ("status", 500))[number % 3]
        last = an_attempt(2, at=NOW + number + 1, outcome=outcome, code=code)
        status = (Status.FAILED, Status.RETRYING)[number % 5 == 0]
        await history.commit([Record(delivery, "webhook", Status.RETRYING, "", NOW + number, first)])
        reason = ("gone", "exhausted")[number % 2]
        records.append(
            Record(replace(delivery, attempt=2), "webhook", status, reason, NOW + number + 1, last)
        )
    assert await history.commit(records) == []
    return records


async def _all(history: SqlHistory, which: DeliveryFilter) -> list[str]:
    found: list[str] = []
    after: str | None = None
    for _ in range(200):
        page = await history.deliveries(which, after=after, limit=7)
        found += [each.id for each in page.items]
        after = page.next
        if after is None:
            return found
    raise AssertionError("the list has no end")


@pytest.mark.parametrize("by_update", [False, True], ids=["received", "updated"])
@pytest.mark.parametrize("name", FILTERS)
async def test_a_filter_finds_what_fits_the_newest_first(
    history: SqlHistory, stored: list[Record], name: str, by_update: bool
):
    asked, fits = FILTERS[name]
    expected = [record.delivery.id for record in reversed(stored) if fits(record)]

    assert expected
    assert await _all(history, DeliveryFilter(**asked, by_update=by_update)) == expected


@pytest.mark.parametrize("by_update", [False, True], ids=["received", "updated"])
async def test_what_a_replay_took_is_found_with_what_became_of_it(history: SqlHistory, by_update: bool):
    replays, old = SqlReplays(history.engine), failures(4)
    await history.commit([*old, *failures(2, "shop")])
    replay = await added(replays, a_replay())
    _, taken = await take_all(replays, replay)
    again = [replace(record.delivery, generation=2, attempt=2) for record in old]
    await history.commit(
        [failed(again[0], at=LATER + 5), failed(again[1], at=LATER + 6, status=Status.SUCCESS)]
    )

    found = await _all(history, DeliveryFilter(replay=replay.id, by_update=by_update))
    gave_up = DeliveryFilter(replay=replay.id, statuses=frozenset({Status.FAILED}), by_update=by_update)

    assert set(found) == {each.delivery_id for each in taken} == {record.delivery.id for record in old}
    assert await _all(history, gave_up) == [old[0].delivery.id]
    assert await replays.fates(replay.id) == Fates(succeeded=1, failed=1, waiting=2, exact=True)
    assert await _all(history, DeliveryFilter(replay=new_id())) == []


async def test_rows_of_a_replay_go_with_their_deliveries(history: SqlHistory):
    replays, old = SqlReplays(history.engine), failures(2)
    await history.commit(old)
    replay = await added(replays, a_replay())
    await take_all(replays, replay)
    again = [replace(record.delivery, generation=2, attempt=2) for record in old]
    await history.commit([failed(each, at=LATER + 5, status=Status.SUCCESS) for each in again])

    await history.prune(LATER + 100, 100)

    assert await replays.fates(replay.id) == Fates(0, 0, 0, exact=True)


async def test_a_replay_takes_deliveries_by_id_and_by_their_last_attempt(
    history: SqlHistory, stored: list[Record]
):
    replays = SqlReplays(history.engine)
    one, other = stored[1].delivery.id, stored[5].delivery.id
    by_id = ReplayFilter(ids=(one, other, new_id()), statuses=frozenset(Status))
    by_code = ReplayFilter(status_code=503, outcome="status")
    expected = [
        r.delivery.id for r in stored if r.attempt and r.attempt.code == 503 and r.status is Status.FAILED
    ]

    assert (await replays.count(by_id)).by_hook == {"crm": 2}
    counted = await replays.count(by_code)
    assert (counted.by_hook, counted.exact) == ({"crm": len(expected)}, True)
    _, taken = await take_all(replays, await added(replays, a_replay(by_code)))
    assert [each.delivery_id for each in taken] == expected
    _, taken = await take_all(replays, await added(replays, a_replay(by_id)), limit=1)
    assert [each.delivery_id for each in taken] == [one, other]
