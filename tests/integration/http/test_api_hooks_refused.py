"""Hooks that are none: refused with what is wrong and where, and nothing changed."""

import asyncio
import io
import json

import pytest

from bridge.history.history import SqlHistory
from tests.support.api_server import ApiAnswer, ApiClient, serving_api
from tests.support.hook_bodies import NO_JSON, QUEUE, UNFIT, hook, webhook, written


async def send(client: ApiClient, body: bytes, path: str = "/hooks", method: str = "POST") -> ApiAnswer:
    return await client.ask(path, method=method, body=body)


async def unchanged(client: ApiClient) -> None:
    """Only what was there before is there, as it was."""
    hooks = (await client.get("/hooks"))["items"]
    assert [(each["name"], each["description"]) for each in hooks] == [("before", "as it was")]


@pytest.mark.parametrize("name", NO_JSON)
async def test_a_body_that_is_no_json_is_refused_as_such(history: SqlHistory, name: str):
    async with serving_api(history) as api:
        made = await send(api.client, written(hook("before", description="as it was")))
        ways = (
            ("/hooks", "POST"),
            (f"/hooks/{made.body['id']}", "PUT"),
            (f"/hooks/{made.body['id']}", "PATCH"),
        )
        for path, method in ways:
            answer = await send(api.client, NO_JSON[name], path, method)
            assert answer.status == 400, answer.body
            assert answer.body["invalid-params"]
        await unchanged(api.client)


@pytest.mark.parametrize("name", UNFIT)
async def test_a_hook_that_is_none_is_refused_with_the_path_of_what_is_wrong(history: SqlHistory, name: str):
    body, path = UNFIT[name]
    async with serving_api(history) as api:
        made = await send(api.client, written(hook("before", description="as it was")))
        answer = await send(api.client, written(body))
        assert (answer.status, path in answer.names) == (422, True), answer.body
        await unchanged(api.client)
        if "secret" not in name and "script" not in name:
            answer = await send(api.client, written(body), f"/hooks/{made.body['id']}", "PUT")
            assert (answer.status, path in answer.names) == (422, True), answer.body
        await unchanged(api.client)


async def test_all_that_is_wrong_is_told_at_once(history: SqlHistory):
    wrong = hook("A", concurrency=0, filter="event.", sources=["nowhere"], events=["a..b"], rat="5/s")
    async with serving_api(history) as api:
        answer = await send(api.client, written(wrong))
        assert set(answer.names) == {"name", "concurrency", "filter", "sources[0]", "events[0]", "rat"}


async def test_what_is_refused_shows_no_secret(history: SqlHistory):
    secret = "Geheimnis-und-mehr"
    wrong = [
        webhook(secrets=[secret]),
        webhook(secrets=[{"value": secret}]),
        webhook(secrets=secret),
        webhook(headers={"X-Api-Key": [secret]}),
        webhook(auth={"type": "bearer", "token": {"a": secret}}),
        hook(target={"type": "notify", "urls": [f"nosuch://{secret}"]}),
        hook(target={"type": "notify", "urls": {"a": secret}}),
    ]
    async with serving_api(history) as api:
        for each in wrong:
            answer = await send(api.client, written(each))
            assert answer.status == 422
            assert secret not in json.dumps(answer.body)


async def test_a_body_in_parts_or_too_large_is_refused(history: SqlHistory):
    async with serving_api(history) as api:
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = await api.client.ask("/hooks", method="POST", body=b"--x--", headers=kind)
        assert answer.status == 415
        large = io.BytesIO(written(hook(description="a" * 1_100_000)))
        assert (await api.client.ask("/hooks", method="POST", body=large)).status == 413


async def test_variables_in_texts_are_not_read(history: SqlHistory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BRIDGE_TEST_SECRET", "read-it-was")
    given = hook(description="${BRIDGE_TEST_SECRET}", target=QUEUE | {"queue": "${BRIDGE_TEST_SECRET}"})
    async with serving_api(history) as api:
        answer = await send(api.client, written(given))
        assert answer.body["description"] == "${BRIDGE_TEST_SECRET}"
        assert answer.body["target"]["queue"] == "${BRIDGE_TEST_SECRET}"


async def test_scripts_are_made_where_the_setting_allows_them(history: SqlHistory):
    script = hook(target={"type": "script", "command": ["/bin/true"]})
    async with serving_api(history, settings={"http": {"allow_scripts": True}}) as api:
        assert (await send(api.client, written(script))).status == 201


async def test_private_addresses_are_taken_where_they_are_allowed(history: SqlHistory):
    allowed = {"http": {"allow_private_targets": ["10.0.0.0/8"]}}
    async with serving_api(history, settings=allowed) as api:
        assert (await send(api.client, written(webhook(url="http://10.1.2.3/in")))).status == 201
        of_its_own = webhook(url="http://10.1.2.3/in", allow_private_targets=["10.1.0.0/16"])
        made = await send(api.client, written(of_its_own | {"name": "own"}))
        assert (made.status, made.body["target"]["allow_private_targets"]) == (201, ["10.1.0.0/16"])
        wider = await send(api.client, written(webhook(allow_private_targets=["10.0.0.0/7"])))
        assert (wider.status, wider.names) == (422, ["target.allow_private_targets[0]"])


async def test_no_more_hooks_are_made_than_may_be(history: SqlHistory):
    async with serving_api(history, settings={"limits": {"hooks": 2}}) as api:
        statuses = [(await send(api.client, written(hook(f"h{n}")))).status for n in range(3)]
        assert statuses == [201, 201, 409]


async def test_of_many_that_take_one_name_at_once_one_gets_it(history: SqlHistory):
    async with serving_api(history, [{"name": "taken", "target": QUEUE}]) as api:
        answers = await asyncio.gather(*(send(api.client, written(hook("one"))) for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [201] + [409] * 7
        assert (await send(api.client, written(hook("taken")))).names == ["name"]
        assert len((await api.client.get("/hooks"))["items"]) == 2
