"""What is remembered of what was told of hooks, on both databases."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, update

from bridge.core.delivery import Quarantined
from bridge.core.event import Message
from bridge.core.ports import HookState
from bridge.db.admin_tables import hook_health
from bridge.history.history import SqlHistory
from bridge.meta.words import FailureRecord
from bridge.meta_events.monitor import SqlFailureRecords
from tests.support.records import new_id

FAILING = FailureRecord("crm", 1000.25, 5000.5, 900.125, 7)


async def fares(history: SqlHistory, **fields: Any) -> None:
    row: Mapping[str, Any] = {"hook": "crm", "failed_attempts": 0, "failed_deliveries": 0, **fields}
    await history.engine.write(lambda connection: connection.execute(insert(hook_health).values(row)))


async def failing(history: SqlHistory, **fields: Any) -> None:
    times = {"failing_since": 1000.25, "last_failure_at": 5000.5, "last_success_at": 900.125}
    await fares(history, failed_attempts=7, **times, **fields)


async def test_hooks_that_fail_are_looked_at_and_those_that_do_not_are_left_out(history):
    await failing(history)
    await fares(history, hook="fine", last_success_at=5000.0)
    assert await SqlFailureRecords(history.engine).failure_records() == [FAILING]


async def test_what_was_told_is_remembered_until_the_hook_recovers(history):
    await failing(history)
    store = SqlFailureRecords(history.engine)
    assert await store.note_warning(FAILING, 50, 1000.25)
    [seen] = await store.failure_records()
    assert (seen.warned, seen.warned_since) == (50, 1000.25)
    back = update(hook_health).values(failing_since=None, last_success_at=6000.0, failed_attempts=0)
    await history.engine.write(lambda connection: connection.execute(back))
    [seen] = await store.failure_records()
    assert await store.note_warning(seen, 0, None)
    assert await store.failure_records() == []


async def test_only_one_of_two_that_looked_together_may_tell(history):
    await failing(history)
    store = SqlFailureRecords(history.engine)
    assert await store.note_warning(FAILING, 50, 1000.25)
    assert not await store.note_warning(FAILING, 50, 1000.25)
    assert not await store.note_warning(FailureRecord("nobody"), 50, 1000.25)


async def test_when_somebody_attended_to_a_hook_is_known(history):
    await failing(history)
    await history.set_hook_state(HookState("crm", paused=False, reason="", at=3000.0))
    [seen] = await SqlFailureRecords(history.engine).failure_records()
    assert seen.attended_at == 3000.0


async def test_what_went_into_quarantine_lately_is_counted_by_source(history):
    entries = [
        Quarantined(new_id(), source, "bug", "", at, Message(b"x"))
        for source, at in (("crm", 10.0), ("crm", 20.0), ("crm", 30.0), ("shop", 20.0), ("old", 10.0))
    ]
    await history.commit(entries)
    assert await SqlFailureRecords(history.engine).quarantined(20.0) == {"crm": 2, "shop": 1}
