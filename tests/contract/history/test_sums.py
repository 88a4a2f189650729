"""The sums agree with the history: whatever is recorded twice, late or by several replicas counts once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.delivery import Quarantined, Record, Skipped, Status, Unkept
from bridge.core.event import Message
from bridge.deliveries.outbox import SqlOutbox
from bridge.history.history import SqlHistory, open_history
from bridge.measuring.spans import bucket_of
from bridge.stats.store import SqlStatistics
from tests.support.records import NOW, a_delivery, an_attempt, an_event, delivered, new_id, waiting
from tests.support.statistics import ends, ends_in_rows, failed_attempt, failed_for_good, sums_of

MINUTE, HOUR, DAY = 60, 3600, 86_400


@pytest.fixture
async def other(history_url: str, history: SqlHistory) -> AsyncIterator[SqlHistory]:
    """Another replica on the same database."""
    opened = await open_history(history_url)
    yield opened
    await opened.close()


async def test_each_final_status_counts_for_its_hook_and_for_all(history: SqlHistory):
    skipped = Record(a_delivery(hook="idle"), "webhook", Status.SKIPPED, Skipped("hook_disabled").reason, NOW)

    await history.commit([delivered(), delivered(), failed_for_good(), skipped, waiting(a_delivery())])

    assert await ends(history) == (2, 1, 0)
    assert await ends(history, "idle") == (0, 0, 1)
    assert await ends(history, None) == (2, 1, 1)
    assert await ends(history, "unknown") == (0, 0, 0)


async def test_attempts_count_with_how_long_they_took(history: SqlHistory):
    await history.commit(
        [delivered(duration_ms=3.0), delivered(duration_ms=3.1), failed_for_good(duration_ms=900.0)]
    )

    found = await sums_of(history)

    assert (found.attempts, found.attempts_failed) == (3, 1)
    assert found.duration_ms == pytest.approx(906.1)
    assert found.durations == {bucket_of(3.0): 2, bucket_of(900.0): 1}


async def test_a_batch_that_is_committed_again_counts_once(history: SqlHistory, history_url: str):
    batch = [delivered(), failed_for_good(), waiting(a_delivery())]

    for _ in range(3):
        await history.commit(batch)

    assert await ends(history) == await ends_in_rows(history_url) == (1, 1, 0)
    assert (await sums_of(history)).attempts == 2


async def test_a_final_status_that_is_recorded_again_among_new_ones_counts_once(
    history: SqlHistory, other: SqlHistory, history_url: str
):
    known = delivered()
    await history.commit([known])

    await other.commit([delivered(), replace(known, at=NOW + 60), failed_for_good()])

    assert await ends(history) == await ends_in_rows(history_url) == (2, 1, 0)
    assert (await sums_of(history)).attempts == 3


async def test_a_delivery_counts_when_it_ends_and_each_of_its_attempts(history: SqlHistory):
    delivery = a_delivery()
    await history.commit([Record(delivery, "webhook", Status.RETRYING, "status", NOW, failed_attempt())])
    assert await ends(history) == (0, 0, 0)

    await history.commit([delivered(replace(delivery, attempt=2), at=NOW + 5)])

    assert await ends(history) == (1, 0, 0)
    assert (await sums_of(history)).attempts == 2


async def test_a_park_that_is_committed_late_counts_for_nothing(history: SqlHistory):
    delivery = a_delivery()
    await history.commit([delivered(delivery)])

    await history.commit([waiting(delivery), delivered()])

    assert await ends(history) == (2, 0, 0)


async def test_a_whole_life_in_one_batch_counts_once(history: SqlHistory):
    delivery = a_delivery()
    life = [
        waiting(delivery),
        Record(delivery, "webhook", Status.RETRYING, "status", NOW, failed_attempt()),
        delivered(replace(delivery, attempt=2)),
    ]

    await history.commit(life)

    assert await ends(history) == (1, 0, 0)


async def test_what_is_started_anew_counts_as_what_becomes_of_it(history: SqlHistory, history_url: str):
    outbox = SqlOutbox(history.engine)
    failed = [failed_for_good(), failed_for_good()]
    await history.commit([*failed, delivered()])

    restarted = await outbox.restart(
        [record.delivery.id for record in failed], NOW + DAY, statuses=frozenset({Status.FAILED})
    )
    assert await ends(history) == await ends_in_rows(history_url) == (1, 0, 0)

    anew = replace(failed[0].delivery, generation=restarted[0].generation, attempt=2)
    await history.commit([delivered(anew, at=NOW + DAY + 1)])
    assert await ends(history) == await ends_in_rows(history_url) == (2, 0, 0)
    assert (await sums_of(history)).attempts_failed == 2


async def test_what_somebody_cancels_counts_as_failed(history: SqlHistory, history_url: str):
    delivery = a_delivery()
    await history.commit([waiting(delivery)])

    assert await SqlOutbox(history.engine).cancel(delivery.id, NOW + 5)

    assert await ends(history) == await ends_in_rows(history_url) == (0, 1, 0)


async def test_without_rows_of_successes_they_count_all_the_same(history: SqlHistory, history_url: str):
    await history.commit([Unkept(delivered()), failed_for_good()])

    assert await ends(history) == (1, 1, 0)
    assert await ends_in_rows(history_url) == (0, 1, 0)
    assert (await sums_of(history)).attempts == 2


async def test_a_refused_row_does_not_keep_the_others_from_counting(history: SqlHistory, history_url: str):
    bad = replace(delivered(), target="\0\ud800")

    refused = await history.commit([delivered(), bad, Unkept(delivered()), failed_for_good()])

    assert [entry for entry, _ in refused] == [bad]
    assert await ends(history) == (2, 1, 0)
    assert await ends_in_rows(history_url) == (1, 1, 0)


async def test_messages_in_quarantine_count_for_nothing(history: SqlHistory):
    await history.commit([Quarantined(new_id(), "splynx", "bug", "", NOW, Message(b"x"))])

    assert await ends(history, None) == (0, 0, 0)


async def test_replicas_add_to_one_row_at_once(history: SqlHistory, other: SqlHistory, history_url: str):
    batches = [
        [delivered() for _ in range(30)] + [failed_for_good(a_delivery(hook=f"h{n % 3}"))] for n in range(24)
    ]

    await asyncio.gather(
        *(
            replica.commit(batch)
            for number, batch in enumerate(batches)
            for replica in [(history, other)[number % 2]]
        )
    )

    assert await ends(history, None) == await ends_in_rows(history_url) == (720, 24, 0)
    assert (await sums_of(history)).succeeded == 720
    health = await SqlStatistics(history.engine).health()
    assert health["h0"].failed_attempts == 8
    assert health["crm"].failed_attempts == 0


async def test_replicas_that_commit_the_same_count_it_once(
    history: SqlHistory, other: SqlHistory, history_url: str
):
    records = [delivered() for _ in range(60)]

    await asyncio.gather(
        *((history, other)[start % 2].commit(records[start:] + records[:start]) for start in range(0, 60, 7))
    )

    assert await ends(history) == await ends_in_rows(history_url) == (60, 0, 0)
    assert (await sums_of(history)).attempts == 60


async def test_a_span_has_what_ended_in_its_whole_steps(history: SqlHistory):
    at = NOW - NOW % DAY
    for moment in (at - 1, at, at + 59, at + HOUR, at + DAY):
        await history.commit([delivered(a_delivery(an_event(moment)), at=moment, duration_ms=0.0)])
    statistics = SqlStatistics(history.engine)

    async def succeeded(begin: float, end: float) -> int:
        return (await statistics.sums("crm", int(begin), int(end))).succeeded

    assert await succeeded(at, at + DAY) == 3
    assert await succeeded(at, at + MINUTE) == 2
    assert await succeeded(at - DAY, at + MINUTE) == 3
    assert await succeeded(at + MINUTE, at + DAY + HOUR) == 2
    assert await succeeded(at + DAY, at) == 0


async def test_a_series_has_the_steps_in_which_there_was_anything(history: SqlHistory):
    at = NOW - NOW % DAY
    moments = (at, at + 30, at + 5 * MINUTE, at + 2 * HOUR)
    await history.commit(
        [delivered(a_delivery(an_event(moment)), at=moment, duration_ms=0.0) for moment in moments]
    )
    statistics = SqlStatistics(history.engine)
    day = (int(at), int(at) + DAY)

    by_minute = await statistics.series("crm", "minute", *day)
    by_hour = await statistics.series(None, "hour", *day)

    assert [(start - at, sums.succeeded) for start, sums in by_minute] == [(0, 2), (300, 1), (7200, 1)]
    assert [(start - at, sums.succeeded) for start, sums in by_hour] == [(0, 3), (7200, 1)]
    assert await statistics.series("other", "day", *day) == []


async def test_hooks_are_told_with_the_busiest_first(history: SqlHistory):
    await history.commit(
        [
            *(delivered(a_delivery(hook="busy")) for _ in range(3)),
            delivered(a_delivery(hook="quiet")),
            failed_for_good(),
        ]
    )
    statistics = SqlStatistics(history.engine)

    found = await statistics.sums_by_hook(0, 10**12 * DAY, most=10)
    first = await statistics.sums_by_hook(0, 10**12 * DAY, most=1)

    assert [(hook, sums.succeeded, sums.failed) for hook, sums in found.items()] == [
        ("busy", 3, 0),
        ("crm", 0, 1),
        ("quiet", 1, 0),
    ]
    assert list(first) == ["busy"]
    assert sum((first["busy"].durations or {}).values()) == 3


async def test_sums_that_are_no_longer_kept_go_in_small_steps(history: SqlHistory):
    days = (0, 3, 61, 500)
    for age in days:
        at = NOW - age * DAY
        await history.commit([delivered(a_delivery(an_event(at)), at=at)])
    statistics = SqlStatistics(history.engine)

    while await statistics.prune_statistics(NOW, 400 * DAY, limit=2):
        pass

    span = (0, int(NOW) + DAY)
    kept = {grain: len(await statistics.series("crm", grain, *span)) for grain in ("minute", "hour", "day")}
    assert kept == {"minute": 1, "hour": 2, "day": 3}
    assert sum(((await sums_of(history)).durations or {}).values()) == 3


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_in_whatever_batches_and_however_often_all_counts_once(
    history: SqlHistory, history_url: str, data: st.DataObject
):
    records = data.draw(st.lists(st.sampled_from(["good", "bad", "retry", "park"]), min_size=1, max_size=8))
    made = [_record(kind) for kind in records]
    repeated = made + data.draw(st.lists(st.sampled_from(made), max_size=6))
    shuffled = data.draw(st.permutations(repeated))
    size = data.draw(st.integers(1, len(shuffled)))
    before = (await sums_of(history, None)).attempts

    for start in range(0, len(shuffled), size):
        assert await history.commit(shuffled[start : start + size]) == []

    assert await ends(history, None) == await ends_in_rows(history_url)
    assert (await sums_of(history, None)).attempts - before == len(
        [kind for kind in records if kind != "park"]
    )


def _record(kind: str) -> Record:
    match kind:
        case "good":
            return delivered()
        case "bad":
            return failed_for_good()
        case "retry":
            return Record(
                a_delivery(), "webhook", Status.RETRYING, "status", NOW, an_attempt(outcome="timeout")
            )
        case _:
            return waiting(a_delivery())


async def test_how_a_hook_fares_is_known_in_whatever_order_it_is_told(history: SqlHistory):
    statistics = SqlStatistics(history.engine)
    moments = {10: True, 20: False, 30: False, 40: True}

    async def told(*order: int) -> tuple[object, ...]:
        hook = f"told-{'-'.join(map(str, order))}"
        for at in order:
            make = delivered if moments[at] else failed_for_good
            await history.commit([make(a_delivery(hook=hook), at=NOW + at, duration_ms=0.0)])
        found = (await statistics.health([hook]))[hook]
        return found.last_success_at, found.last_failure_at, found.last_attempt_at, found.failing_since

    assert await told(10, 20, 30) == (NOW + 10, NOW + 30, NOW + 30, NOW + 20)
    assert await told(20, 30, 10) == (NOW + 10, NOW + 30, NOW + 30, NOW + 20)
    assert await told(10, 20, 30, 40) == (NOW + 40, NOW + 30, NOW + 40, None)
    assert await told(40, 30, 20, 10) == (NOW + 40, NOW + 30, NOW + 40, None)
    assert await statistics.health(["unknown"]) == {}
