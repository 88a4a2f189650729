"""Messages that may have ended a process are counted, once for each of its lives: on both databases."""

import pytest
from sqlalchemy import update

from bridge.core.records import Replica
from bridge.db.admin_tables import suspects as table
from bridge.history.guards_store import SqlSuspects
from bridge.history.history import SqlHistory
from bridge.history.leases import SqlReplicas

MANY = [f"{number:064x}" for number in range(1200)]


@pytest.fixture
def suspects(history: SqlHistory) -> SqlSuspects:
    return SqlSuspects(history.engine)


async def test_each_life_of_a_process_counts_once_and_ones_own_not_at_all(suspects: SqlSuspects):
    assert await suspects.times(["a", "b"], "first") == {}
    await suspects.note(["a", "b"], "first")
    await suspects.note(["b", "b"], "first")
    assert await suspects.times(["a", "b"], "first") == {}
    assert await suspects.times(["a", "b", "c"], "second") == {"a": 1, "b": 1}
    await suspects.note(["a"], "second")
    assert await suspects.times(["a", "b"], "second") == {"a": 1, "b": 1}
    assert await suspects.times(["a", "b"], "third") == {"a": 2, "b": 1}


async def test_who_is_over_is_forgotten_with_the_note_of_the_next(suspects: SqlSuspects):
    await suspects.note(["a", "b"], "first")
    await suspects.note(["b"], "second", over=["a"])
    assert await suspects.times(["a", "b"], "third") == {"b": 2}
    await suspects.clear(["b"])
    await suspects.clear([])
    assert await suspects.times(["a", "b"], "third") == {}


async def test_a_doubt_takes_back_what_this_life_counted_and_an_orderly_stop_all_but_what_others_noted(
    suspects: SqlSuspects, history: SqlHistory
):
    for name in ("first", "second"):
        await SqlReplicas(history.engine).seen(Replica(name, "host:1", "webhook", 0, 0, 0))
    await suspects.note(["d"], "gone")
    await suspects.note(["a", "b", "c"], "first")
    await suspects.note(["a", "b"], "second")
    await suspects.doubt(["a"], "second")
    assert await suspects.times(["a", "b", "c"], "third") == {"a": 1, "b": 2, "c": 1}
    await suspects.leave("second")
    assert await suspects.times(["a", "b", "c", "d"], "third") == {"c": 1}


async def test_unclean_stops_are_counted_in_a_row_until_one_in_order_or_for_some_minutes(
    suspects: SqlSuspects, history: SqlHistory
):
    assert [await suspects.count_unclean_stop() for _ in range(3)] == [1, 2, 3]
    await suspects.leave("second")
    await suspects.note(["a"], "first")
    assert [await suspects.count_unclean_stop() for _ in range(2)] == [1, 2]
    old = update(table).where(table.c.digest != "a").values(noted_at=table.c.noted_at - 700)
    await history.engine.write(lambda connection: connection.execute(old))
    assert await suspects.count_unclean_stop() == 1
    assert await suspects.times(["a"], "second") == {"a": 1}


async def test_nobody_is_suspected_for_longer_than_a_day(suspects: SqlSuspects, history: SqlHistory):
    await suspects.note(["a", "b"], "first")
    old = update(table).where(table.c.digest == "a").values(noted_at=table.c.noted_at - 90_000)
    await history.engine.write(lambda connection: connection.execute(old))
    assert await suspects.times(["a", "b"], "second") == {"b": 1}
    await suspects.note(["a"], "second")
    assert await suspects.times(["a", "b"], "third") == {"a": 1, "b": 1}


async def test_as_many_as_a_process_may_hold_are_noted_and_cleared(suspects: SqlSuspects):
    await suspects.note(MANY, "first")
    assert await suspects.times(MANY, "second") == dict.fromkeys(MANY, 1)
    await suspects.clear(MANY[:-1])
    assert await suspects.times(MANY, "second") == {MANY[-1]: 1}
