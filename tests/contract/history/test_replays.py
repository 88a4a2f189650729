"""What a replay takes from the history, on both databases."""

from dataclasses import replace

import pytest

from bridge.core.delivery import Status
from bridge.core.records import ReplayFilter, ReplayStatus
from bridge.deliveries.outbox import SqlOutbox
from bridge.history.history import SqlHistory
from bridge.replays.store import SqlReplays
from tests.support.records import NOW, a_delivery, an_event, new_id
from tests.support.replays import LATER, a_replay, added, failed, failures, statuses, take_all


@pytest.fixture
def replays(history: SqlHistory) -> SqlReplays:
    return SqlReplays(history.engine)


async def test_takes_each_failed_delivery_once_the_oldest_first(
    history: SqlHistory, replays: SqlReplays
) -> None:
    old = failures(25)
    await history.commit(old)
    replay = await added(replays, a_replay())
    ended, taken = await take_all(replays, replay, limit=10)
    assert [each.delivery_id for each in taken] == [record.delivery.id for record in old]
    assert {each.generation for each in taken} == {2}
    assert ended.done == 25
    assert await statuses(history, old) == [Status.PENDING] * 25


async def test_what_is_taken_is_in_the_outbox(history: SqlHistory, replays: SqlReplays) -> None:
    await history.commit(failures(3))
    _, taken = await take_all(replays, await added(replays, a_replay()))
    assert set(await SqlOutbox(history.engine).outbox(LATER + 2, 10)) == set(taken)


async def test_a_delivery_that_fails_again_is_not_taken_again(
    history: SqlHistory, replays: SqlReplays
) -> None:
    first, second = failures(2)
    await history.commit([first, second])
    replay = await added(replays, a_replay())
    replay, (one,) = await replays.take(replay, "crm", 1, LATER + 1)
    assert one.delivery_id == first.delivery.id
    await history.commit([failed(replace(first.delivery, generation=2, attempt=2), at=LATER + 2)])
    _, rest = await take_all(replays, replay)
    assert [each.delivery_id for each in rest] == [second.delivery.id]


async def test_what_came_or_failed_after_it_was_made_is_left_alone(
    history: SqlHistory, replays: SqlReplays
) -> None:
    retrying = failed(a_delivery(an_event(NOW)), at=LATER + 1)
    new = failed(a_delivery(an_event(LATER + 1)), at=LATER + 1)
    (old,) = failures(1)
    await history.commit([retrying, new, old])
    _, taken = await take_all(replays, await added(replays, a_replay()))
    assert [each.delivery_id for each in taken] == [old.delivery.id]


@pytest.mark.parametrize("asked", ["type", "source", "from", "to", "status", "all of them"])
async def test_takes_and_counts_only_what_every_part_of_the_filter_fits(
    history: SqlHistory, replays: SqlReplays, asked: str
) -> None:
    wanted = failed(a_delivery(an_event(NOW + 50, type="a.b", source="one")), at=NOW + 50)
    others = {
        "type": failed(a_delivery(an_event(NOW + 50, type="a.c", source="one")), at=NOW + 50),
        "source": failed(a_delivery(an_event(NOW + 50, type="a.b", source="two")), at=NOW + 50),
        "from": failed(a_delivery(an_event(NOW + 49, type="a.b", source="one")), at=NOW + 49),
        "to": failed(a_delivery(an_event(NOW + 51, type="a.b", source="one")), at=NOW + 51),
        "status": failed(
            a_delivery(an_event(NOW + 50, type="a.b", source="one")), at=NOW + 50, status=Status.SUCCESS
        ),
    }
    filters = {
        "type": ReplayFilter(event_type="a.b"),
        "source": ReplayFilter(source="one"),
        "from": ReplayFilter(since=NOW + 50),
        "to": ReplayFilter(until=NOW + 50.5),
        "status": ReplayFilter(statuses=frozenset({Status.FAILED})),
        "all of them": ReplayFilter("crm", frozenset({Status.FAILED}), "a.b", "one", NOW + 50, NOW + 50.5),
    }
    unwanted = list(others.values()) if asked == "all of them" else [others[asked]]
    await history.commit([wanted, *unwanted])
    which = filters[asked]
    assert (await replays.count(which)).by_hook == {"crm": 1}
    _, taken = await take_all(replays, await added(replays, a_replay(which)))
    assert [each.delivery_id for each in taken] == [wanted.delivery.id]


async def test_several_statuses_are_taken_in_one_order(history: SqlHistory, replays: SqlReplays) -> None:
    records = [
        replace(record, status=Status.SUCCESS if number % 3 else Status.FAILED)
        for number, record in enumerate(failures(200))
    ]
    await history.commit(records)
    which = ReplayFilter(statuses=frozenset({Status.SUCCESS, Status.FAILED}))
    _, taken = await take_all(replays, await added(replays, a_replay(which)), limit=7)
    assert [each.delivery_id for each in taken] == [record.delivery.id for record in records]


async def test_what_is_rare_is_found_behind_thousands_of_others(
    history: SqlHistory, replays: SqlReplays
) -> None:
    await history.commit(failures(2500, type="a.frequent"))
    rare = failed(a_delivery(an_event(NOW + 2600, type="a.rare")), at=NOW + 2600)
    await history.commit([rare])
    which = ReplayFilter(event_type="a.rare")
    assert (await replays.count(which)).by_hook == {"crm": 1}
    replay = await added(replays, a_replay(which, at=NOW + 3000))
    _, taken = await take_all(replays, replay, at=NOW + 3001)
    assert [each.delivery_id for each in taken] == [rare.delivery.id]


async def test_counts_by_hook_those_that_are_gone_included(history: SqlHistory, replays: SqlReplays) -> None:
    await history.commit([*failures(3), *failures(2, "gone"), *failures(4, "erp")])
    counted = await replays.count(ReplayFilter())
    assert counted.by_hook == {"crm": 3, "gone": 2, "erp": 4}
    assert counted.exact


async def test_what_is_left_of_a_hook_that_went_is_counted_and_left_out(
    history: SqlHistory, replays: SqlReplays
) -> None:
    old = failures(5)
    await history.commit(old)
    replay, _ = await replays.take(await added(replays, a_replay()), "crm", 2, LATER + 1)
    replay = await replays.leave_out(replay, "crm", LATER + 2)
    assert (replay.done, replay.left_out, replay.left) == (2, 3, {})
    assert await statuses(history, old) == [Status.PENDING] * 2 + [Status.FAILED] * 3


async def test_who_believes_it_to_be_elsewhere_takes_nothing(
    history: SqlHistory, replays: SqlReplays
) -> None:
    await history.commit(failures(5))
    believed = await added(replays, a_replay())
    stands, first = await replays.take(believed, "crm", 2, LATER + 1)
    assert len(first) == 2
    told, nothing = await replays.take(believed, "crm", 2, LATER + 2)
    assert not nothing
    assert told == stands


async def test_a_cancelled_one_takes_nothing_more(history: SqlHistory, replays: SqlReplays) -> None:
    await history.commit(failures(5))
    replay = await added(replays, a_replay())
    assert await replays.end_replay(replay.id, ReplayStatus.CANCELLED, LATER + 1)
    assert not await replays.end_replay(replay.id, ReplayStatus.DONE, LATER + 2)
    stands, nothing = await replays.take(replay, "crm", 2, LATER + 3)
    assert not nothing
    assert stands.status is ReplayStatus.CANCELLED
    assert stands.finished_at == LATER + 1


async def test_is_listed_newest_first_and_stands_there_whole(replays: SqlReplays) -> None:
    which = ReplayFilter(
        "crm", frozenset({Status.FAILED, Status.SKIPPED}), "a.b", "one", NOW, LATER, missing=False
    )
    made = [await added(replays, a_replay(which, at=LATER + number, rate=0.5)) for number in range(5)]
    await replays.end_replay(made[0].id, ReplayStatus.FAILED, LATER + 9, "why")
    first = await replays.replays(after=None, limit=3)
    second = await replays.replays(after=first.next, limit=3)
    assert [each.id for each in (*first.items, *second.items)] == [each.id for each in reversed(made)]
    assert first.items[0] == made[4]
    assert second.next is None
    assert second.items[-1] == replace(
        made[0], status=ReplayStatus.FAILED, updated_at=LATER + 9, finished_at=LATER + 9, error="why"
    )
    assert await replays.unfinished() == made[1:]
    assert await replays.replay(made[2].id) == made[2]
    assert await replays.replay(new_id()) is None
    assert await replays.replay("no id") is None
    with pytest.raises(ValueError, match="cursor"):
        await replays.replays(after="nonsense", limit=3)
