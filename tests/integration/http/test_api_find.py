"""What a pasted text stands for, and the types of events."""

import time
from typing import Any

import pytest

from bridge.core.hook import Hook
from bridge.history.history import SqlHistory
from bridge.replays.store import SqlReplays
from tests.support.api_server import ApiClient, serving_api
from tests.support.records import NOW, a_delivery, an_event, delivered, in_quarantine
from tests.support.replays import a_replay

TARGET = {"type": "webhook", "url": "https://x.example.net/"}
HOOKS = [{"name": name, "target": TARGET} for name in ("crm", "crm-test", "old-crm", "shop")]


async def found(client: ApiClient, text: str) -> list[tuple[str, str, str]]:
    items = (await client.get(f"/find?q={text}"))["items"]
    return [(each["kind"], each["id"], each["by"]) for each in items]


async def test_an_id_of_any_kind_is_found_whole_and_by_its_beginning(history: SqlHistory):
    delivery = a_delivery(an_event(publisher_id="order-4711", webhook_id="wh_one"))
    replay, message = a_replay(), in_quarantine()
    await history.commit([delivered(delivery), message])
    await SqlReplays(history.engine).add_replay(replay)
    async with serving_api(history, HOOKS) as api:
        for kind, known in (
            ("event", delivery.event.id),
            ("delivery", delivery.id),
            ("replay", replay.id),
            ("quarantine", message.id),
        ):
            assert (kind, known, "id") in await found(api.client, known)
            assert (kind, known, "id") in await found(api.client, known[:20].upper())
        assert await found(api.client, "order-4711") == [("event", delivery.event.id, "publisher_id")]
        assert await found(api.client, "wh_one") == [("event", delivery.event.id, "webhook_id")]
        assert await found(api.client, "nothing-has-this") == []


async def test_hooks_are_found_by_name_the_nearest_first(history: SqlHistory):
    async with serving_api(history, HOOKS) as api:
        made = await api.client.send("POST", "/hooks", {"name": "crm-api", "target": TARGET})

        hooks = await found(api.client, "CRM")
        assert [name for kind, name, _ in hooks if kind == "hook"] == [
            "crm",
            made.body["id"],
            "crm-test",
            "old-crm",
        ]
        assert await found(api.client, made.body["id"]) == [("hook", made.body["id"], "id")]


async def test_a_request_id_is_found_by_an_admin_alone(history: SqlHistory):
    async with serving_api(history, HOOKS) as api:
        await api.client.ask("/hooks/crm/pause", method="POST", headers={"X-Request-Id": "req-17"})
        token = (await api.client.send("POST", "/tokens", {"name": "v", "role": "viewer"})).body["token"]

        ((kind, _, by),) = await found(api.client, "req-17")
        (entry,) = (await api.client.get("/audit?request_id=req-17"))["items"]
        api.client.token = token
        assert (kind, by, entry["action"]) == ("audit", "request_id", "hooks.pause")
        assert await found(api.client, "req-17") == []


async def test_types_are_found_and_listed_with_counts(history: SqlHistory):
    await history.commit([delivered(a_delivery(an_event(NOW + n, type="orders.paid"))) for n in range(3)])
    async with serving_api(history, HOOKS) as api:
        assert await found(api.client, "paid") == [("event_type", "orders.paid", "type")]
        (seen,) = (await api.client.get("/events/types"))["items"]
        known = (await api.client.get("/events/types?catalogue=true&q=orders"))["items"]

    assert (seen["type"], seen["count"], seen["exact"], seen["sources"]) == (
        "orders.paid",
        3,
        True,
        ["splynx"],
    )
    assert "orders.paid" in [each["type"] for each in known]


async def test_events_are_listed_by_a_pattern_on_their_type(history: SqlHistory):
    for kind in ("orders.paid", "orders.made", "voice.call"):
        await history.commit([delivered(a_delivery(an_event(type=kind)))])
    async with serving_api(history, HOOKS) as api:
        listed = (await api.client.get("/events?type=orders.*"))["items"]
        none = (await api.client.get("/events?type=nothing.%23"))["items"]
        refused = await api.client.refused("/events?type=orders..*")

    assert sorted(each["type"] for each in listed) == ["orders.made", "orders.paid"]
    assert none == []
    assert refused.names == ["type"]


@pytest.mark.parametrize("query", ["", "?q=", f"?q={'x' * 600}"])
async def test_without_a_text_nothing_is_looked_for(history: SqlHistory, query: str):
    async with serving_api(history, HOOKS) as api:
        assert (await api.client.refused(f"/find{query}")).names == ["q"]


async def test_a_name_among_ten_thousand_hooks_is_found_at_once(history: SqlHistory):
    hooks: list[dict[str, Any]] = [{"name": f"hook-{number}", "target": TARGET} for number in range(10_000)]
    async with serving_api(history) as api:
        api.in_force.written = {each["name"]: Hook.model_validate(each) for each in hooks}
        await api.client.get("/find?q=hook-9999")
        started = time.perf_counter()
        assert await found(api.client, "hook-9999") == [("hook", "hook-9999", "name")]
        assert time.perf_counter() - started < 0.5
