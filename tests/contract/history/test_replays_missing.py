"""Events that have no delivery for a hook, and the deliveries made of them, on both databases."""

from typing import Any

import pytest

from bridge.core.delivery import Status, Unmatched
from bridge.core.event import Event
from bridge.core.records import Lacking, Replay, ReplayFilter, Restart
from bridge.deliveries.outbox import SqlOutbox
from bridge.history.history import SqlHistory
from bridge.replays.store import SqlReplays
from tests.support.records import NOW, a_delivery, an_event
from tests.support.replays import LATER, a_replay, added, failed

MISSING = ReplayFilter("crm", missing=True)


@pytest.fixture
def replays(history: SqlHistory) -> SqlReplays:
    return SqlReplays(history.engine)


async def unmatched(history: SqlHistory, count: int, **event: Any) -> list[Event]:
    events = [an_event(NOW + number / 100, **event) for number in range(count)]
    await history.commit([Unmatched(each) for each in events])
    return events


async def look_at_all(replays: SqlReplays, replay: Replay, limit: int = 100) -> list[str]:
    """Ids of all events that are lacking."""
    found: list[str] = []
    while True:
        some = await replays.lacking(replay, "crm", limit)
        found += [event.id for event in some.events]
        if some.reached is None:
            return found
        replay, _ = await replays.supply(replay, "crm", "webhook", Lacking((), some.reached), LATER)


async def supply_all(replays: SqlReplays, replay: Replay, limit: int = 100) -> tuple[Replay, list[Restart]]:
    made: list[Restart] = []
    while replay.left:
        found = await replays.lacking(replay, "crm", limit)
        replay, some = await replays.supply(replay, "crm", "webhook", found, LATER)
        made += some
    return replay, made


async def test_finds_events_without_a_delivery_for_the_hook(history: SqlHistory, replays: SqlReplays) -> None:
    without = await unmatched(history, 2)
    for_another = an_event(NOW + 1)
    served = an_event(NOW + 2)
    await history.commit(
        [
            failed(a_delivery(for_another, hook="erp")),
            failed(a_delivery(served)),
            failed(a_delivery(served, hook="erp")),
        ]
    )
    found = await look_at_all(replays, await added(replays, a_replay(MISSING)))
    assert found == [*(each.id for each in without), for_another.id]


async def test_looks_through_thousands_in_bounded_steps(history: SqlHistory, replays: SqlReplays) -> None:
    events = await unmatched(history, 3000)
    replay = await added(replays, a_replay(MISSING))
    assert await look_at_all(replays, replay, 700) == [event.id for event in events]


async def test_large_bodies_are_read_a_few_at_a_time(history: SqlHistory, replays: SqlReplays) -> None:
    events = await unmatched(history, 5, body=b"x" * 3_000_000)
    replay = await added(replays, a_replay(MISSING))
    assert len((await replays.lacking(replay, "crm", 100)).events) == 2
    assert await look_at_all(replays, replay) == [event.id for event in events]


@pytest.mark.parametrize(
    "which",
    [
        ReplayFilter("crm", since=NOW + 1, missing=True),
        ReplayFilter("crm", until=NOW, missing=True),
        ReplayFilter("crm", event_type="a.c", missing=True),
        ReplayFilter("crm", source="two", missing=True),
    ],
    ids=["from", "to", "type", "source"],
)
async def test_finds_only_what_the_filter_fits(
    history: SqlHistory, replays: SqlReplays, which: ReplayFilter
) -> None:
    await history.commit([Unmatched(an_event(NOW, type="a.b", source="one"))])
    assert await look_at_all(replays, await added(replays, a_replay(which))) == []


async def test_events_that_came_later_are_left_alone(history: SqlHistory, replays: SqlReplays) -> None:
    await history.commit([Unmatched(an_event(LATER + 1))])
    assert await look_at_all(replays, await added(replays, a_replay(MISSING))) == []


async def test_makes_each_delivery_once_and_puts_it_into_the_outbox(
    history: SqlHistory, replays: SqlReplays
) -> None:
    events = await unmatched(history, 5, type="a.b")
    ended, made = await supply_all(replays, await added(replays, a_replay(MISSING)), limit=2)
    assert ended.done == 5
    assert [each.event_id for each in made] == [event.id for event in events]
    assert {(each.generation, each.attempts) for each in made} == {(1, 0)}
    assert set(await SqlOutbox(history.engine).outbox(LATER + 1, 10)) == set(made)
    found = await history.delivery(made[0].delivery_id)
    assert found is not None
    delivery, attempts = found
    assert (delivery.status, delivery.hook, delivery.target) == (Status.PENDING, "crm", "webhook")
    assert (delivery.event_type, delivery.created_at, attempts) == ("a.b", events[0].received_at, ())
    again, nothing = await supply_all(replays, await added(replays, a_replay(MISSING, at=LATER + 1)))
    assert not nothing
    assert again.done == 0


async def test_two_that_found_the_same_make_it_once(history: SqlHistory, replays: SqlReplays) -> None:
    await unmatched(history, 3)
    one, other = [await added(replays, a_replay(MISSING, at=LATER + number)) for number in range(2)]
    found = [await replays.lacking(each, "crm", 100) for each in (one, other)]
    _, first = await replays.supply(one, "crm", "webhook", found[0], LATER)
    _, second = await replays.supply(other, "crm", "webhook", found[1], LATER)
    assert (len(first), len(second)) == (3, 0)


async def test_a_delivery_that_was_recorded_meanwhile_is_not_made(
    history: SqlHistory, replays: SqlReplays
) -> None:
    first, second = await unmatched(history, 2)
    replay = await added(replays, a_replay(MISSING))
    found = await replays.lacking(replay, "crm", 100)
    await history.commit([failed(a_delivery(first))])
    _, made = await replays.supply(replay, "crm", "webhook", found, LATER)
    assert [each.event_id for each in made] == [second.id]
