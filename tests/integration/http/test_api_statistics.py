"""Statistics over HTTP, on a history that holds some."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.history.history import SqlHistory
from tests.support.api_server import ApiClient, serving_api
from tests.support.records import a_delivery, an_event, delivered
from tests.support.statistics import failed_for_good, played

DAY = 86_400
SOURCES = (
    {"name": "phlix", "queue": "q1", "format": "phlix"},
    {"name": "splynx", "queue": "q2", "dimensions": {"admin": "event.data.administrator_id"}},
    {"name": "plain", "queue": "q3", "format": "json"},
)
HOOKS = [{"name": "crm", "target": {"type": "webhook", "url": "https://x.example.net/"}}]


@asynccontextmanager
async def serving(
    history: SqlHistory, sources: Sequence[dict[str, Any]] = SOURCES
) -> AsyncIterator[ApiClient]:
    async with serving_api(history, HOOKS, sources) as api:
        yield api.client


def ended(at: float, hook: str = "crm", *, good: bool = True, **attempt: Any) -> Any:
    delivery = a_delivery(an_event(at), hook=hook)
    return delivered(delivery, at=at, **attempt) if good else failed_for_good(delivery, at=at, **attempt)


async def test_a_hook_shows_totals_rate_and_response_times(history: SqlHistory):
    now = time.time()
    await history.commit(
        [*(ended(now - 5, duration_ms=20.0) for _ in range(19)), ended(now, good=False, duration_ms=500.0)]
    )
    async with serving(history) as client:
        found = await client.get("/hooks/crm/stats")

    assert found["hook"] == "crm"
    assert found["from"] is None
    assert (found["total_deliveries"], found["succeeded"], found["failed"], found["skipped"]) == (
        20,
        19,
        1,
        0,
    )
    assert found["success_rate"] == 95.0
    assert found["average_ms"] == pytest.approx(44.0)
    assert found["p50_ms"] == pytest.approx(20, rel=0.2)
    assert found["p95_ms"] == pytest.approx(20, rel=0.2)
    assert (found["consecutive_failures"], found["consecutive_failed_deliveries"]) == (1, 1)
    assert found["last_success_at"] < found["failing_since"] == found["last_attempt_at"]


async def test_a_hook_that_nothing_was_attempted_for_has_no_rate_and_no_times(history: SqlHistory):
    async with serving(history) as client:
        found = await client.get("/hooks/crm/stats?from=-7d&to=now")

    assert found["total_deliveries"] == 0
    assert [
        found[name] for name in ("success_rate", "average_ms", "p50_ms", "p95_ms", "last_success_at")
    ] == [None] * 5


async def test_failures_are_told_by_hook_outcome_and_code(history: SqlHistory):
    now = time.time()
    await history.commit(
        [
            ended(now),
            *(ended(now, good=False, code=503) for _ in range(2)),
            ended(now - 3 * DAY, "gone", good=False),
        ]
    )
    async with serving(history) as client:
        found = await client.get("/failures")
        lately = await client.get("/failures?from=-1h&hook=crm")
        refused = await client.refused("/failures?hook=crmm", 422)

    told = [
        tuple(each[name] for name in ("hook_name", "outcome", "status_code", "attempts", "deliveries"))
        for each in found["items"]
    ]
    assert told == [("crm", "status", 503, 2, 2), ("gone", "status", 500, 1, 1)]
    assert [each["hook"] for each in lately["items"]] == ["crm"]
    assert lately["items"][0]["since"] <= lately["to"]
    assert found["from"] is None
    assert "did you mean crm?" in refused.body["detail"]


async def test_a_hook_that_is_gone_counts_but_no_longer_fails(history: SqlHistory):
    now = time.time()
    await history.commit([ended(now, "gone", good=False), ended(now)])
    async with serving(history) as client:
        found = await client.get("/stats")

    assert found["totals"]["failed"] == 1
    assert (found["totals"]["consecutive_failures"], found["totals"]["failing_since"]) == (0, None)
    assert {each["hook"]: each["consecutive_failures"] for each in found["hooks"]} == {"crm": 0, "gone": 1}


async def test_statistics_of_no_hook_are_nowhere(history: SqlHistory):
    async with serving(history) as client:
        await client.refused("/hooks/unknown/stats", 404)


async def test_spans_are_relative_dates_or_moments(history: SqlHistory):
    now = time.time()
    await history.commit([ended(now), ended(now - 3 * DAY), ended(now - 40 * DAY)])
    async with serving(history) as client:
        counts = {
            span: (await client.get(f"/stats{span}"))["totals"]["total_deliveries"]
            for span in (
                "",
                "?from=-1h",
                "?from=-7d",
                "?from=today",
                "?from=-30%20days&to=now",
                "?to=-2d",
                "?from=1970-01-01",
            )
        }

    assert counts == {
        "": 3,
        "?from=-1h": 1,
        "?from=-7d": 2,
        "?from=today": 1,
        "?from=-30%20days&to=now": 2,
        "?to=-2d": 2,
        "?from=1970-01-01": 3,
    }


async def test_all_hooks_are_told_together_one_by_one_and_step_by_step(history: SqlHistory):
    now = time.time()
    await history.commit(
        [ended(now - 2 * DAY), ended(now), ended(now, "other"), ended(now, "other", good=False)]
    )
    async with serving(history) as client:
        found = await client.get("/stats?by=day&from=-7d")
        of_one = await client.get("/stats?hook=other&by=hour")

    assert found["totals"]["succeeded"] == 3
    assert [(each["hook"], each["total_deliveries"]) for each in found["hooks"]] == [("crm", 2), ("other", 2)]
    assert [(step["succeeded"], step["failed"], step["attempts"]) for step in found["series"]] == [
        (1, 0, 1),
        (2, 1, 3),
    ]
    assert found["series"][0]["at"].endswith("T00:00:00Z")
    assert [each["hook"] for each in of_one["hooks"]] == ["other"]
    assert sum(step["failed"] for step in of_one["series"]) == 1


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/stats?from=soon", ["from"]),
        ("/stats?by=week", ["by"]),
        ("/stats?by=minute&from=-30d", ["by"]),
        ("/stats?hook=a/b&since=-7d", ["since", "hook"]),
        ("/hooks/crm/stats?by=day", ["by"]),
        ("/failures?limit=0&from=soon", ["from", "limit"]),
        ("/stats/top?source=phlix", ["dimension"]),
        ("/stats/top?source=phlix&dimension=nobody&order=nothing&limit=0", ["dimension", "order", "limit"]),
        ("/stats/top?dimension=user", ["source", "dimension"]),
        ("/stats/measures?source=phlix&by=minute", ["by"]),
        ("/admin/stats/playback?since=-7d", ["since"]),
        ("/admin/stats/top-users?since=never&limit=many", ["since", "limit"]),
    ],
)
async def test_what_is_wrong_is_named(history: SqlHistory, path: str, names: list[str]):
    async with serving(history) as client:
        answer = await client.ask(path)

    assert answer.status == 400, answer.body
    if "invalid-params" in answer.body:
        assert sorted(answer.names) == sorted(names)


async def test_dimensions_of_a_source_are_told(history: SqlHistory):
    async with serving(history) as client:
        assert await client.get("/stats/dimensions?source=phlix") == {
            "source": "phlix",
            "items": ["user", "media", "duration", "completed"],
        }
        assert (await client.get("/stats/dimensions?source=plain"))["items"] == []
    async with serving(history, SOURCES[1:]) as client:
        assert await client.get("/stats/dimensions") == {"source": "splynx", "items": ["admin"]}


async def test_values_with_the_most_are_told_by_events_or_a_sum(history: SqlHistory):
    now = time.time()
    await history.commit(
        [played("u1", "m1", 10, at=now), played("u1", "m2", 5, at=now), played("u2", "m1", 99, at=now)]
    )
    async with serving(history) as client:
        by_events = await client.get("/stats/top?source=phlix&dimension=user")
        by_sum = await client.get(
            "/stats/top?source=phlix&dimension=user&order=duration&limit=1&type=playback.ended"
        )
        series = await client.get("/stats/measures?source=phlix&by=hour&from=-1d")

    assert by_events["items"][0] == {"key": "u1", "events": 2, "sums": {"completed": 2.0, "duration": 15.0}}
    assert [item["key"] for item in by_sum["items"]] == ["u2"]
    assert sum(item["events"] for item in series["items"]) == 3
    assert sum(item["sums"]["duration"] for item in series["items"]) == 114.0


async def test_phlix_gets_its_statistics_word_for_word(history: SqlHistory):
    day = time.time() // DAY * DAY
    await history.commit(
        [
            played("u1", "m1", 100, at=day - DAY),
            played("u1", "m1", 50, completed=False, at=day),
            played("u2", "m2", 500, at=day),
        ]
    )
    async with serving(history) as client:
        playback = await client.get("/admin/stats/playback?from=-30%20days&to=now")
        today = await client.get("/admin/stats/playback?from=today&to=today")
        users = await client.get("/admin/stats/top-users?limit=10")
        media = await client.get("/admin/stats/top-media?limit=1&since=-30%20days")

    date = time.strftime("%Y-%m-%d", time.gmtime(day))
    assert [row["play_count"] for row in playback["data"]] == [1, 2]
    assert today == {"data": [{"date": date, "play_count": 2, "total_duration": 550, "completed_count": 1}]}
    assert users == {
        "data": [
            {"user_id": "u2", "total_watch_time": 500, "play_count": 1},
            {"user_id": "u1", "total_watch_time": 150, "play_count": 2},
        ]
    }
    assert media == {"data": [{"media_item_id": "m1", "play_count": 2, "total_duration": 150}]}


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/stats?from=now&to=-1h", "to: must be after"),
        ("/stats?hook=crmm", "did you mean crm?"),
        ("/stats/measures?source=phlx", "did you mean phlix?"),
        ("/stats/measures?source=phlix&type=media.playback.complet", "no event of type"),
    ],
)
async def test_what_nobody_is_called_is_refused_with_the_nearest_name(
    history: SqlHistory, path: str, told: str
):
    async with serving(history) as client:
        answer = await client.refused(path, 422)

    assert told in answer.body["detail"]
