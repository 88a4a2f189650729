"""Starting deliveries anew and giving them up: the same on every database."""

from dataclasses import replace

import pytest

from bridge.core.delivery import Known, Record, Status
from bridge.deliveries.outbox import SqlOutbox
from bridge.history.history import SqlHistory
from tests.support.records import NOW, a_delivery, an_attempt, delivered, waiting

EVERY = frozenset(Status)
FAILED = frozenset({Status.FAILED})


@pytest.fixture
def outbox(history: SqlHistory) -> SqlOutbox:
    return SqlOutbox(history.engine)


def failed(delivery, *, at=NOW):
    """The record of the last attempt."""
    attempt = an_attempt(delivery.attempt, at=at, outcome="status", code=500)
    return Record(delivery, "webhook", Status.FAILED, "retries_exhausted", at, attempt)


async def status_of(history, delivery):
    found = await history.delivery(delivery.id)
    assert found is not None
    return found[0].status, found[0].reason, found[0].generation


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.SKIPPED])
async def test_whatever_its_status_a_delivery_is_started_anew_as_the_next_generation(history, outbox, status):
    delivery = a_delivery(attempt=2)
    attempt = an_attempt(2)
    await history.commit([Record(delivery, "webhook", status, "because", NOW, attempt, NOW + 5)])

    [restart] = await outbox.restart([delivery.id], NOW + 1, statuses=EVERY)

    assert (restart.delivery_id, restart.event_id, restart.hook) == (delivery.id, delivery.event.id, "crm")
    assert (restart.generation, restart.attempts) == (2, 2)
    assert await status_of(history, delivery) == (Status.PENDING, "restarted", 2)
    known, _ = await history.delivery(delivery.id)
    assert known.next_attempt_at is None
    assert known.updated_at == NOW + 1
    assert await history.known([delivery.id]) == {delivery.id: Known(2, 2, final=False)}


async def test_a_skipped_delivery_is_started_anew(history, outbox):
    delivery = a_delivery()
    await history.commit([waiting(delivery, Status.SKIPPED)])

    [restart] = await outbox.restart([delivery.id], NOW, statuses=EVERY)

    assert (restart.generation, restart.attempts) == (2, 0)


async def test_only_those_with_the_wanted_status_are_started_anew(history, outbox):
    bad, good, other = a_delivery(), a_delivery(), a_delivery()
    await history.commit([failed(bad), delivered(good)])

    restarts = await outbox.restart([good.id, bad.id, other.id, "no id at all"], NOW, statuses=FAILED)

    assert [each.delivery_id for each in restarts] == [bad.id]
    assert await status_of(history, good) == (Status.SUCCESS, "", 1)
    assert await outbox.restart([], NOW, statuses=FAILED) == []


async def test_a_delivery_whose_event_is_gone_stays_as_it_is(history, outbox):
    delivery = a_delivery()
    await history.commit([failed(delivery)])
    await history.engine.write(lambda connection: connection.exec_driver_sql("DELETE FROM events"))

    assert await outbox.restart([delivery.id], NOW, statuses=EVERY) == []
    assert await history.known([delivery.id]) == {delivery.id: Known(1, 1, final=True)}


async def test_what_an_attempt_of_before_comes_to_does_not_touch_the_new_generation(history, outbox):
    delivery = a_delivery(attempt=2)
    await history.commit([waiting(delivery, Status.RETRYING)])
    await outbox.restart([delivery.id], NOW + 1, statuses=EVERY)

    await history.commit([delivered(delivery, at=NOW + 2)])
    await history.commit([failed(delivery, at=NOW + 3)])

    assert await status_of(history, delivery) == (Status.PENDING, "restarted", 2)
    _, attempts = await history.delivery(delivery.id)
    assert [(each.generation, each.number) for each in attempts] == [(1, 2)]


async def test_attempts_go_on_counting_in_the_new_generation_and_all_are_kept(history, outbox):
    delivery = a_delivery()
    await history.commit([waiting(delivery)])
    await history.commit([failed(delivery)])
    [restart] = await outbox.restart([delivery.id], NOW + 1, statuses=EVERY)
    anew = replace(delivery, generation=restart.generation, attempt=restart.attempts + 1)

    await history.commit([delivered(anew, at=NOW + 2)])

    known, attempts = await history.delivery(delivery.id)
    assert (known.status, known.attempts, known.generation) == (Status.SUCCESS, 2, 2)
    assert [(each.number, each.generation, each.outcome) for each in attempts] == [
        (1, 1, "status"),
        (2, 2, "delivered"),
    ]


async def test_the_outbox_tells_what_is_still_to_be_published_the_oldest_first(history, outbox):
    first, second, young = a_delivery(), a_delivery(), a_delivery()
    await history.commit([failed(each) for each in (first, second, young)])
    await outbox.restart([second.id], NOW + 2, statuses=EVERY)
    await outbox.restart([first.id], NOW + 1, statuses=EVERY)
    await outbox.restart([young.id], NOW + 30, statuses=EVERY)

    left = await outbox.outbox(NOW + 20, 10)

    assert [each.delivery_id for each in left] == [first.id, second.id]
    assert [each.generation for each in left] == [2, 2]
    assert [each.delivery_id for each in await outbox.outbox(NOW + 20, 1)] == [first.id]


async def test_what_is_sent_is_out_but_a_restart_made_since_stays(history, outbox):
    delivery = a_delivery()
    await history.commit([failed(delivery)])
    once = await outbox.restart([delivery.id], NOW, statuses=EVERY)
    twice = await outbox.restart([delivery.id], NOW + 1, statuses=EVERY)

    await outbox.sent(once)
    assert await outbox.outbox(NOW + 9, 10) == twice

    await outbox.sent(twice)
    assert await outbox.outbox(NOW + 9, 10) == []


async def test_what_was_published_and_ended_before_a_crash_is_not_published_again(history, outbox):
    delivery = a_delivery()
    await history.commit([failed(delivery)])
    [restart] = await outbox.restart([delivery.id], NOW, statuses=EVERY)
    await history.commit([delivered(replace(delivery, generation=restart.generation, attempt=2))])

    assert await outbox.outbox(NOW + 9, 10) == []


async def test_thousands_are_started_anew_and_sent_at_once(history, outbox):
    deliveries = [a_delivery() for _ in range(1500)]
    await history.commit([failed(each) for each in deliveries])

    restarts = await outbox.restart([each.id for each in deliveries], NOW, statuses=FAILED)
    await outbox.sent(restarts[:1000])

    assert len(restarts) == 1500
    assert len(await outbox.outbox(NOW + 1, 2000)) == 500


@pytest.mark.parametrize("status", [Status.PENDING, Status.RETRYING])
async def test_what_waits_can_be_cancelled_and_later_outcomes_change_nothing(history, outbox, status):
    delivery = a_delivery(attempt=2)
    await history.commit([waiting(delivery, status, next_attempt_at=NOW + 5)])

    assert await outbox.cancel(delivery.id, NOW + 1)

    await history.commit([delivered(delivery, at=NOW + 2)])
    assert await status_of(history, delivery) == (Status.FAILED, "cancelled", 2)
    known, _ = await history.delivery(delivery.id)
    assert known.next_attempt_at is None
    assert not await outbox.cancel(delivery.id, NOW + 3)


async def test_a_cancelled_restart_is_not_published(history, outbox):
    delivery = a_delivery()
    await history.commit([failed(delivery)])
    await outbox.restart([delivery.id], NOW, statuses=EVERY)

    assert await outbox.cancel(delivery.id, NOW)

    assert await outbox.outbox(NOW + 9, 10) == []
    assert await status_of(history, delivery) == (Status.FAILED, "cancelled", 3)


async def test_what_is_final_or_unknown_cannot_be_cancelled(history, outbox):
    delivery = a_delivery()
    await history.commit([delivered(delivery)])

    assert not await outbox.cancel(delivery.id, NOW)
    assert not await outbox.cancel(a_delivery().id, NOW)
    assert not await outbox.cancel("no id at all", NOW)
