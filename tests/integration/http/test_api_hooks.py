"""Hooks over HTTP: made, looked at, replaced, patched, deleted."""

import json
import re
from typing import Any

import pytest

from bridge.core.hook import Hook
from bridge.history.history import SqlHistory
from tests.support.api_server import ApiAnswer, ApiClient, ServedApi, serving_api
from tests.support.hook_bodies import OTHER_SECRET, QUEUE, SECRET, hook, webhook, written
from tests.support.records import a_delivery, delivered

LOGIN = "https://crm.example.net/in?api_key=Geheimnis-2&a=1"
FULL = webhook(
    url=LOGIN,
    headers={"X-Api-Key": "Geheimnis-3", "X-Plain": "visible"},
    auth={"type": "basic", "username": "me", "password": "Geheimnis-4"},
    proxy="http://me:Geheimnis-5@proxy.example.net:3128",
    timeout="20s",
)


async def send(
    client: ApiClient, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> ApiAnswer:
    return await client.ask(
        path, method=method, headers=headers or {}, body=None if body is None else written(body)
    )


async def made(client: ApiClient, body: Any) -> dict[str, Any]:
    """The hook that was made."""
    answer = await send(client, "POST", "/hooks", body)
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.body
    return found


def in_force(api: ServedApi, hook_id: str) -> Hook:
    """The hook as it is served."""
    return api.runner(hook_id).hook


def target_of(api: ServedApi, hook_id: str) -> dict[str, Any]:
    """The target as it is served, secrets in the clear."""
    target: Any = in_force(api, hook_id).target
    return {
        "url": target.url,
        "secrets": [each.get_secret_value() for each in target.secrets],
        "headers": target.headers,
        "password": target.auth and target.auth.password.get_secret_value(),
        "proxy": target.proxy,
    }


WHOLE = {
    "url": LOGIN,
    "secrets": [SECRET],
    "headers": FULL["target"]["headers"],
    "password": "Geheimnis-4",
    "proxy": "http://me:Geheimnis-5@proxy.example.net:3128",
}


# ---- made and looked at ---------------------------------------------------------------------------------


async def test_a_hook_that_was_made_is_in_force_and_shown(history: SqlHistory):
    async with serving_api(history) as api:
        answer = await send(api.client, "POST", "/hooks", hook(rate="50/s", description="for sales"))
        shown = answer.body
        assert re.fullmatch(r"hk_[a-z]{16}", shown["id"])
        assert answer.headers["Location"] == f"/api/v1/hooks/{shown['id']}"
        assert answer.headers["ETag"] == '"1"'
        assert (shown["managed_by"], shown["rate"], shown["description"]) == ("api", 50, "for sales")
        assert shown["created_at"] == shown["updated_at"] is not None
        assert shown["state"]["overlay"] is shown["state"]["deleting"] is None
        assert in_force(api, shown["id"]).name == "crm"
        for which in (shown["id"], "crm"):
            found = await api.client.ask(f"/hooks/{which}")
            assert (found.body, found.headers["ETag"]) == (shown, '"1"')


async def test_no_answer_shows_a_secret(history: SqlHistory):
    async with serving_api(history) as api:
        shown = await made(api.client, FULL)
        path = f"/hooks/{shown['id']}"
        answers = [
            shown,
            await api.client.get("/hooks"),
            (await send(api.client, "PUT", path, FULL)).body,
            (await send(api.client, "PATCH", path, {"target": {"secrets": [OTHER_SECRET]}})).body,
            (await send(api.client, "POST", f"{path}/pause")).body,
            await api.client.get("/audit"),
        ]
        text = json.dumps(answers)
        assert "Geheimnis" not in text
        assert SECRET not in text
        assert OTHER_SECRET not in text


async def test_a_hook_without_a_name_gets_one_from_its_target(history: SqlHistory):
    nameless = {key: part for key, part in hook().items() if key != "name"}
    notify = {"type": "notify", "urls": ["discord://Geheimnis/token"]}
    async with serving_api(history, [{"name": "copies", "target": QUEUE}]) as api:
        names = [
            (await made(api.client, each))["name"]
            for each in (nameless, hook(""), {"name": None, "target": QUEUE}, {"target": notify})
        ]
        assert names == ["crm-example-net", "crm-example-net-2", "copies-2", "discord"]


async def test_hooks_are_listed_by_name_and_found_by_what_they_are(history: SqlHistory):
    written_ones = [{"name": "b-file", "paused": True, "target": QUEUE}]
    async with serving_api(history, written_ones) as api:
        await made(api.client, hook("c-api", description="Sales"))
        await made(api.client, hook("a-api", enabled=False, target=QUEUE))

        async def names(query: str) -> list[str]:
            return [each["name"] for each in (await api.client.get(f"/hooks{query}"))["items"]]

        assert await names("") == ["a-api", "b-file", "c-api"]
        assert await names("?target=queue") == ["a-api", "b-file"]
        assert await names("?managed_by=file") == ["b-file"]
        assert await names("?state=paused") == ["b-file"]
        assert await names("?state=disabled&managed_by=api") == ["a-api"]
        assert await names("?state=active") == ["c-api"]
        assert await names("?q=SALES") == ["c-api"]
        assert await names("?q=crm.example") == ["c-api"]
        first = await api.client.get("/hooks?limit=2")
        assert await names(f"?limit=2&cursor={first['next']}") == ["c-api"]
        wrong = await api.client.refused("/hooks?target=mail&state=on&managed_by=me")
        assert wrong.names == ["target", "managed_by", "state"]


# ---- replaced and patched -------------------------------------------------------------------------------


async def test_what_was_shown_can_be_put_back_without_losing_a_secret(history: SqlHistory):
    script = hook(
        "run",
        target={
            "type": "script",
            "command": ["/bin/true", "--token=a", "b"],
            "env": {
                **dict.fromkeys(("DB_PASSWORD", "SMTP_PASS", "MYSQL_PWD", "DB_PW"), "Geheimnis-8"),
                "DATABASE_URL": "postgres://me:Geheimnis-8@db/x",
                "L": "C",
            },
        },
    )
    notify = hook(
        "tell",
        target={
            "type": "notify",
            "urls": ["discord://id/token"],
            "endpoints": {"ntfy": "https://n.example.net?token=p"},
        },
    )
    async with serving_api(history, settings={"http": {"allow_scripts": True}}) as api:
        for body in (FULL, script, notify):
            shown = await made(api.client, body)
            assert "Geheimnis" not in str(shown)
            before = in_force(api, shown["id"])
            answer = await send(api.client, "PUT", f"/hooks/{shown['id']}", shown)
            assert answer.status == 200, answer.body
            assert in_force(api, shown["id"]).target == before.target
            assert answer.headers["ETag"] == '"2"'


async def test_secrets_that_a_replacement_leaves_out_are_kept_and_null_takes_them_away(history: SqlHistory):
    bare = hook(target={"type": "webhook", "url": LOGIN, "proxy": FULL["target"]["proxy"]})
    async with serving_api(history) as api:
        shown = await made(api.client, FULL)
        path = f"/hooks/{shown['id']}"
        await send(api.client, "PUT", path, bare)
        kept = {**WHOLE, "headers": {"X-Api-Key": "Geheimnis-3"}}
        assert target_of(api, shown["id"]) == kept
        masked = {
            "secrets": [OTHER_SECRET, "***"],
            "headers": {"x-api-key": "***"},
            "auth": {"type": "basic"},
        }
        await send(api.client, "PUT", path, hook(target=bare["target"] | masked))
        assert target_of(api, shown["id"]) == {
            **kept,
            "secrets": [OTHER_SECRET, SECRET],
            "headers": {"x-api-key": "Geheimnis-3"},
        }
        away: dict[str, Any] = {
            "secrets": [],
            "headers": {"X-Api-Key": None},
            "auth": None,
            "url": "https://crm.example.net/x",
        }
        answer = await send(api.client, "PUT", path, hook(target={"type": "webhook"} | away))
        assert answer.status == 200, answer.body
        assert target_of(api, shown["id"]) == {
            "url": "https://crm.example.net/x",
            "secrets": [],
            "headers": {},
            "password": None,
            "proxy": None,
        }


async def test_a_replacement_begins_with_defaults(history: SqlHistory):
    async with serving_api(history) as api:
        shown = await made(api.client, hook(description="old", concurrency=3, filter="event.data.n > 1"))
        path = f"/hooks/{shown['id']}"
        changed = (await send(api.client, "PUT", path, hook("renamed", target=QUEUE))).body
        assert (changed["id"], changed["name"], changed["target"]["type"]) == (
            shown["id"],
            "renamed",
            "queue",
        )
        assert (changed["description"], changed["concurrency"], changed["filter"]) == ("", 16, None)
        assert changed["created_at"] == shown["created_at"] < changed["updated_at"]
        assert (await api.client.ask("/hooks/crm")).status == 404


async def test_a_patch_changes_what_it_names(history: SqlHistory):
    async with serving_api(history) as api:
        shown = await made(api.client, {**FULL, "filter": "event.data.n > 1"})
        path = f"/hooks/{shown['id']}"
        patch = {"concurrency": 4, "filter": None, "target": {"timeout": "5s", "headers": {"X-Plain": None}}}
        changed = (await send(api.client, "PATCH", path, patch)).body
        assert (changed["concurrency"], changed["filter"], changed["target"]["timeout"]) == (4, None, 5)
        assert target_of(api, shown["id"]) == {**WHOLE, "headers": {"X-Api-Key": "Geheimnis-3"}}
        await send(api.client, "PATCH", path, {"target": {"secrets": None, "auth": None}})
        found = target_of(api, shown["id"])
        assert (found["secrets"], found["password"]) == ([], None)
        changed = (await send(api.client, "PATCH", path, {"target": QUEUE})).body
        assert changed["target"]["queue"] == "copies"
        for wrong, name in (([], ""), ({"id": "hk_other"}, "id"), ({"events": None, "name": "A"}, "name")):
            answer = await send(api.client, "PATCH", path, wrong)
            assert (answer.status, answer.names) == (422, [name])


async def test_who_names_the_version_it_saw_changes_no_other(history: SqlHistory):
    async with serving_api(history) as api:
        path = f"/hooks/{(await made(api.client, hook()))['id']}"
        for method, body in (
            ("PUT", hook()),
            ("PATCH", {"concurrency": 5}),
            ("POST", None),
            ("DELETE", None),
        ):
            where = f"{path}/secret" if method == "POST" else path
            for tag in ('"7"', 'W/"1"', '"x"', '"1000000000000000000000000"'):
                answer = await send(api.client, method, where, body, {"If-Match": tag})
                assert answer.status == 412, answer.body
        assert (await api.client.ask(path)).headers["ETag"] == '"1"'
        for tag, after in (('"1"', '"2"'), ('"x", "2"', '"3"'), ("*", '"4"')):
            answer = await send(api.client, "PATCH", path, {"concurrency": 5}, {"If-Match": tag})
            assert (answer.status, answer.headers["ETag"]) == (200, after)


async def test_a_hook_cannot_take_the_name_of_another(history: SqlHistory):
    async with serving_api(history, [{"name": "file", "target": QUEUE}]) as api:
        await made(api.client, hook("other"))
        path = f"/hooks/{(await made(api.client, hook()))['id']}"
        for name in ("file", "other"):
            for method in ("PUT", "PATCH"):
                answer = await send(api.client, method, path, hook(name))
                assert (answer.status, answer.names) == (409, ["name"])
        assert (await send(api.client, "PUT", path, hook(id="hk_other"))).names == ["id"]


# ---- of the file, and deleted ---------------------------------------------------------------------------


async def test_a_hook_of_the_file_is_changed_in_the_file(history: SqlHistory):
    async with serving_api(history, [hook("file")]) as api:
        shown = await api.client.ask("/hooks/file")
        assert (shown.body["managed_by"], shown.headers["ETag"][:8]) == ("file", 'W/"file-')
        for method, path, body in (
            ("PUT", "", hook("file")),
            ("PATCH", "", {"concurrency": 2}),
            ("DELETE", "", None),
            ("POST", "/secret", None),
        ):
            answer = await send(api.client, method, f"/hooks/file{path}", body)
            assert (answer.status, "managed by the file" in answer.body["detail"]) == (409, True)
        assert await api.client.get("/hooks/file") == shown.body


@pytest.mark.parametrize(
    ("query", "lane"), [("", "dropped"), ("?lane=drop", "dropped"), ("?lane=drain", "drained")]
)
async def test_a_hook_that_was_deleted_is_gone(history: SqlHistory, query: str, lane: str):
    async with serving_api(history) as api:
        shown = await made(api.client, hook())
        answer = await send(api.client, "DELETE", f"/hooks/{shown['id']}{query}")
        assert (answer.status, answer.body) == (
            200,
            {"id": shown["id"], "lane": lane, "deliveries": 0, "waiting": None},
        )
        for method, path in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/pause"),
            ("PATCH", ""),
            ("POST", "/secret"),
        ):
            again = await send(
                api.client, method, f"/hooks/{shown['id']}{path}", {} if method == "PATCH" else None
            )
            assert again.status == 404
        assert api.table.get(shown["id"]) is None
        assert (await made(api.client, hook()))["id"] != shown["id"]


async def test_deliveries_of_a_hook_that_was_deleted_are_listed_with_its_name(history: SqlHistory):
    async with serving_api(history) as api:
        first = (await made(api.client, hook()))["id"]
        await send(api.client, "DELETE", f"/hooks/{first}")
        second = (await made(api.client, hook()))["id"]
        both = [delivered(a_delivery(hook=hook_id)) for hook_id in (first, second)]
        assert await history.commit(both) == []
        listed = (await api.client.get("/deliveries"))["items"]
        name = hook()["name"]
        assert {each["hook"]: each["hook_name"] for each in listed} == {
            first: f"{name} (deleted)",
            second: name,
        }


async def test_a_hook_whose_lane_is_drained_is_shown_as_such_and_can_be_dropped(history: SqlHistory):
    async with serving_api(history) as api:
        hook_id = (await made(api.client, hook()))["id"]
        api.runner(hook_id).queue.lane_counted(3)
        answer = await send(api.client, "DELETE", f"/hooks/{hook_id}?lane=drain")
        assert (answer.status, answer.body["lane"], answer.body["waiting"]) == (202, "draining", 3)
        assert (await api.client.get(f"/hooks/{hook_id}"))["state"]["deleting"] == "drain"
        assert (await send(api.client, "PATCH", f"/hooks/{hook_id}", {"concurrency": 2})).status == 409
        assert (await send(api.client, "POST", f"/hooks/{hook_id}/pause")).body["paused"]
        assert (await send(api.client, "DELETE", f"/hooks/{hook_id}?lane=drop")).body["lane"] == "dropped"


async def test_a_lane_is_dropped_or_drained_and_nothing_else(history: SqlHistory):
    async with serving_api(history) as api:
        hook_id = (await made(api.client, hook()))["id"]
        answer = await send(api.client, "DELETE", f"/hooks/{hook_id}?lane=burn")
        assert (answer.status, answer.names) == (400, ["lane"])
        assert (await api.client.ask(f"/hooks/{hook_id}")).status == 200
