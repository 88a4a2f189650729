"""What a draft of a hook would do: problems with their places, decisions about events, the request; nothing is changed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.core.delivery import Unmatched
from bridge.history.history import SqlHistory
from bridge.hooks import preview
from bridge.targets.factory import Targets
from tests.support.api_server import ServedApi, serving_api
from tests.support.endpoint import Endpoint, open_endpoint
from tests.support.publisher import MemoryPublisher
from tests.support.records import NOW, an_event, new_id

URL = "http://127.0.0.1:9/in"
TARGET = {"type": "webhook", "url": URL, "secrets": ["whsec_" + "QUJD" * 8]}
CRM = {"name": "crm", "events": ["a.*"], "filter": "event.data.n > 1", "target": TARGET}
SETTINGS = {"http": {"allow_private_targets": ["127.0.0.0/8"]}}


@asynccontextmanager
async def serving(history: SqlHistory, folder: Path, *hooks: dict[str, Any]) -> AsyncIterator[ServedApi]:
    targets = Targets({"": MemoryPublisher()}, ["127.0.0.0/8"], folder, lambda _: None)
    async with serving_api(history, hooks, settings=SETTINGS, build=targets.build) as api:
        yield api
    await targets.close()


async def commit(history: SqlHistory, *found: tuple[str, bytes]) -> list[str]:
    events = [an_event(NOW + n, type=kind, body=body, format="json") for n, (kind, body) in enumerate(found)]
    assert await history.commit([Unmatched(event) for event in events]) == []
    return [event.id for event in events]


async def preview_of(api: ServedApi, **body: Any) -> Any:
    answer = await api.client.send("POST", "/hooks/preview", body)
    assert answer.status == 200, answer.body
    return answer.body


async def test_events_are_counted_by_decision_and_shown_with_the_reason(history: SqlHistory, tmp_path: Path):
    await commit(history, ("a.b", b'{"n":1}'), ("a.b", b'{"n":2}'), ("a.b", b"{}"), ("c.d", b'{"n":9}'))
    async with serving(history, tmp_path) as api:
        found = await preview_of(api, hook=CRM)
        none = await preview_of(api, hook=CRM, source="phlix")

    assert found["problems"] == []
    assert found["decisions"] == {"no_pattern": 1, "filter_missing_key": 1, "match": 1, "filtered": 1}
    assert (found["events"], found["complete"], found["added"], found["removed"]) == (4, True, None, None)
    assert [row["decision"] for row in found["rows"]] == [
        "no_pattern",
        "filter_missing_key",
        "match",
        "filtered",
    ]
    assert found["rows"][3]["reason"] == "the filter is false: event.data.n > 1"
    assert (none["events"], none["back_to"], none["request"]) == (0, None, None)


async def test_the_request_for_the_newest_match_or_a_chosen_event_is_shown_without_secrets(
    history: SqlHistory, tmp_path: Path
):
    ids = await commit(history, ("a.b", b'{"n":5}'), ("a.b", b'{"n":6}'), ("c.d", b'{"n":7}'))
    async with serving(history, tmp_path) as api:
        newest = await preview_of(api, hook=CRM)
        chosen = await preview_of(api, hook=CRM, event_id=ids[2])
        unknown = await api.client.send("POST", "/hooks/preview", {"hook": CRM, "event_id": new_id()})

    assert (newest["request_event_id"], newest["request"]["to"]) == (ids[1], URL)
    assert (newest["request"]["body_text"], chosen["request"]["body_text"]) == ('{"n":6}', '{"n":7}')
    assert newest["request"]["compared_with"] is None
    assert "QUJD" not in str(newest)
    assert unknown.status == 404


@pytest.mark.parametrize(
    ("change", "name", "place"),
    [
        ({"filter": "event.data.n >"}, "filter", (1, 15)),
        ({"filter": "event.dat.n == 1"}, "filter", None),
        ({"events": ["a..b"]}, "events[0]", None),
        ({"target": {"type": "webhook", "url": "ftp://x"}}, "target.url", None),
        ({"concurrency": "5"}, "concurrency", None),
        ({"fliter": "true"}, "fliter", None),
    ],
)
async def test_problems_are_named_with_their_places(
    history: SqlHistory, tmp_path: Path, change: dict[str, Any], name: str, place: tuple[int, int] | None
):
    async with serving(history, tmp_path) as api:
        (problem,) = (await preview_of(api, hook=CRM | change))["problems"]

    assert problem["name"] == name
    if place is not None:
        assert (problem["line"], problem["column"]) == place


async def test_a_draft_with_a_problem_is_compared_by_its_valid_parts(history: SqlHistory, tmp_path: Path):
    await commit(history, ("a.b", b'{"n":5}'))
    async with serving(history, tmp_path) as api:
        found = await preview_of(api, hook=CRM | {"target": {"type": "webhook"}})

    assert found["decisions"] == {"match": 1}
    assert (found["request"], found["request_error"]) == (None, "the target is not valid")


async def test_a_draft_is_compared_with_the_hook_in_force_whose_secrets_it_keeps(
    history: SqlHistory, tmp_path: Path
):
    await commit(history, ("a.b", b'{"n":5}'), ("a.b", b'{"n":1}'), ("a.b", b'{"n":0}'))
    async with serving(history, tmp_path, CRM) as api:
        shown = await api.client.get("/hooks/crm")
        same = await preview_of(api, hook=shown, like="crm")
        other = await preview_of(api, hook={**shown, "filter": "event.data.n < 2"}, like="crm")
        unknown = await api.client.send("POST", "/hooks/preview", {"hook": CRM, "like": "shop"})

    assert (same["added"], same["removed"], same["problems"]) == (0, 0, [])
    assert (other["added"], other["removed"]) == (2, 1)
    assert [row["matched_before"] for row in other["rows"]] == [False, False, True]
    assert "webhook-signature" in {each["name"].lower() for each in same["request"]["headers"]}
    assert unknown.status == 404


async def test_a_draft_for_unmatched_events_gets_what_no_other_hook_asks_for(
    history: SqlHistory, tmp_path: Path
):
    await commit(history, ("a.b", b'{"n":5}'), ("x.y", b"{}"))
    async with serving(history, tmp_path, CRM) as api:
        found = await preview_of(api, hook={"unmatched": True, "target": TARGET})

    assert found["decisions"] == {"match": 1, "taken": 1}


async def test_a_look_ends_in_time_and_says_how_far_it_came(
    history: SqlHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(preview, "PATIENCE", 0.0)
    await commit(history, *[("a.b", b'{"n":5}')] * 3)
    async with serving(history, tmp_path) as api:
        found = await preview_of(api, hook=CRM)

    assert (found["events"], found["complete"]) == (1, False)
    assert found["back_to"] is not None


async def test_nothing_is_made_or_written(history: SqlHistory, tmp_path: Path):
    async with serving(history, tmp_path) as api:
        await preview_of(api, hook=CRM)

        assert (await api.client.get("/hooks"))["items"] == []
        assert (await api.client.get("/audit"))["items"] == []


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with open_endpoint() as opened:
        yield opened


async def test_a_draft_is_tested_with_an_event_of_the_history_and_signs_with_the_secrets_of_the_hook(
    history: SqlHistory, tmp_path: Path, endpoint: Endpoint
):
    (event,) = await commit(history, ("a.b", b'{"n":5}'))
    target = {"type": "webhook", "url": endpoint.url("/draft")}
    async with serving(history, tmp_path, CRM) as api:
        answer = await api.client.send(
            "POST", "/hooks/test", {"hook": {"target": target}, "like": "crm", "event_id": event}
        )
        (entry,) = (await api.client.get("/audit"))["items"]
        hooks = [each["name"] for each in (await api.client.get("/hooks"))["items"]]

    assert answer.status == 200, answer.body
    assert (answer.body["delivered"], answer.body["event_id"], answer.body["event_type"]) == (
        True,
        event,
        "a.b",
    )
    (received,) = endpoint.received("/draft")
    assert received.body == b'{"n":5}'
    assert "webhook-signature" in {name.lower() for name in received.headers}
    assert (entry["action"], entry["detail"]["outcome"], hooks) == ("hooks.test_draft", "delivered", ["crm"])


@pytest.mark.parametrize(
    ("body", "status", "names"),
    [
        ({"hook": {"target": {"type": "webhook", "url": "http://10.0.0.1/"}}}, 422, ["hook.target.url"]),
        ({"hook": {"target": TARGET, "filter": "n >"}}, 422, ["hook.filter"]),
        ({"hook": {"target": TARGET}, "event_id": new_id(), "type": "a"}, 422, ["event_id"]),
        ({"hook": {"target": TARGET}, "event_id": "x"}, 422, ["event_id"]),
        ({"hook": {"target": TARGET}, "event_id": new_id()}, 404, []),
        ({"hook": {"target": TARGET}, "like": "nobody"}, 404, []),
    ],
)
async def test_a_draft_that_could_not_be_saved_is_not_tested(
    history: SqlHistory, tmp_path: Path, body: dict[str, Any], status: int, names: list[str]
):
    async with serving(history, tmp_path) as api:
        answer = await api.client.send("POST", "/hooks/test", body)

    assert answer.status == status, answer.body
    assert status == 404 or answer.names == names


async def test_a_hook_may_have_the_name_of_a_path(history: SqlHistory, tmp_path: Path):
    async with serving(history, tmp_path, CRM | {"name": "preview"}, CRM | {"name": "test"}) as api:
        assert (await api.client.get("/hooks/preview"))["name"] == "preview"
        assert (await api.client.get("/hooks/test"))["name"] == "test"
