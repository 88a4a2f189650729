"""Who gets into the admin API, where it answers, and by what a request is found in the log."""

import re

import pytest
from structlog.testing import capture_logs

from bridge.history.history import SqlHistory
from bridge.settings.tree import Http
from tests.support.api_server import TOKEN, ApiClient, serving_api

EVERY_PATH = [
    ("GET", f"/{path}")
    for path in (
        "deliveries",
        "events",
        "quarantine",
        "sources",
        "hooks",
        "hooks/crm",
        "nope",
        "",
        "events/01969f46-08a2-7281-857f-db3509783fc5",
    )
] + [("POST", "/explain"), ("DELETE", "/hooks"), ("OPTIONS", "/hooks")]


@pytest.mark.parametrize(("method", "path"), EVERY_PATH)
async def test_nothing_answers_without_the_token(history: SqlHistory, method: str, path: str):
    async with serving_api(history) as api:
        api.client.token = None
        answer = await api.client.ask(path, method=method)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="amqp-bridge"')


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN} {TOKEN}",
        f"Basic {TOKEN}",
        TOKEN,
        "",
    ],
)
async def test_an_unknown_token_is_401(history: SqlHistory, shown: str):
    async with serving_api(history) as api:
        api.client.token = None
        answer = await api.client.ask("/hooks", headers={"Authorization": shown})
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
        assert TOKEN not in answer.body["detail"]


async def test_bytes_that_are_no_text_are_no_token(history: SqlHistory):
    async with serving_api(history) as api:
        api.client.token = "\udcff\udcfe"
        assert (await api.client.ask("/hooks")).status == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
async def test_the_token_lets_in_however_the_scheme_is_written(history: SqlHistory, scheme: str):
    async with serving_api(history, token=f" {TOKEN}\n") as api:
        api.client.token = None
        answer = await api.client.ask("/hooks", headers={"Authorization": f"{scheme} {TOKEN}"})
        assert answer.status == 200


async def test_without_a_configured_token_nobody_gets_in_and_is_told_so(history: SqlHistory):
    async with serving_api(history, token=None) as api:
        for token in (None, "", "None", TOKEN):
            api.client.token = token
            answer = await api.client.refused("/hooks", 401)
            assert "http.admin_token is not set" in answer.body["detail"]


async def test_with_the_token_what_is_not_there_is_404_and_405(history: SqlHistory):
    async with serving_api(history) as api:
        await api.client.refused("/nope", 404)
        answer = await api.client.ask("/explain")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert (await api.client.ask("/hooks", method="HEAD")).status == 200


async def test_with_admin_listen_the_api_answers_only_there(history: SqlHistory):
    http = Http(listen="127.0.0.1:0", admin_listen="127.0.0.1:0")
    async with serving_api(history, http=http) as api:
        assert await api.client.get("/hooks") == {"items": [], "next": None}
        client = ApiClient(api.client.session, api.server.addresses["http"])
        for path in ("/hooks", "/nope"):
            async with client.session.get(
                f"{client.url}/api/v1{path}", headers={"Authorization": f"Bearer {TOKEN}"}
            ) as answer:
                assert answer.status == 404


@pytest.mark.parametrize("name", ["abc-1", "01987a5c-0000-7000-8000-000000000000", "trace:1/2=@+"])
async def test_a_sane_request_id_is_taken_over(history: SqlHistory, name: str):
    async with serving_api(history) as api:
        answer = await api.client.ask("/nope", headers={"X-Request-Id": name})
        assert (answer.headers["X-Request-Id"], answer.body["request_id"]) == (name, name)


@pytest.mark.parametrize("name", ["", "two words", "x" * 129, "<script>", "\u00e9", 'quo"te'])
async def test_any_other_request_gets_an_id_of_its_own(history: SqlHistory, name: str):
    async with serving_api(history) as api:
        answers = [await api.client.ask("/hooks", headers={"X-Request-Id": name}) for _ in range(2)]
        made = {answer.headers["X-Request-Id"] for answer in answers}
        assert len(made) == 2
        assert all(re.fullmatch("[0-9a-f-]{36}", each) for each in made)


async def test_the_log_tells_requests_by_their_ids_and_holds_no_token(history: SqlHistory):
    async with serving_api(history) as api:
        with capture_logs() as lines:
            await api.client.ask("/nope?secret=1", headers={"X-Request-Id": "one"})
            await history.close()
            await api.client.ask("/events", headers={"X-Request-Id": "two"})
        told = [(line["event"], line["request_id"], line.get("status"), line["log_level"]) for line in lines]
        assert told == [
            ("api.answered", "one", 404, "info"),
            ("api.unavailable", "two", None, "warning"),
            ("api.answered", "two", 503, "warning"),
        ]
        assert TOKEN not in str(lines)
        assert "secret" not in str(lines)
