"""The audit log over HTTP: who changed what, and what is never in it."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from structlog.testing import capture_logs

from bridge.core.access import Actor, Role
from bridge.history.history import SqlHistory
from bridge.http.documents import RequestProblem
from bridge.http.operation import Call, Operation, OperationGroup, Reply
from tests.support.api_server import ServedApi, serving_api
from tests.support.waiting import until


class Things(OperationGroup):
    """A part of the API with something to change."""

    def operations(self) -> Sequence[Operation]:
        return [
            self._operation("things.change", "PUT", "/v1/things/{id}", self._change),
            self._operation("things.try", "POST", "/v1/things/try", self._try),
            self._operation("things.refuse", "POST", "/v1/things/refuse", self._refuse),
            self._operation("things.look", "POST", "/v1/things/look", self._look, audited=False),
        ]

    def _operation(self, name, method, path, run, **fields) -> Operation:
        return Operation(
            name=name,
            method=method,
            path=path,
            summary="",
            run=run,
            role=Role.OPERATOR,
            answers={200: dict},
            **fields,
        )

    async def _change(self, _: Call) -> Reply:
        return Reply(document={}, changed={"id": "real", "many": 2**70, "text": "\ud800\0"})

    async def _try(self, _: Call) -> Reply:
        return Reply(document={}, changed=None)

    async def _look(self, _: Call) -> dict:
        return {}

    async def _refuse(self, _: Call) -> Reply:
        raise RequestProblem(409, "no")


@pytest.fixture
async def api(history: SqlHistory) -> AsyncIterator[ServedApi]:
    async with serving_api(history, more=[Things()]) as served:
        yield served


async def entries(api: ServedApi, query: str = "") -> list[dict]:
    found: list[dict] = (await api.client.get(f"/audit{query}"))["items"]
    return found


async def test_a_change_is_written_down_with_all_that_belongs_to_it(api: ServedApi):
    assert (await api.client.ask("/things/one", method="PUT", headers={"X-Request-Id": "r-1"})).status == 200
    [entry] = await entries(api)
    assert entry.pop("id")
    assert entry.pop("at").endswith("Z")
    assert entry == {
        "actor": "admin",
        "role": "admin",
        "action": "things.change",
        "object_type": "thing",
        "object_id": "real",
        "object_name": None,
        "request_id": "r-1",
        "remote": "127.0.0.1",
        "detail": {"many": 2**70, "text": "\ud800\0"},
    }


@pytest.mark.parametrize("path", ["try", "refuse", "look"])
async def test_what_changed_nothing_is_not(api: ServedApi, path: str):
    await api.client.ask(f"/things/{path}", method="POST")
    assert await entries(api) == []


async def test_whose_role_is_not_enough_changes_nothing(api: ServedApi):
    made = await api.client.send("POST", "/tokens", {"name": "v", "role": "viewer"})
    admin, api.client.token = api.client.token, made.body["token"]
    answer = await api.client.ask("/things/one", method="PUT")
    assert answer.status == 403
    assert "operator" in answer.body["detail"]
    api.client.token = admin
    assert [entry["action"] for entry in await entries(api)] == ["tokens.create"]


async def test_tokens_are_in_it_by_id_and_name_and_never_themselves(api: ServedApi):
    made = (await api.client.send("POST", "/tokens", {"name": "ci", "role": "operator"})).body
    await api.client.ask("/tokens/ci", method="DELETE")
    revoked, created = await entries(api)
    assert (created["action"], created["object_type"], created["object_id"]) == (
        "tokens.create",
        "token",
        made["id"],
    )
    assert created["detail"] == {"name": "ci", "role": "operator", "expires_at": None}
    assert (revoked["action"], revoked["object_id"]) == ("tokens.revoke", made["id"])
    assert made["token"] not in str([revoked, created])


async def test_it_can_be_filtered_and_is_read_in_pages(api: ServedApi):
    made = (await api.client.send("POST", "/tokens", {"name": "ci", "role": "operator"})).body
    admin, api.client.token = api.client.token, made["token"]
    for name in ("a", "b"):
        await api.client.ask(f"/things/{name}", method="PUT")
    await api.client.refused("/audit", 403)
    api.client.token = admin
    assert len(await entries(api, "?actor=ci")) == 2
    assert len(await entries(api, "?action=tokens.create")) == 1
    assert len(await entries(api, "?object_type=thing&object_id=real")) == 2
    assert await entries(api, "?from=2999-01-01T00:00:00Z") == []
    first = await api.client.get("/audit?limit=2")
    rest = await api.client.get(f"/audit?limit=2&cursor={first['next']}")
    assert [len(first["items"]), len(rest["items"]), rest["next"]] == [2, 1, None]
    assert (await api.client.refused("/audit?cursor=x&when=now")).names == ["when"]
    assert (await api.client.refused("/audit?cursor=x")).names == ["cursor"]


async def test_what_only_entries_of_another_version_have_is_found(api: ServedApi):
    await api.access.log.write(Actor("gone", Role.ADMIN), "moons.wane", ("moon", "luna"), {})
    for query in ("actor=gone", "action=moons.wane", "object_type=moon", "object_type=moon&object_id=luna"):
        assert [entry["object_id"] for entry in await entries(api, f"?{query}")] == ["luna"]


async def test_a_hook_of_the_api_is_found_by_its_name(api: ServedApi):
    target = {"type": "queue", "queue": "orders"}
    made = (await api.client.send("POST", "/hooks", {"name": "made", "target": target})).body
    for query in ("object_id=made", "object_type=hook&object_id=made", f"object_id={made['id']}"):
        assert [entry["object_name"] for entry in await entries(api, f"?{query}")] == ["made"]


async def test_a_change_stands_though_it_cannot_be_written_down(api: ServedApi, history: SqlHistory):
    await history.close()
    with capture_logs() as lines:
        answer = await api.client.ask("/things/one", method="PUT")
    assert answer.status == 200
    [told] = [line for line in lines if line["event"] == "audit.failed"]
    assert (told["log_level"], told["actor"], told["object_id"]) == ("error", "admin", "real")


async def test_the_audit_log_forgets_what_is_too_old(api: ServedApi):
    await api.client.ask("/things/one", method="PUT")
    upkeep = asyncio.create_task(api.access.run(0.0, every=0.01))
    try:

        async def is_empty() -> bool:
            return not await entries(api)

        await until(is_empty)
    finally:
        upkeep.cancel()
