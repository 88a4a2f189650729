"""Hooks, sources and explanations over HTTP."""

import io
import json
import time
from typing import Any

import pytest

from bridge.core.delivery import Answer, Fault
from bridge.history.history import SqlHistory
from tests.support.api_server import serving_api

SECRETS = [f"Geheimnis-{number}-x" for number in range(16)]
QUEUE = {"type": "queue", "queue": "q"}
WEBHOOK = {
    "type": "webhook",
    "url": f"https://me:{SECRETS[0]}@example.net/in?a=1&api_key={SECRETS[1]}&sig={SECRETS[2]}",
    "secrets": [SECRETS[3], SECRETS[4]],
    "auth": {"type": "basic", "username": SECRETS[5], "password": SECRETS[6]},
    "headers": {"X-Api-Key": SECRETS[7], "Authorization": SECRETS[8], "X-Plain": "visible"},
    "proxy": f"http://me:{SECRETS[9]}@proxy:3128",
    "timeout": "20s",
}
SCRIPT = {
    "type": "script",
    "command": ["run", f"--token={SECRETS[10]}", "--password", SECRETS[11], "-v", f"Auth: {SECRETS[12]}"],
    "env": {"DB_PASSWORD": SECRETS[13], "LANG": "C"},
}
NOTIFY = {
    "type": "notify",
    "urls": [f"discord://id/{SECRETS[14]}"],
    "endpoints": {"ntfy": f"http://u:{SECRETS[15]}@n"},
}
HOOKS: list[dict[str, Any]] = [
    {"name": "web", "sources": ["splynx"], "events": ["customers.*"], "rate": "50/s", "target": WEBHOOK},
    {"name": "run", "paused": True, "target": SCRIPT},
    {"name": "tell", "enabled": False, "target": NOTIFY},
    {"name": "pass-on", "filter": "event.data.n > 1", "target": QUEUE},
]
TWO_SOURCES = [{"name": "splynx", "queue": "hooks2", "format": "splynx"}, {"name": "any", "queue": "any q"}]


# ---- hooks ----------------------------------------------------------------------------------------------


async def test_no_secret_of_a_hook_is_shown_and_all_else_is(history: SqlHistory):
    async with serving_api(history, HOOKS) as api:
        listed = (await api.client.get("/hooks"))["items"]
        alone = [await api.client.get(f"/hooks/{hook['name']}") for hook in HOOKS]
        text = json.dumps([listed, alone])
        assert [secret for secret in SECRETS if secret in text] == []
        web, run, tell, pass_on = alone
        assert (web["id"], web["managed_by"], web["rate"], web["target"]["timeout"]) == (
            "web",
            "file",
            50,
            20,
        )
        assert (web["sources"], web["events"], pass_on["filter"]) == (
            ["splynx"],
            ["customers.*"],
            "event.data.n > 1",
        )
        assert web["target"]["url"] == "https://***@example.net/in?a=1&api_key=***&sig=***"
        assert web["target"]["headers"] == {"X-Plain": "visible"}
        assert web["target"]["auth"] == {"type": "basic"}
        assert "secrets" not in web["target"]
        assert run["target"]["command"] == ["run", "--token=***", "--password", "***", "-v", "Auth: ***"]
        assert run["target"]["env"] == {"LANG": "C"}
        assert "urls" not in tell["target"]
        assert pass_on["target"]["queue"] == "q"


async def test_a_hook_shows_how_it_is_doing(history: SqlHistory):
    async with serving_api(history, HOOKS) as api:
        web = api.runner("web")
        quiet = (await api.client.get("/hooks/web"))["state"]
        assert quiet == {
            "paused": False,
            "reason": None,
            "breaker": "closed",
            "held_until": None,
            "lane_depth": 0,
            "in_flight": 0,
            "failing": None,
            "last_success_at": None,
            "served": True,
            "broken": None,
            "overlay": None,
            "deleting": None,
        }
        for _ in range(5):
            web.breaker.learn(Answer(fault=Fault.REFUSED), time.monotonic(), probe=False)
        web.pause("gone")
        web.queue.lane_found(12, time.time())
        web.hold(time.monotonic() + 60)
        state = (await api.client.get("/hooks/web"))["state"]
        assert (state["paused"], state["reason"], state["breaker"], state["lane_depth"]) == (
            True,
            "gone",
            "open",
            12,
        )
        assert state["held_until"].endswith("Z")
        assert web.breaker.start_probe(time.monotonic() + 60)
        assert (await api.client.get("/hooks/web"))["state"]["breaker"] == "half_open"
        run = await api.client.get("/hooks/run")
        assert (run["paused"], run["state"]["paused"], run["state"]["reason"]) == (True, True, None)


async def test_hooks_come_in_pages_by_their_ids(history: SqlHistory):
    hooks = [{"name": f"h{number:03}", "target": QUEUE} for number in reversed(range(120))]
    async with serving_api(history, hooks) as api:
        seen, cursor = [], ""
        while cursor is not None:
            page = await api.client.get(f"/hooks{cursor and '?cursor=' + cursor}")
            seen += [item["id"] for item in page["items"]]
            cursor = page["next"]
        assert seen == sorted(hook["name"] for hook in hooks)
        await api.client.refused("/hooks/h999", 404)
        await api.client.refused("/hooks/h%2F..", 404)


# ---- sources --------------------------------------------------------------------------------------------


async def test_sources_show_what_the_broker_says_as_far_as_it_answers(history: SqlHistory):
    async with serving_api(history, sources=TWO_SOURCES) as api:
        api.sources.counts = {"hooks2": (7, 2)}
        api.sources.states["any"] = "connecting"
        plain, splynx = (await api.client.get("/sources"))["items"]
        assert splynx == {
            "name": "splynx",
            "queue": "hooks2",
            "format": "splynx",
            "state": "consuming",
            "depth": 7,
            "consumers": 2,
            "held": 3,
            "prefetch": 500,
        }
        assert (plain["state"], plain["depth"], plain["consumers"]) == ("connecting", None, None)
        api.sources.counts = None
        assert {item["depth"] for item in (await api.client.get("/sources"))["items"]} == {None}
        page = await api.client.get("/sources?limit=1")
        assert [item["name"] for item in page["items"]] == ["any"]
        page = await api.client.get(f"/sources?limit=1&cursor={page['next']}")
        assert ([item["name"] for item in page["items"]], page["next"]) == (["splynx"], None)


# ---- explain --------------------------------------------------------------------------------------------


async def test_a_message_is_explained_for_every_hook_and_not_delivered(history: SqlHistory):
    async with serving_api(history, HOOKS, TWO_SOURCES) as api:
        body = {"type": "action", "data": {"model": "a\\customers\\Vip", "action": "edit", "n": 1}}
        answer = await api.client.explain(
            {"source": "any", "properties": {"type": "customers.edit"}, "body": body}
        )
        assert (answer.status, answer.body["source"], answer.body["notes"]) == (200, "any", [])
        [event] = answer.body["events"]
        assert {each["hook"]: each["decision"] for each in event["hooks"]} == {
            "web": "other_source",
            "run": "match",
            "tell": "disabled",
            "pass-on": "filtered",
        }
        paused = next(each for each in event["hooks"] if each["hook"] == "run")
        assert "the hook is paused" in paused["reason"]
        api.runner("pass-on").pause("gone")
        answer = await api.client.explain(
            {"routing_key": "any q", "properties": {"type": "x"}, "body": {"n": 2}}
        )
        [event] = answer.body["events"]
        assert "paused (gone)" in event["hooks"][-1]["reason"]
        assert (
            (await api.client.get("/events"))["items"] == (await api.client.get("/deliveries"))["items"] == []
        )


async def test_every_event_of_a_message_is_explained_and_what_is_passed_over_is_told(history: SqlHistory):
    async with serving_api(history, HOOKS, TWO_SOURCES) as api:
        one = {"specversion": "1.0", "id": "1", "source": "s", "type": "a.b"}
        message = {
            "source": "any",
            "properties": {"content_type": "application/cloudevents-batch+json"},
            "body": [one, one],
            "bodi": 1,
        }
        answer = await api.client.explain(message)
        assert [(each["type"], each["position"]) for each in answer.body["events"]] == [
            ("a.b", 1),
            ("a.b", 2),
        ]
        assert answer.body["notes"] == ["'bodi' is passed over; did you mean body?"]


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (b"", ""),
        (b"[]", ""),
        (b'{"body": ', ""),
        (b"\x1f\x8b\x08 packed", ""),
        ({"body": {}}, "source"),
        ({"source": "splyx", "body": {}}, "source"),
        ({"source": 5, "body": {}}, "source"),
        ({"source": "any", "headers": 5}, "headers"),
        ({"source": "any", "body_base64": "?"}, "body_base64"),
        ({"source": "any", "body": 1, "body_base64": ""}, "body_base64"),
        ({"source": "any", "properties": {"timestamp": "never"}}, "properties.timestamp"),
    ],
)
async def test_what_describes_no_message_is_400_with_its_path(history: SqlHistory, message: Any, name: str):
    async with serving_api(history, HOOKS, TWO_SOURCES) as api:
        answer = await api.client.explain(message)
        assert (answer.status, answer.names) == (400, [name])


async def test_a_body_beyond_the_limit_is_413(history: SqlHistory):
    async with serving_api(history) as api:
        assert (
            await api.client.ask("/explain", method="POST", body=io.BytesIO(bytes(17_000_000)))
        ).status == 413
