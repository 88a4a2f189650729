"""What is over for long enough goes, and nothing else."""

import time
from dataclasses import replace

from bridge.core.delivery import Status, Unmatched
from bridge.history.history import SqlHistory
from tests.support.records import a_delivery, an_event, days_ago, delivered, in_quarantine, look, waiting


async def test_what_is_over_goes_with_all_that_belongs_to_it(history: SqlHistory, history_url: str):
    old = an_event(days_ago(9))
    await history.commit([delivered(a_delivery(old, hook=hook)) for hook in ("crm", "erp")])
    await history.commit([delivered(a_delivery(an_event(time.time())))])

    assert await history.prune(days_ago(7), 100) == 1

    for table in ("events", "deliveries", "attempts"):
        assert await look(history_url, f"SELECT count(*) FROM {table}") == [(1,)]


async def test_retention_counts_from_the_final_status(history: SqlHistory):
    await history.commit([delivered(a_delivery(an_event(days_ago(9))), at=days_ago(1))])

    assert await history.prune(days_ago(7), 100) == 0
    assert await history.counts_by_status() == {"SUCCESS": 1}


async def test_what_waits_stays_with_its_event_and_its_siblings(history: SqlHistory, history_url: str):
    old = an_event(days_ago(30))
    await history.commit(
        [
            delivered(a_delivery(old)),
            waiting(a_delivery(old, hook="erp"), at=days_ago(30)),
            waiting(a_delivery(an_event(days_ago(30))), Status.RETRYING, at=days_ago(30)),
        ]
    )

    assert await history.prune(days_ago(7), 100) == 0
    assert await look(history_url, "SELECT count(*) FROM events") == [(2,)]
    assert await history.counts_by_status() == {"SUCCESS": 1, "PENDING": 1, "RETRYING": 1}


async def test_an_event_without_deliveries_goes_by_its_age(history: SqlHistory, history_url: str):
    await history.commit([Unmatched(an_event(days_ago(8))), Unmatched(an_event(days_ago(6)))])

    assert await history.prune(days_ago(7), 100) == 1
    assert await look(history_url, "SELECT count(*) FROM events") == [(1,)]


async def test_a_quarantined_message_goes_by_its_age(history: SqlHistory, history_url: str):
    young = in_quarantine(days_ago(6))
    await history.commit([in_quarantine(days_ago(8)), young])

    assert await history.prune(days_ago(7), 100) == 0
    assert [str(one) for (one,) in await look(history_url, "SELECT id FROM quarantine")] == [young.id]


async def test_no_more_than_the_limit_goes_at_once(history: SqlHistory):
    await history.commit([delivered(a_delivery(an_event(days_ago(9)))) for _ in range(7)])

    assert [await history.prune(days_ago(7), 3) for _ in range(4)] == [3, 3, 1, 0]


async def test_what_waits_does_not_keep_later_events(history: SqlHistory):
    waits = [waiting(a_delivery(an_event(days_ago(30 - number / 100)))) for number in range(1200)]
    over = [delivered(a_delivery(an_event(days_ago(8)))) for _ in range(5)]
    await history.commit([*waits, *over])

    assert await history.prune(days_ago(7), 5) == 5
    assert await history.counts_by_status() == {"PENDING": 1200}


async def test_what_was_passed_over_goes_once_it_is_over(history: SqlHistory):
    waits = a_delivery(an_event(days_ago(30)))
    over = delivered(a_delivery(an_event(days_ago(9))))
    await history.commit([waiting(waits, at=days_ago(30)), over])
    assert await history.prune(days_ago(7), 1) == 1

    await history.commit([delivered(replace(waits, attempt=2), at=days_ago(8))])

    assert [await history.prune(days_ago(7), 10) for _ in range(2)].count(1) == 1
    assert await history.counts_by_status() == {}


async def test_an_event_for_very_many_hooks_goes_too(history: SqlHistory):
    for _ in range(2):
        event = an_event(days_ago(9))
        await history.commit([delivered(a_delivery(event, hook=f"hook-{number}")) for number in range(5200)])

    assert await history.prune(days_ago(7), 10) == 2
    assert await history.counts_by_status() == {}
