"""The overview: the worst first, each hook once, and figures that agree with the history."""

import time
from collections.abc import Sequence
from typing import Any

from bridge.core.delivery import Status
from bridge.core.ports import HookState
from bridge.core.records import HookHealth
from bridge.history.history import SqlHistory
from tests.support.api_server import ServedApi, serving_api
from tests.support.records import a_delivery, an_event, delivered, in_quarantine, waiting
from tests.support.statistics import failed_for_good


def hooks(*names: str, **fields: Any) -> list[dict[str, Any]]:
    target = {"type": "webhook", "url": "https://x.example.net/"}
    return [{"name": name, "target": target, **fields} for name in names]


def told(answer: Any, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(each[name] for name in ("kind", "id", *names)) for each in answer["alarms"]]


def only_fails(api: ServedApi, now: float, hooks: Sequence[str]) -> None:
    api.in_force.health = {
        hook: HookHealth(
            hook,
            last_attempt_at=now,
            last_failure_at=now,
            failing_since=now - 60,
            failed_attempts=4,
            failed_deliveries=2,
        )
        for hook in hooks
    }


async def test_where_all_is_well_there_is_no_alarm_and_figures_of_the_last_hour(history: SqlHistory):
    now = time.time()
    old = [delivered(a_delivery(an_event(now - 2 * 3600)), at=now - 2 * 3600)]
    await history.commit([*old, *(delivered(a_delivery(an_event(now)), at=now) for _ in range(3))])
    async with serving_api(history, hooks("crm")) as api:
        found = await api.client.get("/overview")

    tiles = found["tiles"]
    assert (found["alarms"], found["more_alarms"], found["last_failure_at"]) == ([], 0, None)
    assert (tiles["delivered"], tiles["failed"], tiles["waiting"]) == (3, 0, {"count": 0, "exact": True})
    assert tiles["p95_ms"] > 0
    assert tiles["oldest_waiting_at"] is None
    assert tiles["since"] < found["at"]


async def test_a_failing_hook_is_told_with_its_causes_and_when_it_will_be_paused(history: SqlHistory):
    now = time.time()
    at = a_delivery(an_event(now))
    await history.commit(
        [
            failed_for_good(at, at=now, code=503),
            failed_for_good(a_delivery(an_event(now)), at=now, code=503),
            failed_for_good(a_delivery(an_event(now)), at=now, outcome="timeout", code=None),
            waiting(a_delivery(an_event(now - 30)), Status.RETRYING, at=now),
        ]
    )
    async with serving_api(history, hooks("crm", "idle")) as api:
        only_fails(api, now, ["crm"])
        found = await api.client.get("/overview")

    (alarm,) = found["alarms"]
    assert (alarm["kind"], alarm["level"], alarm["name"]) == ("hook_failing", "critical", "crm")
    assert (alarm["failed"], alarm["waiting"]) == (2, 1)
    assert [(each["outcome"], each["status_code"], each["attempts"]) for each in alarm["causes"]] == [
        ("status", 503, 2),
        ("timeout", None, 1),
    ]
    assert alarm["pauses_at"] > alarm["since"]
    assert found["last_failure_at"] > alarm["since"]
    assert found["tiles"]["oldest_waiting_at"] < found["at"]


async def test_alarms_come_the_worst_first_and_a_hook_has_one(history: SqlHistory):
    now = time.time()
    await history.commit([in_quarantine(now), in_quarantine(now, reason="bug")])
    async with serving_api(history, [*hooks("broken", "failing"), *hooks("paused", paused=True)]) as api:
        only_fails(api, now, ["failing", "paused", "broken"])
        api.in_force.broken = {"broken": "target.url: cannot be read"}
        api.health["broker"] = {"consume": "down", "publish": "up"}
        api.sources.states["splynx"] = "connecting"
        api.health["problems"] = ["another bridge serves this prefix"]
        found = await api.client.get("/overview")

    assert told(found, "level") == [
        ("broker_down", "consume", "critical"),
        ("source_down", "splynx", "critical"),
        ("problem", "", "critical"),
        ("hook_broken", "broken", "critical"),
        ("hook_failing", "failing", "critical"),
        ("hook_paused", "paused", "warning"),
        ("quarantine", "bug", "warning"),
        ("quarantine", "undecodable", "warning"),
    ]


async def test_a_pause_is_told_with_its_reason_and_when_it_began(history: SqlHistory):
    async with serving_api(history, hooks("crm", "off")) as api:
        api.in_force.states = {"crm": HookState("crm", paused=True, reason="gone", at=1_700_000_000.0)}
        api.runner("crm").pause("gone")
        found = await api.client.get("/overview")

    assert told(found, "reason", "since") == [("hook_paused", "crm", "gone", "2023-11-14T22:13:20Z")]


async def test_a_disabled_hook_is_no_alarm(history: SqlHistory):
    async with serving_api(history, hooks("off", enabled=False)) as api:
        only_fails(api, time.time(), ["off"])

        assert (await api.client.get("/overview"))["alarms"] == []


async def test_an_overview_is_made_once_a_second_however_many_ask(history: SqlHistory):
    async with serving_api(history, hooks("crm")) as api:
        first = await api.client.get("/overview")
        second = await api.client.get("/overview")

    assert first["at"] == second["at"]


async def test_without_a_database_it_tells_what_this_process_knows(history: SqlHistory):
    async with serving_api(history, hooks("crm", paused=True)) as api:
        await history.close()
        found = await api.client.get("/overview")

    assert told(found, "waiting") == [("database_down", "", None), ("hook_paused", "crm", None)]
    assert found["tiles"] is None
