"""Lists as CSV, whole and harmless; and what the bridge tells of itself."""

import csv
import io
from typing import Any

import pytest

from bridge.core.delivery import Record, Status
from bridge.history.history import SqlHistory
from bridge.http import tables
from tests.support.api_server import TOKEN, ServedApi, serving_api
from tests.support.records import NOW, a_delivery, an_attempt, an_event, in_quarantine
from tests.support.replays import failures

TARGET = {"type": "webhook", "url": "https://x.example.net/"}
HOOKS = ({"name": "crm", "target": TARGET},)


async def rows_of(api: ServedApi, path: str, accept: str = "text/csv") -> list[dict[str, str]]:
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": accept}
    async with api.client.session.get(f"{api.client.url}/api/v1{path}", headers=headers) as answer:
        text = await answer.text()
        assert answer.status == 200, text
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "X-Request-Id" in answer.headers
        assert answer.headers["Content-Disposition"].startswith("attachment; ")
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_a_list_comes_whole_with_a_column_for_each_member(history: SqlHistory):
    await history.commit(failures(450))
    async with serving_api(history, HOOKS) as api:
        rows = await rows_of(api, "/deliveries?status=FAILED&limit=3")
        listed = (await api.client.get("/deliveries?status=FAILED&limit=200"))["items"]

    assert [row["id"] for row in rows][:200] == [each["id"] for each in listed]
    assert len(rows) == 450
    assert (rows[0]["hook_name"], rows[0]["attempts"], rows[0]["next_attempt_at"]) == ("crm", "1", "")
    assert rows[0]["last.outcome"] == listed[0]["last"]["outcome"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
async def test_what_a_spreadsheet_would_compute_is_text(history: SqlHistory, text: str):
    attempt = an_attempt(1, outcome="status", code=500, error=text)
    await history.commit([Record(a_delivery(an_event(NOW)), "webhook", Status.FAILED, "", NOW, attempt)])
    async with serving_api(history, HOOKS) as api:
        (row,) = await rows_of(api, "/deliveries")

    assert row["last.error"] == f"'{text}"


async def test_text_with_commas_quotes_and_line_breaks_comes_as_it_is(history: SqlHistory):
    detail = 'a "quoted", text\r\nof two lines \u202e'
    await history.commit([in_quarantine(detail=detail)])
    async with serving_api(history, HOOKS) as api:
        (row,) = await rows_of(api, "/quarantine", "text/csv, application/json;q=0.5")

    assert row["detail"] == detail


async def test_a_list_ends_at_its_bound(history: SqlHistory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "MOST_ROWS", 5)
    await history.commit(failures(9))
    async with serving_api(history, HOOKS) as api:
        assert len(await rows_of(api, "/deliveries")) == 5


@pytest.mark.parametrize(
    "path", ["/hooks", "/events", "/sources", "/tokens", "/audit", "/inlets", "/quarantine"]
)
async def test_every_list_has_its_columns_though_nothing_is_there(history: SqlHistory, path: str):
    async with serving_api(history) as api:
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/csv"}
        async with api.client.session.get(f"{api.client.url}/api/v1{path}", headers=headers) as answer:
            text = await answer.text()

    assert answer.status == 200, text
    assert "," in text.splitlines()[0]


async def test_what_is_wrong_is_a_problem_in_json_and_single_things_are_json(history: SqlHistory):
    async with serving_api(history, HOOKS) as api:
        wrong = await api.client.ask("/deliveries?status=LATE", headers={"Accept": "text/csv"})
        one = await api.client.ask("/hooks/crm", headers={"Accept": "text/csv"})

    assert (wrong.status, wrong.names) == (422, ["status"])
    assert one.body["name"] == "crm"


async def test_the_bridge_tells_its_version_and_the_size_of_its_history(history: SqlHistory):
    await history.commit([in_quarantine()])
    async with serving_api(history) as api:
        found = await api.client.get("/about")

    assert (found["database"], found["quarantined"], found["replica"]) == ("sqlite", 1, "replica-1")
    assert found["history_bytes"] > 0
    assert found["started_at"] == "2023-11-14T22:13:20Z"


async def test_settings_are_shown_to_admins_without_a_secret(history: SqlHistory):
    canary = "kanarie-4711-not-to-be-seen"
    settings = {
        "broker": {
            "url": f"amqp://me:{canary}@rabbit:5672/",
            "management_url": f"http://me:{canary}@rabbit:15672",
        },
        "storage": {
            "url": f"postgresql://me:{canary}@db/bridge",
            "encryption_keys": [f"{canary}-key-that-is-long"],
        },
        "http": {"admin_token": f"{canary}-token-that-is-long"},
        "inlets": [
            {
                "name": "tiki",
                "source": "splynx",
                "verify": [{"type": "token", "secret": canary, "header": "X-T"}],
            }
        ],
    }
    async with serving_api(history, settings=settings) as api:
        found = await api.client.get("/settings")
        inlets = await api.client.get("/inlets")
        token = (await api.client.send("POST", "/tokens", {"name": "v", "role": "operator"})).body["token"]
        api.client.token = token
        await api.client.refused("/settings", 403)

    assert canary not in str((found, inlets))
    assert (found["broker"]["prefix"], found["http"]["ui"]) == ("bridge", True)
    assert not {"hooks", "inlets", "sources"} & found.keys()
    (inlet,) = inlets["items"]
    assert (inlet["name"], inlet["verify"], inlet["answers"]) == ("tiki", ["token"], {"accepted": 3})


async def test_the_path_of_an_open_inlet_is_its_secret(history: SqlHistory):
    inlets: list[dict[str, Any]] = [
        {"name": "o", "source": "splynx", "open": True, "path": "/very-secret-path"}
    ]
    async with serving_api(history, settings={"inlets": inlets}) as api:
        assert "very-secret" not in str(await api.client.get("/inlets"))
