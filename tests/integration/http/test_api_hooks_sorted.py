"""Hooks sorted by how they fare, with what waits for each, and the series of several at once."""

import time
from typing import Any

import pytest

from bridge.core.delivery import Status
from bridge.core.records import HookHealth
from bridge.history.history import SqlHistory
from tests.support.api_server import ServedApi, serving_api
from tests.support.records import NOW, a_delivery, an_event, delivered, waiting
from tests.support.statistics import failed_for_good

NAMES = ("broken", "failing", "off", "paused", "well")


def hook(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "target": {"type": "webhook", "url": "https://x.example.net/"}, **fields}


HOOKS = [
    *(hook(name) for name in ("broken", "failing", "well")),
    hook("off", enabled=False),
    hook("paused", paused=True),
]


def in_trouble(api: ServedApi) -> None:
    api.in_force.broken = {"broken": "target.url: cannot be read"}
    api.in_force.health = {
        "failing": HookHealth("failing", failing_since=30.0, failed_attempts=7),
        "well": HookHealth("well", failing_since=40.0, failed_attempts=1),
    }


async def names(api: ServedApi, query: str) -> list[str]:
    """The names on all pages of two."""
    found: list[str] = []
    cursor = ""
    while True:
        page = await api.client.get(f"/hooks?limit=2&{query}{cursor}")
        found += [each["name"] for each in page["items"]]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("trouble", ["broken", "failing", "paused", "well", "off"]),
        ("waiting", ["well", "paused", "broken", "failing", "off"]),
        ("failures", ["failing", "well", "broken", "off", "paused"]),
        ("name", sorted(NAMES)),
    ],
)
async def test_hooks_are_sorted_page_after_page(history: SqlHistory, sort: str, expected: list[str]):
    await history.commit([waiting(a_delivery(hook=each)) for each in ("well", "well", "paused")])
    async with serving_api(history, HOOKS) as api:
        in_trouble(api)

        assert await names(api, f"sort={sort}") == expected


async def test_a_hook_in_a_list_tells_what_waits_and_since_when_it_fails(history: SqlHistory):
    events = [an_event(NOW - 9), an_event(NOW)]
    await history.commit([waiting(a_delivery(each, hook="well"), Status.RETRYING) for each in events])
    async with serving_api(history, HOOKS) as api:
        in_trouble(api)
        (well,) = (await api.client.get("/hooks?q=well"))["items"]
        (off,) = (await api.client.get("/hooks?state=disabled"))["items"]

    assert (well["waiting"], well["oldest_waiting_at"]) == (2, "2025-05-05T07:08:00.250000Z")
    assert (well["failing_since"], well["failed_attempts"]) == ("1970-01-01T00:00:40Z", 1)
    assert (off["waiting"], off["oldest_waiting_at"], off["failing_since"]) == (0, None, None)


async def test_hooks_are_listed_without_the_database(history: SqlHistory):
    async with serving_api(history, HOOKS) as api:
        await history.close()
        found = (await api.client.get("/hooks?sort=waiting"))["items"]

    assert [(each["name"], each["waiting"]) for each in found] == [(name, None) for name in sorted(NAMES)]


async def test_a_cursor_of_another_text_is_refused(history: SqlHistory):
    async with serving_api(history, HOOKS) as api:
        assert (await api.client.refused("/hooks?sort=trouble&cursor=A_B")).names == ["cursor"]
        assert (await api.client.refused("/hooks?sort=size")).names == ["sort"]


async def test_the_series_of_several_hooks_come_in_one_answer(history: SqlHistory):
    now = time.time()
    hours = [now - 7200, now - 3600, now]
    await history.commit(
        [
            *(delivered(a_delivery(an_event(at), hook="well"), at=at) for at in hours),
            failed_for_good(a_delivery(an_event(now), hook="failing"), at=now),
        ]
    )
    async with serving_api(history, HOOKS) as api:
        found = await api.client.get("/stats/series?hook=failing&hook=well&hook=off")
        refused = await api.client.refused("/stats/series?hook=failing&by=minute&from=-24h")
        none = await api.client.refused("/stats/series")
        unknown = await api.client.refused("/stats/series?hook=wel", 422)

    assert [each["hook"] for each in found["items"]] == ["failing", "well", "off"]
    failing, well, off = (
        [(step["succeeded"], step["failed"]) for step in each["steps"]] for each in found["items"]
    )
    assert (failing, well, off) == ([(0, 1)], [(1, 0)] * 3, [])
    assert found["from"] < found["items"][1]["steps"][0]["at"]
    assert (refused.names, none.names, unknown.names) == (["by"], ["hook"], ["hook"])
