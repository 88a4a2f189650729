"""What waits, and what is in quarantine, is counted from indexes of its own."""

from bridge.core.delivery import Status
from bridge.core.records import Beyond
from bridge.history.history import SqlHistory
from bridge.history.waiting import SqlWaiting, Waiting
from bridge.quarantine.store import SqlQuarantine
from tests.support.records import NOW, a_delivery, an_event, delivered, in_quarantine, waiting


async def test_waiting_deliveries_are_counted_by_hook_with_the_oldest(history: SqlHistory):
    retrying = waiting(a_delivery(an_event(NOW - 9), hook="crm"), Status.RETRYING)
    others = [waiting(a_delivery(an_event(at), hook=hook)) for hook, at in (("crm", NOW), ("shop", NOW - 5))]
    await history.commit([delivered(), retrying, *others])

    found = await SqlWaiting(history.engine).by_hook()

    assert found.by_hook == {"crm": Waiting(2, NOW - 9), "shop": Waiting(1, NOW - 5)}
    assert (found.count, found.oldest_at, found.exact) == (3, NOW - 9, True)


async def test_a_delivery_that_became_final_waits_no_more(history: SqlHistory):
    delivery = a_delivery()
    await history.commit([waiting(delivery)])
    await history.commit([delivered(delivery)])

    found = await SqlWaiting(history.engine).by_hook()

    assert (found.count, found.oldest_at) == (0, None)


async def test_a_count_of_waiting_deliveries_ends_at_its_bound_and_says_so(history: SqlHistory):
    await history.commit([waiting(a_delivery()) for _ in range(3)])

    found = await SqlWaiting(history.engine).by_hook(2)

    assert (found.count, found.exact) == (2, False)


async def test_quarantined_messages_are_counted_by_reason(history: SqlHistory):
    await history.commit(
        [
            in_quarantine(NOW - 100),
            in_quarantine(NOW),
            in_quarantine(NOW, reason="bug"),
            in_quarantine(NOW - 100, reason="forged"),
        ]
    )

    found = await SqlQuarantine(history.engine).counts(NOW - 10)

    assert [(each.reason, each.all.count, each.lately, each.first_at) for each in found] == [
        ("bug", 1, Beyond(1, exact=True), NOW),
        ("forged", 1, Beyond(0, exact=True), NOW - 100),
        ("undecodable", 2, Beyond(1, exact=True), NOW - 100),
    ]
