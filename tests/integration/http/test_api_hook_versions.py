"""Versions of hooks: who changed what, and how one is put back; and secrets, which are told of and never shown."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.history.history import SqlHistory, open_history
from bridge.hooks import versions
from tests.support.api_server import ServedApi, serving_api

SECRET = "whsec_" + "QUJD" * 8
TARGET = {"type": "webhook", "url": "https://crm.example.net/in", "secrets": [SECRET]}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bridge.db"
    given: str = request.getfixturevalue("emptied_postgres_url")
    return given


@pytest.fixture
async def stored(url: str) -> AsyncIterator[SqlHistory]:
    opened = await open_history(url)
    yield opened
    await opened.close()


async def made(api: ServedApi, **fields: Any) -> str:
    answer = await api.client.send("POST", "/hooks", {"name": "crm", "target": TARGET, **fields})
    assert answer.status == 201, answer.body
    hook: str = answer.body["id"]
    return hook


async def patched(api: ServedApi, hook: str, **fields: Any) -> None:
    answer = await api.client.send("PATCH", f"/hooks/{hook}", fields)
    assert answer.status == 200, answer.body


async def versions_of(api: ServedApi, hook: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await api.client.get(f"/hooks/{hook}/history"))["items"]
    return items


async def test_versions_tell_when_by_whom_and_what_changed(stored: SqlHistory):
    async with serving_api(stored) as api:
        hook = await made(api)
        token = await api.client.send("POST", "/tokens", {"name": "ada", "role": "admin"})
        api.client.token = token.body["token"]
        await patched(api, hook, concurrency=4, target={"url": "https://crm.example.net/new"})
        await api.client.send("POST", f"/hooks/{hook}/pause", {"reason": "moved"})
        newest, second, first = await versions_of(api, "crm")

    told = [(each["version"], each["by"]) for each in (first, second, newest)]
    assert told == [(1, "admin"), (2, "ada"), (3, "ada")]
    assert first["changes"] == []
    assert second["changes"] == [
        {"path": "concurrency", "before": 16, "after": 4},
        {
            "path": "target.url",
            "before": "https://crm.example.net/in",
            "after": "https://crm.example.net/new",
        },
    ]
    assert newest["changes"] == [{"path": "paused", "before": False, "after": True}]
    assert first["at"] <= second["at"] <= newest["at"]
    assert "QUJD" not in str((first, second, newest))


async def test_a_restored_version_keeps_the_present_secrets_and_switches(stored: SqlHistory):
    async with serving_api(stored) as api:
        hook = await made(api, events=["a.*"])
        await api.client.send("POST", f"/hooks/{hook}/secret", {"keep": 0})
        await patched(api, hook, events=["b.*"], paused=True)
        (before,) = (await api.client.get(f"/hooks/{hook}/secrets"))["items"]
        restored = await api.client.send("POST", f"/hooks/{hook}/restore", {"version": 1})
        (after,) = (await api.client.get(f"/hooks/{hook}/secrets"))["items"]
        newest = (await versions_of(api, hook))[0]
        (entry, *_) = (await api.client.get("/audit"))["items"]

    assert restored.status == 200, restored.body
    assert (restored.body["events"], restored.body["paused"]) == (["a.*"], True)
    assert after == before
    assert [each["path"] for each in newest["changes"]] == ["events"]
    assert (entry["action"], entry["detail"]["restored"]) == ("hooks.restore", 1)


async def test_only_what_is_kept_and_not_overtaken_is_restored(stored: SqlHistory):
    async with serving_api(stored, [{"name": "filed", "target": TARGET}]) as api:
        hook = await made(api)
        unknown = await api.client.send("POST", f"/hooks/{hook}/restore", {"version": 9})
        overtaken = await api.client.send(
            "POST", f"/hooks/{hook}/restore", {"version": 1}, **{"If-Match": '"7"'}
        )
        of_file = await api.client.send("POST", "/hooks/filed/restore", {"version": 1})

        assert (unknown.status, overtaken.status, of_file.status) == (404, 412, 404)
        assert await versions_of(api, "filed") == []
        assert (
            (await api.client.refused("/hooks/crn/history", 404)).body["detail"].endswith("did you mean crm?")
        )


async def test_the_oldest_versions_go_and_all_go_with_the_hook(
    stored: SqlHistory, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(versions, "MOST", 2)
    async with serving_api(stored) as api:
        hook = await made(api)
        for number in (1, 2, 3):
            await patched(api, hook, concurrency=number)
        assert [each["version"] for each in await versions_of(api, hook)] == [4, 3]
        await api.client.send("DELETE", f"/hooks/{hook}")

        assert await api.desk.versions.of(hook) == []


async def test_secrets_are_told_of_with_when_they_came_and_end_and_former_ones_end_at_once(
    stored: SqlHistory,
):
    async with serving_api(stored) as api:
        hook = await made(api)
        (first,) = (await api.client.get(f"/hooks/{hook}/secrets"))["items"]
        nothing = await api.client.send("POST", f"/hooks/{hook}/secrets/end")
        new = (await api.client.send("POST", f"/hooks/{hook}/secret", {"keep": "1h"})).body["secret"]
        both = (await api.client.get(f"/hooks/{hook}/secrets"))["items"]
        ended = await api.client.send("POST", f"/hooks/{hook}/secrets/end")
        (left,) = (await api.client.get(f"/hooks/{hook}/secrets"))["items"]

    assert (first["kind"], first["last4"], first["until"]) == ("whsec", "QUJD", None)
    assert nothing.status == 409
    assert [(each["last4"], each["until"] is None) for each in both] == [(new[-4:], True), ("QUJD", False)]
    assert both[1]["made_at"] == first["made_at"] <= both[0]["made_at"]
    assert ended.status == 200, ended.body
    assert left == both[0]
    assert new[:-4] not in str(both)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"profile": "cockpit", "secrets": ["somebody:a-long-password-4711"]}, [("credentials", None)]),
        ({"profile": "github", "secrets": ["short-one"]}, [("text", None)]),
        ({"profile": "github", "secrets": ["a-secret-that-is-long-enough"]}, [("text", "ough")]),
        ({"secrets": []}, []),
    ],
)
async def test_little_is_told_of_credentials_and_short_secrets(
    history: SqlHistory, target: dict[str, Any], expected: list[tuple[str, str | None]]
):
    async with serving_api(history) as api:
        hook = await made(api, target={**TARGET, **target})
        items = (await api.client.get(f"/hooks/{hook}/secrets"))["items"]

    assert [(each["kind"], each["last4"]) for each in items] == expected
