"""Phlix's documented requests, word for word, against a running bridge."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp

from tests.support.bridge_process import BridgeProcess
from tests.support.endpoint import Received, status
from tests.support.publishers import FOLDER as PUBLISHERS
from tests.support.scene import Scene
from tests.support.waiting import until

TOKEN = "e2e-Geheimnis-8842"
SAMPLES = Path(__file__).parents[1] / "data" / "phlix_admin"
REGISTER = json.loads((SAMPLES / "admin_register_request.json").read_text())
REGISTERED = json.loads((SAMPLES / "admin_register_response_201.json").read_text())
ROW = json.loads((SAMPLES / "admin_list_row.json").read_text())
ENDED = (PUBLISHERS / "phlix" / "playback_ended.json").read_bytes()
PATH = "/api/v1/admin/webhooks"


class Phlix:
    """A client of Phlix's admin API."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None = TOKEN) -> None:
        self.session, self.url, self.token = session, url, token

    async def ask(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        """Status and body of the answer."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        async with self.session.request(
            method, f"{self.url}{PATH}{path}", json=body, headers=headers
        ) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def register(self, **fields: Any) -> dict[str, Any]:
        """The new webhook."""
        code, body = await self.ask("POST", body=REGISTER | fields)
        assert code == 201, body
        made: dict[str, Any] = body["webhook"]
        return made

    async def rows(self) -> list[dict[str, Any]]:
        """All webhooks."""
        code, body = await self.ask("GET")
        assert (code, body.keys()) == (200, {"webhooks"})
        rows: list[dict[str, Any]] = body["webhooks"]
        return rows

    async def row(self, webhook: str) -> dict[str, Any]:
        """One of them."""
        [found] = [row for row in await self.rows() if row["id"] == webhook]
        return found


@asynccontextmanager
async def phlix(scene: Scene, source: str, **sections: Any) -> AsyncIterator[tuple[BridgeProcess, Phlix]]:
    sources = [{"name": "phlix", "queue": source, "format": "phlix"}]
    settings = {"http": {"admin_token": TOKEN}, **sections}
    async with scene.bridge([], sources, **settings) as bridge, aiohttp.ClientSession() as session:
        yield bridge, Phlix(session, bridge.url)


def signed(request: Received, secret: str) -> bool:
    """By the code of Phlix's documentation."""
    made = hmac.new(secret.encode(), request.body, sha256).hexdigest()
    return request.headers["X-Phlix-Signature"] == f"sha256={made}"


async def test_a_webhook_is_registered_listed_changed_and_deleted_as_documented(scene: Scene):
    async with phlix(scene, await scene.queue()) as (_, client):
        code, body = await client.ask("POST", body=REGISTER)
        assert (code, body.keys(), body["webhook"].keys()) == (
            201,
            REGISTERED.keys(),
            REGISTERED["webhook"].keys(),
        )
        made = body["webhook"]
        assert made | {"id": ""} == REGISTERED["webhook"] | {"id": ""}
        assert str(UUID(made["id"])) == made["id"]
        [row] = await client.rows()
        assert row.keys() == ROW.keys()
        assert row == ROW | {"id": made["id"], "events": REGISTER["events"], "created_at": row["created_at"]}
        code, body = await client.ask(
            "PUT", f"/{made['id']}", {"name": "Other", "secret": "", "events": ["alert"]}
        )
        assert (code, body) == (200, {"webhook": row | {"name": "Other", "events": ["alert"]}})
        assert await client.ask("DELETE", f"/{made['id']}") == (204, None)
        assert await client.rows() == []


async def test_it_receives_matching_events_at_once_signed_its_way(scene: Scene):
    source = await scene.queue()
    async with phlix(scene, source) as (bridge, client):
        made = await client.register(url=scene.endpoint.url("/in"), events=["playback.ended"])
        await scene.queues.publish(
            source, [ENDED, b'{"event_type":"alert","payload":[],"occurred_at":"2025-06-01"}']
        )
        await until(lambda: scene.endpoint.received("/in"), what=bridge.last_words)
        [request] = scene.endpoint.received("/in")
        assert request.body == ENDED
        assert signed(request, REGISTER["secret"])
        row = await until(lambda: triggered(client, made["id"]))
        assert row["failure_count"] == 0
        code, body = await client.ask("GET", f"/{made['id']}/deliveries")
        [dispatch] = body["deliveries"]
        assert code == 200
        assert (
            dispatch["webhook_id"],
            dispatch["event_type"],
            dispatch["status"],
            dispatch["response_code"],
        ) == (
            made["id"],
            "playback.ended",
            "delivered",
            200,
        )
        assert dispatch["delivered_at"].endswith("+00:00")
        of_event = await client.ask("GET", f"/deliveries?event_id={dispatch['event_id']}")
        assert of_event == (200, {"deliveries": [dispatch]})
        assert (await client.ask("GET", "/deliveries"))[0] == 400


async def triggered(client: Phlix, webhook: str) -> Any:
    row = await client.row(webhook)
    return row if row["last_triggered_at"] else None


async def test_a_new_secret_signs_from_now_on_and_a_blank_one_keeps_the_old(scene: Scene):
    source = await scene.queue()
    async with phlix(scene, source) as (bridge, client):
        made = await client.register(url=scene.endpoint.url("/in"))
        for number, (secret, good) in enumerate([("", REGISTER["secret"]), ("another", "another")], start=1):
            code, _ = await client.ask("PUT", f"/{made['id']}", {"name": "x", "secret": secret})
            assert code == 200
            await scene.queues.publish(source, [ENDED])
            await until(partial(came, scene, number), what=bridge.last_words)
            assert signed(scene.endpoint.received("/in")[-1], good)


def came(scene: Scene, count: int) -> bool:
    return len(scene.endpoint.received("/in")) == count


async def test_a_test_tells_the_true_outcome(scene: Scene):
    async with phlix(scene, await scene.queue()) as (_, client):
        url = scene.endpoint.url("/in")
        made = await client.register(url=url)
        code, body = await client.ask("POST", f"/{made['id']}/test")
        assert (code, body) == (
            200,
            {"success": True, "success_count": 1, "failure_count": 0, "failures": []},
        )
        [request] = scene.endpoint.received("/in")
        event = json.loads(request.body)
        assert (event["event_type"], event["payload"]["webhook_id"]) == ("webhook.test", made["id"])
        assert signed(request, REGISTER["secret"])
        scene.endpoint.script("/in", status(500))
        _, body = await client.ask("POST", f"/{made['id']}/test")
        assert (body["success"], body["failure_count"]) == (False, 1)
        [failure] = body["failures"]
        assert (failure["webhook_id"], failure["url"]) == (made["id"], url)
        assert "500" in failure["error"]


async def test_failures_are_counted_until_a_success(scene: Scene):
    source = await scene.queue()
    scene.endpoint.script("/in", status(500))
    async with phlix(scene, source) as (bridge, client):
        made = await client.register(url=scene.endpoint.url("/in"))
        await scene.queues.publish(source, [ENDED, ENDED])
        await until(lambda: counted(client, made["id"], 2), 30, what=bridge.last_words)
        assert len(scene.endpoint.received("/in")) == 6
        assert (await client.row(made["id"]))["last_triggered_at"] is None
        scene.endpoint.script("/in", status(204))
        await scene.queues.publish(source, [ENDED])
        await until(lambda: counted(client, made["id"], 0), what=bridge.last_words)
        assert (await client.row(made["id"]))["last_triggered_at"] is not None


async def counted(client: Phlix, webhook: str, failures: int) -> bool:
    return bool((await client.row(webhook))["failure_count"] == failures)


async def test_who_may_not_is_told_in_phlix_words(scene: Scene):
    async with phlix(scene, await scene.queue()) as (_, client):
        client.token = None
        code, body = await client.ask("GET")
        assert (code, body["error"], body["code"]) == (401, "Unauthorized", "auth.required")
        client.token = "wrong"
        code, body = await client.ask("POST", body=REGISTER)
        assert (code, body["code"]) == (401, "auth.required")
        client.token = await token_of(client, "operator")
        for method, path in (("GET", ""), ("POST", ""), ("PUT", "/x"), ("DELETE", "/x"), ("POST", "/x/test")):
            code, body = await client.ask(method, path)
            assert (code, body["error"], body["code"]) == (403, "Forbidden", "auth.not_admin")


async def token_of(client: Phlix, role: str) -> str:
    async with client.session.post(
        f"{client.url}/api/v1/tokens",
        json={"name": role, "role": role},
        headers={"Authorization": f"Bearer {TOKEN}"},
    ) as answer:
        assert answer.status == 201
        token: str = (await answer.json())["token"]
        return token


MALFORMED: list[tuple[dict[str, Any], set[str]]] = [
    ({"name": None}, {"name"}),
    ({"name": " "}, {"name"}),
    ({"name": "x" * 1001}, {"name"}),
    ({"url": None, "secret": ""}, {"url", "secret"}),
    ({"url": "no address"}, {"url"}),
    ({"url": "ftp://hooks.example.net/"}, {"url"}),
    ({"url": "http://10.1.2.3/in"}, {"url"}),
    ({"url": "http://169.254.169.254/latest/meta-data"}, {"url"}),
    ({"events": "playback.started"}, {"events"}),
    ({"events": []}, {"events"}),
    ({"events": ["play*"]}, {"events[0]"}),
    ({"events": ["alert", 5]}, {"events[1]"}),
]


async def test_what_is_malformed_is_refused_by_name_and_changes_nothing(scene: Scene):
    async with phlix(scene, await scene.queue()) as (_, client):
        for change, names in MALFORMED:
            code, body = await client.ask("POST", body=REGISTER | change)
            assert (code, bool(body["error"])) == (400, True), change
            assert {fault["name"] for fault in body["invalid-params"]} == names, change
        assert await client.rows() == []
        made = await client.register()
        for change, names in MALFORMED[1:3] + MALFORMED[4:]:
            code, body = await client.ask("PUT", f"/{made['id']}", change)
            assert code == 400, change
            assert {fault["name"] for fault in body["invalid-params"]} == names, change
        assert (await client.ask("PUT", f"/{made['id']}", {}))[0] == 400
        assert (await client.row(made["id"]))["events"] == REGISTER["events"]


async def test_several_may_have_one_name_and_each_its_own_id(scene: Scene):
    async with phlix(scene, await scene.queue()) as (_, client):
        made = await asyncio.gather(*(client.register(name="Ünïcode ☃ 日本") for _ in range(4)))
        assert len({each["id"] for each in made}) == 4
        assert [row["name"] for row in await client.rows()] == ["Ünïcode ☃ 日本"] * 4


async def test_what_is_not_there_is_404(scene: Scene):
    async with phlix(scene, await scene.queue()) as (_, client):
        unknown = "/3d1c8f52-52f4-4f55-9f0c-7f5f6c1f0a04"
        for method, path, body in (
            ("PUT", unknown, {"name": "x"}),
            ("DELETE", unknown, None),
            ("POST", f"{unknown}/test", None),
            ("GET", f"{unknown}/deliveries", None),
        ):
            code, answer = await client.ask(method, path, body)
            assert (code, answer["error"]) == (404, "Webhook not found")


async def test_hooks_of_the_file_and_of_the_hooks_api_with_its_profile_are_webhooks_too(scene: Scene):
    source = await scene.queue()
    hooks = [
        scene.webhook("mine", target_profile="phlix", target_secrets=["s"]),
        scene.webhook("other"),
    ]
    async with (
        scene.bridge(hooks, source, http={"admin_token": TOKEN}) as bridge,
        aiohttp.ClientSession() as session,
    ):
        client = Phlix(session, bridge.url)
        [row] = await client.rows()
        assert (row["name"], row["is_active"], row["created_at"]) == ("mine", True, None)
        code, body = await client.ask("DELETE", f"/{row['id']}")
        assert (code, bool(body["error"])) == (409, True)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with session.post(f"{bridge.url}/api/v1/hooks/mine/pause", headers=headers) as answer:
            assert answer.status == 200
        assert (await client.row(row["id"]))["is_active"] is False
        _, body = await client.ask("POST", f"/{row['id']}/test")
        assert body["success"] is False
        assert "inactive" in body["failures"][0]["error"]
        assert scene.endpoint.requests == []
