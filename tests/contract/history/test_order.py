"""In whatever order and batches a delivery's records are committed, its row ends the same."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.delivery import Delivery, Record, Status
from bridge.core.records import KnownDelivery
from bridge.history.history import SqlHistory
from tests.support.records import NOW, a_delivery, an_attempt, delivered, look, newest, waiting

_FINAL = [Status.SUCCESS, Status.FAILED, Status.SKIPPED]


async def test_a_park_that_is_committed_late_changes_nothing(history: SqlHistory):
    delivery = a_delivery()
    await history.commit([delivered(delivery, at=NOW + 2)])

    await history.commit([waiting(delivery, at=NOW + 5)])

    assert await history.counts_by_status() == {"SUCCESS": 1}


async def test_a_park_that_is_committed_late_does_not_hide_a_failed_attempt(history: SqlHistory):
    delivery = a_delivery()
    failed = Record(delivery, "webhook", Status.RETRYING, "status", NOW, an_attempt(1, code=500))
    await history.commit([failed])

    await history.commit([waiting(delivery, at=NOW + 5)])

    (found,) = await newest(history, 1)
    assert (found.status, found.attempts) == ("RETRYING", 1)


async def test_a_final_status_never_changes(history: SqlHistory):
    delivery = a_delivery(attempt=2)
    await history.commit([delivered(delivery)])

    later = replace(delivery, attempt=3)
    await history.commit([Record(later, "webhook", Status.FAILED, "late", NOW + 9, an_attempt(3, code=500))])

    (found,) = await newest(history, 1)
    assert (found.status, found.reason, found.attempts) == ("SUCCESS", "", 2)


async def test_a_new_generation_starts_a_final_delivery_anew(history: SqlHistory, history_url: str):
    delivery = a_delivery()
    await history.commit([delivered(delivery)])

    await history.commit([waiting(replace(delivery, generation=2), at=NOW + 9)])
    await history.commit([delivered(replace(delivery, attempt=2), at=NOW + 10)])

    (found,) = await newest(history, 1)
    assert (found.status, found.generation, found.attempts) == ("PENDING", 2, 0)
    numbers = await look(history_url, "SELECT generation, number FROM attempts ORDER BY number")
    assert numbers == [(1, 1), (1, 2)]


async def test_an_attempt_that_is_recorded_twice_stays_as_it_was_first(history: SqlHistory, history_url: str):
    delivery = a_delivery()
    for code in (200, 201):
        await history.commit([delivered(delivery, code=code)])

    assert await look(history_url, "SELECT status_code FROM attempts") == [(200,)]


async def test_a_whole_life_may_stand_in_one_batch(history: SqlHistory, history_url: str):
    delivery = a_delivery()
    life = [
        waiting(delivery, at=NOW),
        Record(delivery, "webhook", Status.RETRYING, "status", NOW + 1, an_attempt(1, code=500)),
        waiting(replace(delivery, attempt=2), Status.RETRYING, at=NOW + 2),
        delivered(replace(delivery, attempt=2), at=NOW + 3),
    ]

    assert await history.commit(life) == []

    (found,) = await newest(history, 10)
    assert (found.status, found.attempts, found.updated_at) == ("SUCCESS", 2, NOW + 3)
    assert await look(history_url, "SELECT number FROM attempts ORDER BY number") == [(1,), (2,)]


async def test_replicas_may_write_the_same_deliveries_at_once(history: SqlHistory):
    records = [delivered() for _ in range(200)]

    answers = await asyncio.gather(
        *(history.commit(records[start:] + records[:start]) for start in range(0, 200, 25))
    )

    assert not any(answers)
    assert await history.counts_by_status() == {"SUCCESS": 200}


@st.composite
def lives(draw: st.DrawFn) -> list[Record]:
    """All that is ever recorded of one delivery, in the order in which it happens."""
    delivery, clock = a_delivery(), iter(range(1, 1000))
    records: list[Record] = []
    for generation in range(1, draw(st.integers(1, 3)) + 1):
        records += _generation(draw, replace(delivery, generation=generation), clock)
    return records


def _generation(draw: st.DrawFn, delivery: Delivery, clock: Iterator[int]) -> list[Record]:
    records = []
    steps = draw(st.lists(st.sampled_from(["park", "attempt"]), max_size=4))
    for step in steps:
        at = NOW + next(clock)
        if step == "park":
            status = Status.PENDING if delivery.attempt == 1 else Status.RETRYING
            records.append(waiting(delivery, status, at=at))
        else:
            attempt = an_attempt(delivery.attempt, at=at, code=500)
            records.append(
                Record(delivery, "webhook", Status.RETRYING, "status", at, attempt, next_attempt_at=at + 5)
            )
            delivery = replace(delivery, attempt=delivery.attempt + 1)
    if draw(st.booleans()):
        at = NOW + next(clock)
        # A copy from before may end it as well: its hook was deleted while it waited.
        delivery = replace(delivery, attempt=draw(st.integers(1, delivery.attempt)))
        tried = an_attempt(delivery.attempt, at=at) if draw(st.booleans()) else None
        records.append(Record(delivery, "webhook", draw(st.sampled_from(_FINAL)), "end", at, tried))
    return records


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_order_and_batches_of_records_do_not_matter(history: SqlHistory, data: Any):
    life = data.draw(lives())
    shuffled = data.draw(
        st.permutations(
            life + data.draw(st.lists(st.sampled_from(life), max_size=2) if life else st.just([]))
        )
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=3)))

    await _commit_in_pieces(history, life, list(range(len(life))))
    in_order = await _row(history, life)
    copies = _with_another_id(shuffled)
    await _commit_in_pieces(history, copies, cuts)

    assert _without_id(await _row(history, copies)) == _without_id(in_order)
    if life:
        assert in_order is not None
        assert in_order.generation == max(record.delivery.generation for record in life)


async def _commit_in_pieces(history: SqlHistory, records: list[Record], cuts: list[int]) -> None:
    for start, end in zip([0, *cuts], [*cuts, len(records)], strict=True):
        assert await history.commit(records[start:end]) == []


async def _row(history: SqlHistory, records: list[Record]) -> KnownDelivery | None:
    wanted = {record.delivery.id for record in records}
    return next((row for row in await newest(history, 1000) if row.id in wanted), None)


def _with_another_id(records: list[Record]) -> list[Record]:
    other = a_delivery().id
    return [replace(record, delivery=replace(record.delivery, id=other)) for record in records]


def _without_id(row: KnownDelivery | None) -> KnownDelivery | None:
    # Of an attempt that was repeated under one number the first that is committed stays, whichever that is.
    return row and replace(row, id="", last=None)
