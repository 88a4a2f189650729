"""Replays over HTTP: what may be asked for, what is told of it, and who may."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.core.delivery import Status, Unmatched
from bridge.core.hook import Hook
from bridge.core.records import ReplayStatus
from bridge.formats.parse import BOUNDS
from bridge.history.history import SqlHistory
from bridge.hooks.names import KnownNames
from bridge.pipeline.hook_table import HookTable
from bridge.replays import service
from bridge.replays.api import ReplayRoutes
from bridge.replays.service import ReplayService
from bridge.replays.store import SqlReplays
from bridge.routing.table import RoutingTable
from tests.support.api_server import ApiClient, ServedApi, runner_of, serving_api
from tests.support.records import a_delivery, an_event, days_ago, delivered, new_id
from tests.support.replays import failures

CRM = {"name": "crm", "target": {"type": "webhook", "url": "https://crm.example.net/in"}}
OFF = {**CRM, "name": "off", "enabled": False}


class Silent:
    """Nobody else is there to be told."""

    async def tell(self, kind: str, about: str = "") -> None:
        """Nobody hears."""

    def mention(self, kind: str, about: str = "") -> None:
        """Nobody is there."""

    def listen(self, kind: str, heard: Any) -> None:
        """Nothing is ever said."""


class OnTable:
    """The hooks of a table, as they are in force."""

    def __init__(self, table: HookTable) -> None:
        self.table = table
        self.written = {runner.hook.id: runner.hook for runner in table}
        self.stored: Mapping[str, Any] = {}
        self.gone: Mapping[str, str] = {}
        self.states: Mapping[str, Any] = {}
        self.health: Mapping[str, Any] = {}
        self.broken: Mapping[str, str] = {}

    async def changed(self) -> None:
        """Nothing changes."""

    async def delete(self, hook: Any, how: Any) -> Any:
        raise AssertionError("nothing is deleted here")


@asynccontextmanager
async def serving(history: SqlHistory, *, keeps_successes: bool = True) -> AsyncIterator[ServedApi]:
    hooks = [Hook.model_validate(hook) for hook in (CRM, OFF)]
    table = HookTable(lambda _event, _filters: None)
    table.swap(RoutingTable(hooks), {hook.id: runner_of(hook) for hook in hooks})
    replaying = ReplayService(
        SqlReplays(history.engine),
        table,
        KnownNames(OnTable(table), [], history),
        Silent(),
        new_id=lambda: new_id(days_ago(0)),
        bounds=BOUNDS,
        keeps_successes=keeps_successes,
    )
    async with serving_api(history, [CRM, OFF], more=[ReplayRoutes(replaying, lambda hook: hook)]) as api:
        yield api


async def made(api: ApiClient, **body: Any) -> Mapping[str, Any]:
    answer = await api.send("POST", "/replays", body)
    assert answer.status == 201, answer.body
    assert answer.headers["Location"] == f"/api/v1/replays/{answer.body['id']}"
    found: dict[str, Any] = await api.get(f"/replays/{answer.body['id']}")
    assert found.pop("results") == {"succeeded": 0, "failed": 0, "waiting": 0, "exact": True}
    assert found == answer.body
    return found


async def test_one_is_made_counted_and_shown(history: SqlHistory) -> None:
    await history.commit([*failures(3), *failures(2, "off"), *failures(1, "gone")])
    async with serving(history) as api:
        replay = await made(
            api.client, filter={"type": "customers.create", "from": "2025-05-05"}, rate="30/m"
        )
        assert replay["filter"] == {
            "hook": None,
            "hook_name": None,
            "status": ["FAILED"],
            "type": "customers.create",
            "source": None,
            "from": "2025-05-05T00:00:00Z",
            "to": None,
            "missing": False,
            "ids": None,
            "outcome": None,
            "status_code": None,
        }
        assert (replay["total"], replay["left_out"], replay["exact"], replay["rate"]) == (3, 3, True, 0.5)
        assert (replay["status"], replay["done"], replay["created_by"]) == ("pending", 0, "admin")
        assert (await api.client.get("/replays"))["items"] == [replay]


async def test_a_dry_run_makes_nothing(history: SqlHistory) -> None:
    await history.commit([*failures(3), *failures(2, "off")])
    async with serving(history) as api:
        answer = await api.client.send("POST", "/replays", {"dry_run": True})
        assert answer.status == 200
        assert answer.body == {"dry_run": True, "total": 3, "exact": True, "left_out": 2}
        assert (await api.client.get("/replays"))["items"] == []


async def test_deliveries_are_given_by_id_whatever_their_status_or_by_their_last_attempt(
    history: SqlHistory,
) -> None:
    some = failures(3)
    await history.commit([*some, delivered(one := a_delivery())])
    async with serving(history) as api:
        ids = [some[0].delivery.id, one.id, some[0].delivery.id.upper()]
        replay = await made(api.client, filter={"ids": ids})
        assert (replay["total"], replay["filter"]["ids"], replay["filter"]["status"]) == (
            2,
            2,
            sorted(Status),
        )
        replay = await made(api.client, filter={"outcome": "delivered", "status_code": 200, "hook": "crm"})
        assert (replay["total"], replay["filter"]["outcome"], replay["filter"]["status_code"]) == (
            3,
            "delivered",
            200,
        )
        replay = await made(api.client, filter={"outcome": "timeout"})
        assert replay["total"] == 0


async def test_several_statuses_and_one_as_plain_text(history: SqlHistory) -> None:
    async with serving(history) as api:
        replay = await made(api.client, filter={"hook": "crm", "status": ["SKIPPED", "FAILED"]})
        assert replay["filter"]["status"] == ["FAILED", "SKIPPED"]
        replay = await made(api.client, filter={"hook": "crm", "status": "SUCCESS"})
        assert replay["filter"]["status"] == ["SUCCESS"]


async def test_events_that_are_missing_are_counted_by_what_the_hook_asks_for(history: SqlHistory) -> None:
    await history.commit([Unmatched(an_event()) for _ in range(4)])
    async with serving(history) as api:
        replay = await made(api.client, filter={"hook": "crm", "missing": True})
        assert (replay["total"], replay["filter"]["status"]) == (4, [])
        answer = await api.client.send("POST", "/replays", {"filter": {"hook": "off", "missing": True}})
        assert answer.status == 409
        assert "disabled" in answer.body["detail"]


async def test_a_count_of_what_is_missing_ends_in_time_and_says_that_it_is_not_exact(
    history: SqlHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PATIENCE", 0.0)
    await history.commit([Unmatched(an_event()) for _ in range(4)])
    async with serving(history) as api:
        replay = await made(api.client, filter={"hook": "crm", "missing": True})
        assert (replay["total"], replay["exact"]) == (0, False)


async def test_what_is_missing_cannot_be_told_without_the_successes(history: SqlHistory) -> None:
    async with serving(history, keeps_successes=False) as api:
        answer = await api.client.send("POST", "/replays", {"filter": {"hook": "crm", "missing": True}})
        assert answer.status == 409
        assert "storage.keep" in answer.body["detail"]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({"filter": {"hook": "nobody"}}, ["filter.hook"]),
        ({"filter": {"status": ["DONE"]}}, ["filter.status[0]"]),
        ({"filter": {"status": []}}, ["filter.status"]),
        ({"filter": {"from": "last week"}}, ["filter.from"]),
        ({"filter": {"from": "2025-05-05", "to": "2025-05-04T00:00:00Z"}}, ["filter.to"]),
        ({"filter": {"missing": True}}, ["filter.hook"]),
        ({"filter": {"missing": True, "hook": "crm", "status": ["FAILED"]}}, ["filter.status"]),
        ({"filter": {"ids": []}}, ["filter.ids"]),
        ({"filter": {"ids": [new_id(), "x"]}}, ["filter.ids[1]"]),
        ({"filter": {"missing": True, "hook": "crm", "outcome": "timeout"}}, ["filter.missing"]),
        ({"filter": {"status_code": "503"}}, ["filter.status_code"]),
        ({"filter": {"hok": "crm"}}, ["filter.hok"]),
        ({"rate": 0}, ["rate"]),
        ({"rate": "fast"}, ["rate"]),
        ({"rate": -1, "dry_run": "yes"}, ["rate", "dry_run"]),
        ({"filter": "crm"}, ["filter"]),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_made(
    history: SqlHistory, body: Mapping[str, Any], names: list[str]
) -> None:
    async with serving(history) as api:
        answer = await api.client.send("POST", "/replays", body)
        assert answer.status == 422, answer.body
        assert answer.names == names
        assert (await api.client.get("/replays"))["items"] == []


async def test_no_body_is_no_request_to_replay_everything(history: SqlHistory) -> None:
    async with serving(history) as api:
        assert (await api.client.send("POST", "/replays")).status == 400


@pytest.mark.parametrize("cancel", [("POST", "/cancel"), ("DELETE", "")], ids=["cancel", "delete"])
async def test_cancelling_is_final_and_may_be_repeated(history: SqlHistory, cancel: tuple[str, str]) -> None:
    method, end = cancel
    async with serving(history) as api:
        replay = await made(api.client)
        for _ in range(2):
            answer = await api.client.send(method, f"/replays/{replay['id']}{end}")
            assert (answer.status, answer.body["status"]) == (200, "cancelled")
            assert answer.body["finished_at"]


async def test_one_that_is_done_cannot_be_cancelled(history: SqlHistory) -> None:
    async with serving(history) as api:
        replay = await made(api.client)
        await SqlReplays(history.engine).end_replay(replay["id"], ReplayStatus.DONE, days_ago(0))
        answer = await api.client.send("POST", f"/replays/{replay['id']}/cancel")
        assert answer.status == 409


async def test_there_is_nothing_with_an_unknown_id(history: SqlHistory) -> None:
    async with serving(history) as api:
        for name in (new_id(), "nonsense"):
            await api.client.refused(f"/replays/{name}", 404)
            assert (await api.client.send("POST", f"/replays/{name}/cancel")).status == 404


async def test_pages_are_followed_by_their_cursor(history: SqlHistory) -> None:
    async with serving(history) as api:
        ids = [(await made(api.client))["id"] for _ in range(3)]
        first = await api.client.get("/replays?limit=2")
        second = await api.client.get(f"/replays?limit=2&cursor={first['next']}")
        assert {each["id"] for each in first["items"] + second["items"]} == set(ids)
        assert second["next"] is None
        await api.client.refused("/replays?cursor=nonsense")


async def test_of_a_hook_that_is_gone_all_is_left_out(history: SqlHistory) -> None:
    await history.commit(failures(2, "gone"))
    async with serving(history) as api:
        replay = await made(api.client, filter={"hook": "gone", "status": [Status.FAILED]})
        assert (replay["total"], replay["left_out"]) == (0, 2)
