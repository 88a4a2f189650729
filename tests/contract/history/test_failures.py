"""Failures are summed by hook, outcome and code, in the commit of the attempts."""

from collections.abc import Sequence

import pytest

from bridge.core.delivery import Record, Status
from bridge.core.records import Failures
from bridge.deliveries.outbox import SqlOutbox
from bridge.history.history import SqlHistory
from bridge.stats.store import SqlStatistics
from tests.support.records import NOW, a_delivery, an_event, delivered
from tests.support.statistics import ALL_TIME, failed_attempt, failed_for_good

MINUTE, HOUR, DAY = 60, 3600, 86_400


async def failures(
    history: SqlHistory, hooks: Sequence[str] | None = None, span: tuple[int, int] = ALL_TIME, most: int = 10
) -> list[Failures]:
    return await SqlStatistics(history.engine).failures(hooks, *span, most)


async def test_attempts_that_failed_alike_are_one_row_and_successes_are_none(history: SqlHistory):
    retrying = Record(a_delivery(), "webhook", Status.RETRYING, "status", NOW, failed_attempt())
    await history.commit([delivered(), retrying, failed_for_good(), failed_for_good(code=404)])
    await history.commit([failed_for_good(a_delivery(hook="shop"), outcome="timeout", code=None)])

    found = await failures(history)

    assert [(each.hook, each.outcome, each.code, each.attempts, each.deliveries) for each in found] == [
        ("crm", "status", 500, 2, 1),
        ("crm", "status", 404, 1, 1),
        ("shop", "timeout", None, 1, 1),
    ]
    assert await failures(history, ["shop"]) == found[2:]
    assert await failures(history, ["nobody"]) == []
    assert await failures(history, most=1) == found[:1]


async def test_a_batch_that_is_committed_again_counts_once(history: SqlHistory):
    batch = [failed_for_good()]
    for _ in range(3):
        await history.commit(batch)
    await history.commit([*batch, failed_for_good()])

    assert [(each.attempts, each.deliveries) for each in await failures(history)] == [(2, 2)]


async def test_a_retry_takes_nothing_back(history: SqlHistory):
    delivery = a_delivery()
    await history.commit([failed_for_good(delivery)])
    await SqlOutbox(history.engine).restart([delivery.id], NOW + 1, statuses=frozenset(Status))

    assert [(each.attempts, each.deliveries) for each in await failures(history)] == [(1, 1)]


@pytest.mark.parametrize("step", [MINUTE, HOUR, DAY])
async def test_a_span_counts_what_failed_within_it(history: SqlHistory, step: int):
    start = int(NOW // DAY) * DAY
    ends = (start - 1, start, start + step - 1, start + step)
    await history.commit(
        [failed_for_good(a_delivery(an_event(at)), at=at, duration_ms=0.0) for at in map(float, ends)]
    )

    (found,) = await failures(history, span=(start, start + step))

    assert (found.attempts, found.since, found.until) == (2, start, start + step)


async def test_expired_sums_are_deleted(history: SqlHistory):
    await history.commit([failed_for_good()])
    statistics = SqlStatistics(history.engine)

    while await statistics.prune_statistics(NOW + 400 * DAY, 1.0, 100):
        pass

    assert await failures(history) == []
