"""What sources measure, summed up on both databases."""

import asyncio

import pytest

from bridge.core.delivery import Entry
from bridge.core.records import Measured, MeasuredStep
from bridge.history import sums
from bridge.history.history import SqlHistory, open_history
from bridge.measuring.spans import FAR
from bridge.stats.store import SqlStatistics
from tests.support.records import NOW, a_delivery, delivered
from tests.support.statistics import counted, played

DAY = 86_400
TODAY = int(NOW // DAY) * DAY


async def top(
    history: SqlHistory, dimension: str, order: str = "", *, kind: str | None = None
) -> list[Measured]:
    statistics = SqlStatistics(history.engine)
    found = await statistics.measured_top(
        "phlix", dimension, order=order, begin=0, end=FAR, limit=10, event_type=kind
    )
    return list(found)


async def test_values_of_a_dimension_are_ranked_by_events_or_by_a_sum(history: SqlHistory):
    await history.commit(
        [played("u1", "m1", 100), played("u1", "m2", 50, completed=False), played("u2", "m1", 1000)]
    )

    assert await top(history, "user") == [
        Measured("u1", 2, {"completed": 1.0, "duration": 150.0}),
        Measured("u2", 1, {"completed": 1.0, "duration": 1000.0}),
    ]
    assert [each.key for each in await top(history, "user", "duration")] == ["u2", "u1"]
    assert [(each.key, each.events) for each in await top(history, "media")] == [("m1", 2), ("m2", 1)]
    assert [(each.key, each.events) for each in await top(history, "completed")] == [
        ("true", 2),
        ("false", 1),
    ]


async def test_only_events_of_a_type_are_ranked_where_it_is_asked_for(history: SqlHistory):
    await history.commit(
        [
            played("u1", "m1", 1),
            counted({"user": "u2"}, kind="playback.started"),
            counted({"user": "u1"}, kind="x"),
        ]
    )

    assert [each.key for each in await top(history, "user", kind="playback.started")] == ["u2"]
    assert [(each.key, each.events) for each in await top(history, "user")] == [("u1", 2), ("u2", 1)]
    assert await top(history, "user", kind="unknown") == []


async def test_steps_have_their_events_and_sums(history: SqlHistory):
    for at in (TODAY - 1, TODAY, TODAY + 3599, TODAY + 3600):
        await history.commit([played("u1", "m1", 10, at=at)])
    statistics = SqlStatistics(history.engine)

    by_day = await statistics.measured_series("phlix", "day", 0, FAR)
    by_hour = await statistics.measured_series("phlix", "hour", TODAY, FAR)

    assert by_day == [
        MeasuredStep(TODAY - DAY, 1, {"completed": 1.0, "duration": 10.0}),
        MeasuredStep(TODAY, 3, {"completed": 3.0, "duration": 30.0}),
    ]
    assert [(step.at - TODAY, step.events) for step in by_hour] == [(0, 2), (3600, 1)]


async def test_sources_are_measured_apart(history: SqlHistory):
    await history.commit([counted({"user": "a"}), counted({"user": "b"}, source="other")])

    assert [each.key for each in await top(history, "user")] == ["a"]


async def test_a_publishers_wild_keys_types_and_numbers_are_taken_as_they_can_be(history: SqlHistory):
    wild = [
        counted({"user": "nul \0 and \ud800"}),
        counted({"user": "x" * 10_000}),
        counted({"user": ""}),
        counted({"user": 2**62, "n": 1e300}),
        counted({"n": -1e15}),
        counted({"n": 1e15, "user": "u"}, kind="t\0"),
    ]

    assert await history.commit([delivered(), *wild]) == []

    keys = {each.key for each in await top(history, "user")}
    assert keys == {"nul \\x00 and \\ud800", "x" * 200, str(2**62), "u"}
    assert [each.key for each in await top(history, "user", kind="t\0")] == ["u"]


async def test_more_keys_than_a_day_may_have_are_counted_together(
    history: SqlHistory, history_url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sums, "MOST_KEYS", 3)
    await history.commit([counted({"user": f"u{number}"}) for number in range(3)])
    again = await open_history(history_url)
    await again.commit([counted({"user": f"v{number}"}) for number in range(5)] + [counted({"user": "u1"})])
    await again.close()

    assert sorted((each.key, each.events) for each in await top(history, "user")) == [
        ("u0", 1),
        ("u1", 2),
        ("u2", 1),
    ]
    (step,) = await SqlStatistics(history.engine).measured_series("phlix", "day", 0, FAR)
    assert step.events == 9


async def test_replicas_add_to_the_same_keys_at_once(history: SqlHistory, history_url: str):
    other = await open_history(history_url)
    batches = [[played(f"u{number % 3}", "m", 1) for number in range(30)] for _ in range(16)]

    await asyncio.gather(
        *((history, other)[number % 2].commit(batch) for number, batch in enumerate(batches))
    )
    await other.close()

    assert [(each.events, each.sums["duration"]) for each in await top(history, "user")] == [(160, 160.0)] * 3


async def test_a_batch_that_is_committed_again_as_a_whole_measures_once(history: SqlHistory):
    batch: list[Entry] = [delivered(a_delivery()), played("u1", "m1", 5)]

    for _ in range(2):
        await history.commit(batch)

    assert [each.events for each in await top(history, "user")] == [1]


async def test_measures_go_with_the_other_sums(history: SqlHistory):
    await history.commit([played("u1", "m1", 5, at=NOW - 500 * DAY), played("u2", "m1", 5)])
    statistics = SqlStatistics(history.engine)

    while await statistics.prune_statistics(NOW, 400 * DAY, limit=5):
        pass

    assert [each.key for each in await top(history, "user")] == ["u2"]
