"""What the history answers."""

import pytest

from bridge.core.delivery import Known, Quarantined, Record, Status
from bridge.core.errors import HistoryUnavailable
from bridge.core.event import Message
from bridge.core.ports import HookState
from bridge.history.history import SqlHistory, open_history
from tests.support.records import NOW, a_delivery, an_attempt, an_event, delivered, new_id, newest, waiting


async def test_the_fence_learns_how_far_a_delivery_is(history: SqlHistory):
    final, retrying, parked = a_delivery(attempt=2), a_delivery(generation=3), a_delivery()
    failed = an_attempt(1, code=500)
    await history.commit(
        [
            delivered(final),
            Record(retrying, "webhook", Status.RETRYING, "status", NOW, failed),
            waiting(parked),
        ]
    )

    known = await history.known([final.id, retrying.id, parked.id, new_id()])

    assert known == {
        final.id: Known(generation=1, attempts=2, final=True),
        retrying.id: Known(generation=3, attempts=1, final=False),
        parked.id: Known(generation=1, attempts=0, final=False),
    }


async def test_nobody_is_known_at_first(history: SqlHistory):
    assert await history.known([]) == {}
    assert await history.known([new_id(), "dlv_1", "", "not a uuid \0 \ud800"[:10]]) == {}


async def test_many_deliveries_are_looked_up_at_once(history: SqlHistory):
    records = [delivered() for _ in range(300)]
    await history.commit(records)
    ids = [record.delivery.id for record in records]

    known = await history.known([*ids, *(new_id() for _ in range(9000))])

    assert known.keys() == set(ids)


async def test_the_state_of_a_hook_is_replaced(history: SqlHistory, history_url: str):
    assert await history.hook_states() == {}
    await history.set_hook_state(HookState("crm", paused=True, reason="410 Gone", at=NOW))
    await history.set_hook_state(HookState("erp", paused=False, reason="", at=NOW))
    await history.set_hook_state(HookState("crm", paused=True, reason="by hand", at=NOW + 1))

    expected = {
        "crm": HookState("crm", paused=True, reason="by hand", at=NOW + 1),
        "erp": HookState("erp", paused=False, reason="", at=NOW),
    }
    assert await history.hook_states() == expected
    again = await open_history(history_url)
    assert await again.hook_states() == expected
    await again.close()


async def test_the_newest_deliveries_come_first(history: SqlHistory):
    records = [delivered(a_delivery(an_event(NOW + number, type=f"t.{number}"))) for number in range(5)]
    await history.commit(records)

    found = await newest(history, 2)

    assert [row.event_type for row in found] == ["t.4", "t.3"]
    assert found[0].id == records[4].delivery.id
    assert found[0].event_id == records[4].delivery.event.id


async def test_a_database_that_is_there_answers(history: SqlHistory):
    await history.ping()


async def test_a_closed_history_is_unavailable_and_may_be_closed_again(history_url: str):
    history = await open_history(history_url)
    await history.close()
    await history.close()

    with pytest.raises(HistoryUnavailable):
        await history.commit([delivered()])
    with pytest.raises(HistoryUnavailable):
        await history.ping()


async def test_the_size_of_the_history_grows_with_what_is_kept(history):
    before = await history.size()
    assert before.bytes > 0
    assert before.quarantined == 0
    whole = Message(b"x" * 200_000)
    await history.commit([Quarantined(new_id(), "main", "too_large", "", 1.0, whole) for _ in range(20)])
    after = await history.size()
    assert after.quarantined == 20
    assert after.bytes > before.bytes
