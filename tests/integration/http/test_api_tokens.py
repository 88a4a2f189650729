"""Tokens over HTTP: made, used, revoked, and what their roles are good for."""

import asyncio
import re
import time
from collections.abc import AsyncIterator

import pytest

from bridge.history.history import SqlHistory
from bridge.http import auth as gate
from tests.support.api_server import TOKEN, ServedApi, serving_api
from tests.support.waiting import until

VIEWER = {"name": "grafana", "role": "viewer"}


@pytest.fixture
async def api(history: SqlHistory) -> AsyncIterator[ServedApi]:
    async with serving_api(history) as served:
        yield served


async def made(api: ServedApi, **fields: object) -> dict[str, str]:
    answer = await api.client.send("POST", "/tokens", VIEWER | fields)
    assert answer.status == 201, answer.body
    found: dict[str, str] = answer.body
    return found


async def test_a_token_is_shown_once_and_lets_in_with_its_role(api: ServedApi):
    token = await made(api)
    assert re.fullmatch("abt_[0-9A-Za-z]{44}", token["token"])
    assert token["token"] not in str(await api.client.get("/tokens"))
    assert "token" not in await api.client.get(f"/tokens/{token['id']}")
    api.client.token = token["token"]
    assert await api.client.get("/me") == {"name": "grafana", "role": "viewer"}
    assert await api.client.get("/tokens/me") == {"name": "grafana", "role": "viewer"}
    assert (await api.client.ask("/deliveries")).status == 200
    refusal = await api.client.refused("/tokens", 403)
    assert 'error="insufficient_scope"' in refusal.headers["WWW-Authenticate"]


async def test_the_database_holds_no_token(api: ServedApi, history: SqlHistory, tmp_path):
    token = await made(api)
    await history.close()
    for file in tmp_path.iterdir():
        assert token["token"].encode() not in file.read_bytes()


async def test_a_revoked_token_is_good_no_longer(api: ServedApi):
    admin = api.client.token
    token = await made(api)
    api.client.token = token["token"]
    await api.client.get("/me")
    api.client.token = admin
    assert (await api.client.ask(f"/tokens/{token['id']}", method="DELETE")).status == 204
    assert (await api.client.ask(f"/tokens/{token['id']}", method="DELETE")).status == 404
    api.client.token = token["token"]
    answer = await api.client.refused("/me", 401)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="amqp-bridge", error="invalid_token"'


async def test_revoked_by_another_replica_it_is_good_no_longer_within_a_second(
    api: ServedApi, history: SqlHistory
):
    token = await made(api)
    async with serving_api(history) as other:
        other.client.token = token["token"]
        await other.client.get("/me")
        assert (await api.client.ask("/tokens/grafana", method="DELETE")).status == 204
        revoked = time.monotonic()

        async def is_refused() -> bool:
            return (await other.client.ask("/me")).status == 401

        await until(is_refused)
        assert time.monotonic() - revoked < 1


async def test_an_expired_token_is_good_no_longer(api: ServedApi):
    token = await made(api, expires_in=1)
    api.client.token = token["token"]
    assert (await api.client.ask("/me")).status == 200

    async def is_refused() -> bool:
        return (await api.client.ask("/me")).status == 401

    await until(is_refused)


async def test_names_are_unique_until_they_are_free_again(api: ServedApi):
    await made(api)
    answer = await api.client.send("POST", "/tokens", VIEWER)
    assert (answer.status, answer.body["detail"]) == (409, "the name grafana is taken")
    assert (await api.client.ask("/tokens/grafana", method="DELETE")).status == 204
    await made(api, role="operator")
    assert [token["role"] for token in (await api.client.get("/tokens"))["items"]] == ["operator"]
    both = (await api.client.get("/tokens?revoked=true"))["items"]
    assert [token["revoked_at"] is None for token in both] == [False, True]


@pytest.mark.parametrize("name", ["admin", "bridge"])
async def test_nobody_gets_a_name_that_the_audit_log_has_for_others(api: ServedApi, name: str):
    assert (await api.client.send("POST", "/tokens", VIEWER | {"name": name})).status == 409


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["name", "role"]),
        (VIEWER | {"role": "root"}, ["role"]),
        (VIEWER | {"name": ""}, ["name"]),
        (VIEWER | {"name": "a/b"}, ["name"]),
        (VIEWER | {"expires_in": "soon"}, ["expires_in"]),
        (VIEWER | {"expires_in": 0}, ["expires_in"]),
        (VIEWER | {"expires": 5}, ["expires"]),
        ([], [""]),
    ],
)
async def test_what_is_wrong_with_a_new_token_is_named(api: ServedApi, body: object, named: list[str]):
    answer = await api.client.send("POST", "/tokens", body)
    assert (answer.status, answer.names) == (422, named)
    assert (await api.client.get("/tokens"))["items"] == []


async def test_tokens_come_in_pages_by_their_names(api: ServedApi):
    for name in "cabed":
        await made(api, name=name)
    first = await api.client.get("/tokens?limit=3")
    rest = await api.client.get(f"/tokens?limit=3&cursor={first['next']}")
    assert [token["name"] for token in [*first["items"], *rest["items"]]] == list("abcde")
    assert rest["next"] is None
    assert (await api.client.refused("/tokens?cursor=x")).names == ["cursor"]


async def test_the_last_use_is_written_down_in_time(api: ServedApi):
    token = await made(api)
    assert token["last_used_at"] is None
    admin, api.client.token = api.client.token, token["token"]
    await api.client.get("/me")
    await api.access.actors.write_uses()
    api.client.token = admin
    assert (await api.client.get(f"/tokens/{token['id']}"))["last_used_at"] >= token["created_at"]


async def test_with_the_database_away_the_admin_token_works_and_others_are_503(
    api: ServedApi, history: SqlHistory
):
    token = await made(api)
    api.client.token = token["token"]
    await history.close()
    await api.client.refused("/me", 503)
    api.client.token = TOKEN
    assert await api.client.get("/me") == {"name": "admin", "role": "admin"}
    await api.access.actors.write_uses()  # nothing is lost over it, and nothing raised


async def test_a_right_token_is_never_delayed_and_a_wrong_one_is_from_the_tenth_on(
    api: ServedApi, monkeypatch: pytest.MonkeyPatch
):
    api.client.token = "wrong"
    started = time.monotonic()
    for _ in range(9):
        await api.client.refused("/me", 401)
    assert time.monotonic() - started < 1.5
    many = asyncio.gather(*(api.client.ask("/me") for _ in range(12)))
    await asyncio.sleep(0)
    api.client.token = TOKEN
    started = time.monotonic()
    assert (await api.client.ask("/me")).status == 200
    assert time.monotonic() - started < 1
    answers = await many
    assert time.monotonic() - started > 1
    statuses = [answer.status for answer in answers]
    assert (statuses.count(401), statuses.count(429)) == (gate.WAITING_OF_ONE, 12 - gate.WAITING_OF_ONE)
    assert {answer.headers.get("Retry-After") for answer in answers if answer.status == 429} == {"2"}


async def test_a_missing_token_is_never_counted(api: ServedApi):
    api.client.token = None
    started = time.monotonic()
    for _ in range(30):
        await api.client.refused("/me", 401)
    assert time.monotonic() - started < 2
